//! A model from bytes: what is wrong with a part is said of that part.

use std::fs;
use std::path::Path;

use drdiff::files::{tensors, write_tensors};
use drdiff::{Device, Error, Model};

use super::{TINY, said};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

/// The bytes of a model's parts, its tensors in two.
struct Parts {
    config: Vec<u8>,
    tokenizer: Vec<u8>,
    tensors: [Vec<u8>; 2],
}

impl Parts {
    fn tiny() -> Self {
        let read = |name: &str| fs::read(Path::new(TINY).join(name)).unwrap();
        let mut first = tensors(Path::new("x"), &read("model.safetensors")).unwrap();
        let second = first.split_off(first.len() / 2);
        let folder = tempfile::tempdir().unwrap();
        let tensors = [first, second].map(|part| {
            let path = folder.path().join("part");
            write_tensors(&path, &part).unwrap();
            fs::read(path).unwrap()
        });
        Self { config: read("config.json"), tokenizer: read("tokenizer.json"), tensors }
    }

    fn load(&self) -> Result<Model, Error> {
        Model::from_parts(&self.config, Some(&self.tokenizer), &self.tensors, &Device::Cpu)
    }
}

/// A model with one part spoiled is refused in a sentence that begins with the part's name.
#[track_caller]
fn refuses(spoil: impl Fn(&mut Parts), name: &str, words: &str) {
    let mut parts = Parts::tiny();
    spoil(&mut parts);
    let error = parts.load().unwrap_err();
    let said = said(&error);
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    assert!(said.starts_with(&format!("{name}: ")) && said.contains(words), "{said}");
}

#[test]
fn whole_parts_load() {
    Parts::tiny().load().unwrap();
}

#[test]
fn a_part_that_was_cut_short_is_named() {
    let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    refuses(|parts| half(&mut parts.config), "config.json", "EOF");
    refuses(|parts| half(&mut parts.tokenizer), "tokenizer.json", "EOF");
    for (index, name) in ["part 1 of the tensors", "part 2 of the tensors"].into_iter().enumerate() {
        refuses(|parts| half(&mut parts.tensors[index]), name, "not a safetensors file (its tensors do not fill it");
        refuses(|parts| parts.tensors[index].clear(), name, "not a safetensors file (it has 0 bytes");
    }
    refuses(|parts| parts.config.clear(), "config.json", "it is empty");
}

#[test]
fn a_part_of_another_model_is_named() {
    let other = |name: &str| fs::read(Path::new(SHIPPED).join(name)).unwrap();
    refuses(|parts| parts.config = other("config.json"), "tokenizer.json", "tokens, expected the");
    refuses(|parts| parts.tokenizer = other("tokenizer.json"), "tokenizer.json", "tokens, expected the");
    let whole = || other("model.safetensors");
    let alone = |parts: &Parts, bytes: &[u8]| Model::from_parts(&parts.config, None, [bytes], &Device::Cpu);
    let foreign = said(&alone(&Parts::tiny(), &whole()).unwrap_err());
    assert!(foreign.starts_with("part 1 of the tensors: `embedding` is f32"), "{foreign}");
    let lacking = said(&alone(&Parts::tiny(), &Parts::tiny().tensors[0]).unwrap_err());
    assert!(lacking.starts_with("the tensors: lacks the tensor"), "{lacking}");
    let none: [&[u8]; 0] = [];
    let none = said(&Model::from_parts(&Parts::tiny().config, None, none, &Device::Cpu).unwrap_err());
    assert!(none.starts_with("the tensors: lacks the tensor `embedding`"), "{none}");
    refuses(
        |parts| parts.tensors[1] = parts.tensors[0].clone(),
        "part 2 of the tensors",
        "which an earlier part holds",
    );
}

#[test]
fn parts_in_another_order_are_named() {
    refuses(|parts| std::mem::swap(&mut parts.config, &mut parts.tokenizer), "config.json", "does not say");
    refuses(|parts| std::mem::swap(&mut parts.config, &mut parts.tensors[0]), "config.json", "");
    refuses(|parts| std::mem::swap(&mut parts.tokenizer, &mut parts.tensors[0]), "tokenizer.json", "");
}
