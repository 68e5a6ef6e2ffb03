//! Weights: safetensors files and their index, as bytes and put together from parts.
#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use drdiff::files::tensors;
use drdiff::model::{Config, Weights};
use drdiff_fuzz::Folder;
use drdiff_fuzz::json::text;
use libfuzzer_sys::fuzz_target;

static BASE: OnceLock<(Folder, Config)> = OnceLock::new();
const INDEX: &str = "model.safetensors.index.json";
const NAMES: [&str; 3] = ["a.safetensors", "b.safetensors", "model.safetensors"];

fuzz_target!(init: {
    let folder = Folder::new();
    let config = drdiff_fuzz::micro(&folder);
    let files = Files::from([("model.safetensors".to_owned(), file(&model()))]);
    load(&folder, &config, &files).expect("the unspoiled model loads");
    let _ = BASE.set((folder, config));
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

type Files = BTreeMap<String, Vec<u8>>;

/// A tensor in a header, as a file may say it.
#[derive(Clone)]
struct Part {
    name: String,
    dtype: &'static str,
    shape: Vec<u64>,
    offsets: [u64; 2],
}

fn load(folder: &Folder, config: &Config, files: &Files) -> drdiff::Result<Weights> {
    for name in NAMES.iter().chain(&[INDEX]) {
        match files.get(*name) {
            Some(bytes) => drop(folder.write(name, bytes)),
            None => folder.remove(name),
        }
    }
    Weights::read(folder.path(), &mut config.clone())
}

fn run(data: &[u8]) -> Result<()> {
    let Some((folder, config)) = BASE.get() else { return Ok(()) };
    let mut u = Unstructured::new(data);
    let mut config = config.clone();
    let mut files = Files::new();
    match u.int_in_range(0..=3)? {
        0 => drop(files.insert("model.safetensors".to_owned(), u.bytes(u.len())?.to_vec())),
        1 => {
            files.insert("model.safetensors".to_owned(), file(&model()));
            files.insert(INDEX.to_owned(), u.bytes(u.len())?.to_vec());
        }
        2 => {
            let mut parts = model();
            spoil(&mut parts, &mut u)?;
            if u.ratio(1, 4)? {
                config.emphasis = 0.5;
            }
            let mut bytes = file(&parts);
            if u.ratio(1, 4)? {
                let len = u.arbitrary_len::<u8>()?.min(bytes.len());
                bytes.truncate(bytes.len() - len);
            }
            if u.ratio(1, 8)? {
                bytes[..8].copy_from_slice(&u.arbitrary::<u64>()?.to_le_bytes());
            }
            files.insert("model.safetensors".to_owned(), bytes);
        }
        _ => shards(&mut files, &mut u)?,
    }
    for bytes in files.values() {
        let _ = tensors(folder.path(), bytes);
    }
    if let Ok(weights) = load(folder, &config, &files) {
        for (name, tensor) in weights.named() {
            assert!(tensor.as_f32().is_some_and(|data| data.iter().all(|x| x.is_finite())), "{name}");
        }
    }
    Ok(())
}

/// The micro model in up to three files, and their index.
fn shards(files: &mut Files, u: &mut Unstructured<'_>) -> Result<()> {
    let mut shards: [Vec<Part>; 3] = Default::default();
    let mut map = Vec::new();
    for part in model() {
        let at = u.choose_index(NAMES.len())?;
        let said = if u.ratio(1, 40)? { u.choose_index(NAMES.len())? } else { at };
        let said = if u.ratio(1, 40)? { text(u)? } else { NAMES[said].to_owned() };
        map.push((part.name.clone(), serde_json::Value::from(said)));
        shards[at].push(part);
    }
    for (name, mut parts) in NAMES.into_iter().zip(shards) {
        let mut end = 0;
        for part in &mut parts {
            let len = part.offsets[1] - part.offsets[0];
            part.offsets = [end, end + len];
            end += len;
        }
        if u.ratio(1, 8)? {
            spoil(&mut parts, u)?;
        }
        files.insert(name.to_owned(), file(&parts));
    }
    let map = serde_json::json!({ "weight_map": map.into_iter().collect::<serde_json::Map<_, _>>() });
    let map = if u.ratio(1, 4)? { drdiff_fuzz::json::edited(&map, u)? } else { map };
    files.insert(INDEX.to_owned(), map.to_string().into_bytes());
    Ok(())
}

fn spoil(parts: &mut Vec<Part>, u: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..u.int_in_range(0..=3)? {
        if parts.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(parts.len())?;
        let part = &mut parts[index];
        match u.int_in_range(0..=8)? {
            0 => part.name = text(u)?,
            1 => part.dtype = u.choose(&["F16", "BF16", "U32", "F64", "BOOL", "F4", "F8_E4M3", "I8", "F33", ""])?,
            2 => part.shape.push(number(u)?),
            3 => drop(part.shape.pop()),
            4 => {
                if let Some(size) = part.shape.first_mut() {
                    *size = number(u)?;
                }
            }
            5 => part.offsets[usize::from(u.arbitrary::<bool>()?)] = number(u)?,
            6 => part.offsets = [part.offsets[1], part.offsets[0]],
            7 => {
                let copy = part.clone();
                parts.push(copy);
            }
            _ => drop(parts.remove(index)),
        }
    }
    Ok(())
}

fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=2)? {
        0 => u.int_in_range(0..=200)?,
        1 => 1 << u.int_in_range(0..=63)?,
        _ => u.arbitrary()?,
    })
}

/// A safetensors file with these tensors in its header, and as many bytes as the furthest needs (4 KiB at most).
fn file(parts: &[Part]) -> Vec<u8> {
    let tensors = parts.iter().map(|part| {
        let name = serde_json::Value::from(part.name.as_str());
        let Part { dtype, shape, offsets, .. } = part;
        format!(r#"{name}:{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#)
    });
    let header = format!("{{{}}}", tensors.collect::<Vec<_>>().join(","));
    let end = parts.iter().map(|part| part.offsets[1]).max().unwrap_or(0).min(4096);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..end).map(|i| if i % 4 == 3 { 0x3f } else { 0 }));
    bytes
}

/// Names and shapes of the micro model, one behind the other.
fn model() -> Vec<Part> {
    let shapes: [(&str, &[u64]); 25] = [
        ("embedding", &[3, 2]),
        ("absorb", &[2]),
        ("input.z.weight", &[2, 2]),
        ("input.self.weight", &[2, 2]),
        ("input.flag", &[3, 2]),
        ("input.place.weight", &[2, 2]),
        ("time.in.weight", &[4, 4]),
        ("time.in.bias", &[4]),
        ("time.out.weight", &[4, 4]),
        ("time.out.bias", &[4]),
        ("modulation.weight", &[16, 4]),
        ("modulation.bias", &[16]),
        ("layers.0.attention.query.weight", &[2, 2]),
        ("layers.0.attention.key.weight", &[2, 2]),
        ("layers.0.attention.value.weight", &[2, 2]),
        ("layers.0.attention.output.weight", &[2, 2]),
        ("layers.0.router.weight", &[2, 2]),
        ("layers.0.router.bias", &[2]),
        ("layers.0.router.difficulty", &[2]),
        ("layers.0.experts.gate", &[1, 2]),
        ("layers.0.experts.up", &[1, 2]),
        ("layers.0.experts.down", &[2, 1]),
        ("output.unembed", &[3, 2]),
        ("anchor.weight", &[2, 2]),
        ("anchor.bias", &[2]),
    ];
    let mut end = 0;
    let part = |(name, shape): (&str, &[u64])| {
        let begin = end;
        end += 4 * shape.iter().product::<u64>();
        Part { name: name.to_owned(), dtype: "F32", shape: shape.to_vec(), offsets: [begin, end] }
    };
    shapes.into_iter().map(part).collect()
}
