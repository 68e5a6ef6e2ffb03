//! Weights and their index: what a safetensors file may claim.

use std::fs;
use std::path::Path;

use drdiff::Tensor;
use drdiff::files::{tensors, write_tensors};

use super::{copy, load, refuses, said, spoil_weights};

#[test]
fn truncated_and_hostile_weights() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let good = fs::read(&path).unwrap();
    for cut in [0, 1, 7, 8, 9, 100, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..cut]).unwrap();
        refuses(folder.path(), &["model.safetensors", "not a safetensors file"]);
    }
    for header in [0_u64, 1, 1 << 20, 1 << 40, u64::MAX] {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&header.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        refuses(folder.path(), &["model.safetensors", "not a safetensors file"]);
    }
    let header = |json: &str, data: usize| {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    for json in [
        // Overlapping, out of range, a gap, too short for the shape, an overflowing shape, no JSON.
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4000]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
        r#"{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,12]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,12]}}"#,
        "{",
    ] {
        fs::write(&path, header(json, 12)).unwrap();
        refuses(folder.path(), &["model.safetensors", "not a safetensors file"]);
    }
}

#[test]
fn tensors_that_do_not_fit_the_configuration() {
    let missing = spoil_weights(|all| all.retain(|(name, _)| name != "absorb"));
    refuses(missing.path(), &["lacks the tensor `absorb`", "[16]"]);
    let extra = spoil_weights(|all| all.push(("bonus".into(), Tensor::f32([1], vec![0.0]).unwrap())));
    refuses(extra.path(), &["holds `bonus`"]);
    let swap = |name: &'static str, tensor: Tensor| {
        spoil_weights(move |all| {
            all.iter_mut().filter(|(key, _)| key == name).for_each(|(_, old)| *old = tensor.clone());
        })
    };
    refuses(swap("absorb", Tensor::f32([15], vec![0.0; 15]).unwrap()).path(), &["`absorb` is f32 [15]", "[16]"]);
    refuses(swap("absorb", Tensor::u32([16], vec![0; 16]).unwrap()).path(), &["`absorb` is u32 [16]"]);
    let mut nan = vec![0.0; 16];
    nan[3] = f32::NAN;
    refuses(swap("absorb", Tensor::f32([16], nan).unwrap()).path(), &["element 3 of `absorb` is not finite"]);
}

#[test]
fn shards_load_and_their_index_is_held_to_its_word() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let mut first = tensors(&path, &fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    let second = first.split_off(first.len() / 2);
    let mut map = serde_json::Map::new();
    for (shard, part) in [("a.safetensors", &first), ("b.safetensors", &second)] {
        write_tensors(&folder.path().join(shard), part).unwrap();
        map.extend(part.iter().map(|(name, _)| (name.clone(), shard.into())));
    }
    let index = folder.path().join("model.safetensors.index.json");
    let write = |map: &serde_json::Map<String, serde_json::Value>| {
        fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    };
    write(&map);
    load(folder.path()).unwrap();
    let mut wrong = map.clone();
    wrong.insert(first[0].0.clone(), "b.safetensors".into());
    write(&wrong);
    refuses(folder.path(), &["index.json", "lacks it"]);
    let mut outside = map.clone();
    outside.insert(first[0].0.clone(), "../a.safetensors".into());
    write(&outside);
    refuses(folder.path(), &["../a.safetensors", "file name in the same folder"]);
    write(&map);
    fs::remove_file(folder.path().join("b.safetensors")).unwrap();
    refuses(folder.path(), &["b.safetensors", "cannot read"]);
}

/// A safetensors file of a header and zeros.
fn file(header: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn a_header_that_says_a_thing_twice() {
    let refused = |header: &[u8], words: &[&str]| {
        let said = said(&tensors(Path::new("x.safetensors"), &file(header, 8)).unwrap_err());
        assert!(words.iter().all(|word| said.contains(word)) && said.starts_with("x.safetensors"), "{said}");
    };
    let a = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    tensors(Path::new("x"), &file(format!("{{{a}}}").as_bytes(), 8)).unwrap();
    refused(format!("{{{a},{a}}}").as_bytes(), &["`a` is there twice"]);
    let other = r#""a":{"dtype":"U32","shape":[1,2],"data_offsets":[0,8]}"#;
    refused(format!("{{{a},{other}}}").as_bytes(), &["`a` is there twice"]);
    refused(br#"{"a":{"dtype":"F32","dtype":"U32","shape":[2],"data_offsets":[0,8]}}"#, &["`dtype` is there twice"]);
    let metadata = format!(r#"{{"__metadata__":{{"x":"1","x":"2"}},{a}}}"#);
    refused(metadata.as_bytes(), &["`x` is there twice"]);
    refused(b"\xef\xbb\xbf{}", &["byte-order mark"]);
    refused(b"{\"\xff\":1}", &["header is not UTF-8"]);
    refused(b"[]", &["not a safetensors file"]);
    refused(b"{}", &["do not fill it exactly"]);
    let types = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    refused(types.as_bytes(), &["`a` is I64, expected F32, F16, BF16 or U32"]);
}

#[test]
fn messages_do_not_repeat_a_file() {
    let name = "n".repeat(1 << 20);
    let header = format!(r#"{{"{name}":{{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}}}"#);
    let error = said(&tensors(Path::new("x"), &file(header.as_bytes(), 8)).unwrap_err());
    assert!(error.len() < 500 && error.contains("F64"), "{} bytes", error.len());
    let deep = Tensor::f32(vec![1; 100_000], vec![0.0]).unwrap();
    let odd =
        spoil_weights(move |all| all.iter_mut().filter(|(n, _)| n == "absorb").for_each(|(_, t)| *t = deep.clone()));
    let error = said(&load(odd.path()).unwrap_err());
    assert!(error.contains("`absorb` is f32 of 100000 dimensions") && error.len() < 500, "{} bytes", error.len());
}

#[test]
fn an_index_is_read_strictly() {
    let folder = copy();
    let index = folder.path().join("model.safetensors.index.json");
    std::os::unix::fs::symlink("nowhere.json", &index).unwrap();
    refuses(folder.path(), &["cannot read", "model.safetensors.index.json"]);
    fs::remove_file(&index).unwrap();
    load(folder.path()).unwrap();
    for (text, words) in [
        (r#"{"weight_map":{"absorb":"a","absorb":"b"}}"#, "`absorb` is there twice"),
        (r#"{"weight_map":{"absorb":3}}"#, "`weight_map.absorb`: integer `3`, expected a string"),
        ("{}", "missing field `weight_map`"),
        ("\u{feff}{}", "byte-order mark"),
        ("", "it is empty"),
        (r#"{"weight_map":{}}"#, "lacks the tensor"),
    ] {
        fs::write(&index, text).unwrap();
        refuses(folder.path(), &[words]);
    }
    for shard in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\\\b", "a/"] {
        fs::write(&index, format!(r#"{{"weight_map":{{"absorb":"{shard}"}}}}"#)).unwrap();
        refuses(folder.path(), &["index.json", "expected a file name in the same folder"]);
    }
    // A shard that holds more than the index says.
    let all = tensors(Path::new("x"), &fs::read(folder.path().join("model.safetensors")).unwrap()).unwrap();
    let map: serde_json::Map<_, _> =
        all.iter().skip(1).map(|(name, _)| (name.clone(), "model.safetensors".into())).collect();
    fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    refuses(folder.path(), &[&format!("holds `{}`", all[0].0), "does not list"]);
}

#[test]
fn model_files_are_regular_files() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = copy();
        let path = folder.path().join(name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refuses(folder.path(), &[name, "is a folder, expected a file"]);
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refuses(folder.path(), &[name, "expected a regular file"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        refuses(folder.path(), &[name]);
    }
}
