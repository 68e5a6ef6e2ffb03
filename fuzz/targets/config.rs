//! `config.json`: any bytes, and edits of a good one. What is accepted must also be usable.
#![no_main]

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use drdiff::model::{Config, Weights};
use drdiff_fuzz::Folder;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static BASE: OnceLock<(Folder, Value)> = OnceLock::new();

fuzz_target!(init: {
    let folder = Folder::new();
    drdiff_fuzz::micro(&folder);
    let _ = BASE.set((folder, serde_json::from_str(drdiff_fuzz::MICRO).expect("the micro model is JSON")));
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

fn run(data: &[u8]) -> Result<()> {
    let Some((folder, base)) = BASE.get() else { return Ok(()) };
    let mut u = Unstructured::new(data);
    let bytes = match u.arbitrary::<u8>()? & 1 {
        1 => drdiff_fuzz::json::edited(base, &mut u)?.to_string().into_bytes(),
        _ => u.bytes(u.len())?.to_vec(),
    };
    if let Ok(config) = Config::read(&folder.write("config.json", &bytes)) {
        use_it(folder, &config);
    }
    Ok(())
}

fn use_it(folder: &Folder, config: &Config) {
    let _ = (config.head_dim(), config.expert_width(), config.modulation_len(), config.expert_costs());
    let _ = config.sharpening();
    for budget in [None, Some(0.0), Some(1e-300), Some(0.5), Some(1.0), Some(f64::NAN)] {
        let _ = config.lambda(budget);
    }
    for length in [0, 1, 5, 1 << 24, usize::MAX] {
        if let Ok(level) = config.level(length) {
            let _ = config.levels[level].pattern();
        }
    }
    // No weights are there: what this looks at are the shapes that are expected of them.
    assert!(Weights::read(folder.path(), &mut config.clone()).is_err());
}
