//! `tokenizer.json`: any bytes, and edits of a good one with parts of all kinds, then what the glue does with texts.
#![no_main]

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use drdiff::eval::Corpus;
use drdiff::model::{Config, Vocabulary};
use drdiff_fuzz::Folder;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static BASE: OnceLock<Base> = OnceLock::new();
const FILE: &str = "tokenizer.json";
const TOKENIZER: &str = include_str!("../src/tokenizer.json");

struct Base {
    folder: Folder,
    tokenizer: Value,
    /// For each place of a tokenizer, what can stand there: one of each kind that the format has.
    parts: Value,
    config: Config,
}

fuzz_target!(init: {
    drdiff_fuzz::one_thread();
    let tokenizer = serde_json::from_str(TOKENIZER).expect("the tokenizer is JSON");
    let parts = serde_json::from_str(include_str!("../src/parts.json")).expect("the parts are JSON");
    let folder = Folder::new();
    let mut config = drdiff_fuzz::micro(&folder);
    config.vocab_size = size(&tokenizer);
    Vocabulary::read(&folder.write(FILE, TOKENIZER.as_bytes()), &config).expect("it is accepted");
    let _ = BASE.set(Base { folder, tokenizer, parts, config });
    // The tokenizer's library panics at some files, and ours makes errors of that; any other panic is a finding.
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("/tokenizers-")) {
            abort(panic);
        }
    }));
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

impl Base {
    /// The tokenizer with some of its parts replaced by others.
    fn composed(&self, u: &mut Unstructured<'_>) -> Result<Value> {
        let mut all = self.tokenizer.clone();
        for (place, choices) in self.parts.as_object().into_iter().flatten() {
            if u.ratio(1, 4)? {
                all[place] = u.choose(choices.as_array().map_or(&[][..], Vec::as_slice))?.clone();
            }
        }
        Ok(all)
    }
}

/// As many tokens as the file probably has.
fn size(tokenizer: &Value) -> usize {
    let vocab = &tokenizer["model"]["vocab"];
    vocab.as_object().map(serde_json::Map::len).or_else(|| vocab.as_array().map(Vec::len)).unwrap_or(1)
}

fn run(data: &[u8]) -> Result<()> {
    let Some(base) = BASE.get() else { return Ok(()) };
    let mut u = Unstructured::new(data);
    let mut config = base.config.clone();
    let mode: u8 = u.arbitrary()?;
    let (bytes, text) = if mode & 1 == 1 {
        let composed = base.composed(&mut u)?;
        let edited = if u.ratio(1, 4)? { composed } else { drdiff_fuzz::json::edited(&composed, &mut u)? };
        config.vocab_size = size(&edited) + usize::from(u.ratio(1, 8)?);
        (edited.to_string().into_bytes(), drdiff_fuzz::json::text(&mut u)? + &drdiff_fuzz::json::text(&mut u)?)
    } else {
        (u.bytes(u.len())?.to_vec(), "the <eos>é\u{0}".to_owned())
    };
    let Ok(vocabulary) = Vocabulary::read(&base.folder.write(FILE, &bytes), &config) else { return Ok(()) };
    if let Ok(ids) = vocabulary.encode(&text) {
        let all = config.vocab_size as u32;
        assert!(ids.iter().all(|&id| id < all), "an id beyond the vocabulary");
        let _ = vocabulary.decode(&ids);
        let prompt = vec![None, ids.first().copied(), None];
        let _ = vocabulary.finish(&ids, &prompt);
        assert!(vocabulary.decode(&[0, all]).is_err(), "an id that no token has is decoded");
        let _ = vocabulary.decode(&[0, all - 1]);
        let _ = vocabulary.decode(&[]);
    }
    let _ = Corpus::new(&text, &vocabulary);
    Ok(())
}
