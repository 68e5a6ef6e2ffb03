//! `tokenizer.json`: what would change a text, or lose a part of it, without a word.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use drdiff::eval::Corpus;
use drdiff::{Model, Prompt, Sampler, SessionOptions};
use serde_json::{Value, json};

use super::{TINY, copy, load, refuses, said, spoil_tokenizer};

const TEXT: &str = "the king and the queen went into the city, and all the people said unto them";

fn tiny() -> Model {
    load(Path::new(TINY)).unwrap()
}

/// The ids are those of the unspoiled tokenizer.
#[track_caller]
fn encodes_as_ever(edit: impl Fn(&mut Value)) {
    let (model, ours) = (load(spoil_tokenizer(edit).path()).unwrap(), tiny());
    for text in [TEXT, " the  king ", "zzz"] {
        assert_eq!(model.vocabulary().encode(text).unwrap(), ours.vocabulary().encode(text).unwrap(), "{text}");
        let line = Corpus::new(text, model.vocabulary()).unwrap();
        assert_eq!(line.bytes(0..line.tokens().len()), text.len() + 1);
    }
}

#[track_caller]
fn cannot_encode(model: &Model, text: &str, words: &[&str]) {
    let error = model.vocabulary().encode(text).unwrap_err();
    let all = said(&error);
    assert!(error.is_usage() && words.iter().all(|word| all.contains(word)), "{all}");
    assert!(Corpus::new(text, model.vocabulary()).is_err());
}

#[test]
fn dropout_padding_truncation_and_templates_do_not_act() {
    let seen = |dropout: f64| {
        let model = load(spoil_tokenizer(|file| file["model"]["dropout"] = json!(dropout)).path()).unwrap();
        let ids = (0..40).map(|_| model.vocabulary().encode(TEXT).unwrap());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    let ours = tiny().vocabulary().encode(TEXT).unwrap();
    for dropout in [0.5, 1.0] {
        assert_eq!(seen(dropout).into_iter().collect::<Vec<_>>(), std::slice::from_ref(&ours), "dropout {dropout}");
    }
    encodes_as_ever(|file| {
        file["padding"] = json!({
            "strategy": { "Fixed": 64 }, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "<eos>",
        });
    });
    encodes_as_ever(|file| {
        file["truncation"] = json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
    });
    let template = |single: Value| {
        json!({
            "type": "TemplateProcessing", "single": single, "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }],
            "special_tokens": { "<eos>": { "id": "<eos>", "ids": [0], "tokens": ["<eos>"] } },
        })
    };
    let eos = json!({ "SpecialToken": { "id": "<eos>", "type_id": 0 } });
    let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    encodes_as_ever(|file| file["post_processor"] = template(json!([eos, text, eos])));
    encodes_as_ever(|file| file["post_processor"] = template(json!([eos])));
}

#[test]
fn what_spells_a_special_token_is_text() {
    let spelled = "And<eos>he";
    for special in [true, false] {
        for normalized in [true, false] {
            let folder = spoil_tokenizer(|file| {
                file["added_tokens"][0]["special"] = special.into();
                file["added_tokens"][0]["normalized"] = normalized.into();
            });
            let model = load(folder.path()).unwrap();
            let ids = model.vocabulary().encode(spelled).unwrap();
            assert!(!ids.contains(&0), "special {special}: {ids:?}");
            assert_eq!(model.vocabulary().decode(&ids).unwrap(), spelled);
            let corpus = Corpus::new(spelled, model.vocabulary()).unwrap();
            assert_eq!(corpus.tokens().iter().filter(|&&id| id == 0).count(), 1, "only the end of the line");
        }
    }
    let model = tiny();
    let mut session = model.session(SessionOptions { length: 32, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 1, ..Default::default() };
    let text = session.generate(&Prompt::prefix(spelled), &sampler, |_| ControlFlow::Continue(())).unwrap();
    assert!(text.starts_with(spelled), "{text}");
}

#[test]
fn an_end_of_text_that_a_text_can_only_be() {
    // The piece of the end is a word like others.
    let folder = spoil_tokenizer(|file| {
        file["added_tokens"] = json!([]);
        file["pre_tokenizer"] = Value::Null;
        file["model"]["ignore_merges"] = true.into();
    });
    let model = load(folder.path()).unwrap();
    cannot_encode(&model, "<eos>", &["`<eos>` at byte 0", "end of text"]);
    // What it does not know becomes the end.
    let folder = spoil_tokenizer(|file| {
        rename(file, "~", "<~>");
        file["model"]["unk_token"] = "<eos>".into();
    });
    cannot_encode(&load(folder.path()).unwrap(), "the~king", &["at byte 3", "end of text"]);
}

/// Gives the id of a piece to another.
fn rename(file: &mut Value, piece: &str, to: &str) {
    let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
    let id = vocabulary.remove(piece).expect("the piece is there");
    vocabulary.insert(to.to_owned(), id);
}

#[test]
fn text_that_would_vanish() {
    let folder = spoil_tokenizer(|file| {
        rename(file, "~", "<~>");
        rename(file, "\u{109}", "<tab>");
    });
    let model = load(folder.path()).unwrap();
    model.vocabulary().encode(TEXT).unwrap();
    cannot_encode(&model, "the~king", &["`~` at byte 3", "has a token for"]);
    cannot_encode(&model, "the\tking", &["`\\t` at byte 3", "has a token for"]);
    // Spaces may go where the tokenizer says so.
    let splitting = |behavior: &str| {
        let folder = spoil_tokenizer(|file| {
            let split =
                json!({ "type": "Split", "pattern": { "Regex": "\\s+" }, "behavior": behavior, "invert": false });
            let steps = json!([split, file["pre_tokenizer"]]);
            file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": steps });
            rename(file, "\u{109}", "<tab>");
        });
        load(folder.path()).unwrap()
    };
    splitting("Removed").vocabulary().encode("the\tking").unwrap();
    cannot_encode(&splitting("Isolated"), "the\tking", &["`\\t` at byte 3"]);
    let folder = spoil_tokenizer(|file| {
        rename(file, "~", "<~>");
        file["model"]["unk_token"] = "<nowhere>".into();
    });
    cannot_encode(&load(folder.path()).unwrap(), "the~king", &["not encodable", "<nowhere>"]);

    let normalizer = |normalizer: Value| load(spoil_tokenizer(|file| file["normalizer"] = normalizer.clone()).path());
    let gone = json!({ "type": "Replace", "pattern": { "Regex": "[aeiou]" }, "content": "" });
    cannot_encode(&normalizer(gone).unwrap(), "the king", &["`e` at byte 2"]);
    let lower = normalizer(json!({ "type": "Lowercase" })).unwrap();
    assert_eq!(lower.vocabulary().encode("THE King").unwrap(), tiny().vocabulary().encode("the king").unwrap());
    let strip = json!({ "type": "Strip", "strip_left": true, "strip_right": true });
    let stripping = normalizer(strip.clone()).unwrap();
    let mut session = stripping.session(SessionOptions { length: 32, ..Default::default() }).unwrap();
    let outcome = session.generate(&Prompt::prefix("   "), &Sampler::default(), |_| ControlFlow::Continue(()));
    assert!(said(&outcome.unwrap_err()).contains("the prompt is nothing to the tokenizer"));
    assert_eq!(
        normalizer(strip).unwrap().vocabulary().encode(" zzz ").unwrap(),
        tiny().vocabulary().encode("zzz").unwrap()
    );
}

#[test]
fn ids_are_of_one_piece_each() {
    let edited = |edit: &dyn Fn(&mut Value)| spoil_tokenizer(edit);
    let stray = edited(&|file| file["model"]["vocab"]["t"] = 999_999.into());
    refuses(stray.path(), &["tokenizer.json", "999999", "below 288"]);
    let gap = edited(&|file| file["model"]["vocab"]["t"] = 288.into());
    refuses(gap.path(), &["tokenizer.json", "`t` the id 288", "below 288"]);
    let twice = edited(&|file| file["model"]["vocab"]["t"] = file["model"]["vocab"]["~"].clone());
    refuses(twice.path(), &["tokenizer.json", "gives `t` and `~` the same id"]);
    let empty = edited(&|file| {
        file["model"]["vocab"] = json!({});
        file["model"]["merges"] = json!([]);
    });
    refuses(empty.path(), &["tokenizer.json", "expected the 288"]);
    let added = edited(&|file| file["added_tokens"][0]["id"] = 7.into());
    refuses(added.path(), &["tokenizer.json", "adds `<eos>` with the id 7, its vocabulary has 0"]);
    let nothing = edited(&|file| {
        let mut token = file["added_tokens"][0].clone();
        token["content"] = "".into();
        file["added_tokens"].as_array_mut().unwrap().push(token);
    });
    refuses(nothing.path(), &["tokenizer.json", "adds ``"]);
    let folder = copy();
    let path = folder.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"<eos>\": 0", "\"<eos>\": 3, \"<eos>\": 0", 1)).unwrap();
    refuses(folder.path(), &["tokenizer.json", "`<eos>` is there twice"]);
    fs::write(&path, format!("\u{feff}{text}")).unwrap();
    refuses(folder.path(), &["tokenizer.json", "byte-order mark"]);
}

#[test]
fn what_the_tokenizer_library_panics_at() {
    let charsmap = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" });
    let nested = json!({ "type": "Sequence", "normalizers": [{ "type": "Lowercase" }, charsmap] });
    for normalizer in [charsmap, nested] {
        let folder = spoil_tokenizer(|file| file["normalizer"] = normalizer.clone());
        refuses(folder.path(), &["tokenizer.json", "`Precompiled` normalizer"]);
    }
    let prefix = spoil_tokenizer(|file| file["model"]["continuing_subword_prefix"] = "\u{e9}\u{e9}\u{e9}".into());
    refuses(prefix.path(), &["tokenizer.json", "begins with the prefix"]);
    let dropout = spoil_tokenizer(|file| file["model"]["dropout"] = 7.into());
    refuses(dropout.path(), &["tokenizer.json", "not a tokenizer"]);
}

#[test]
fn ids_that_no_token_has() {
    let decoders = [Value::Null, json!({ "type": "BPEDecoder", "suffix": "e" }), json!({ "type": "Fuse" })];
    for decoder in decoders {
        let model = load(spoil_tokenizer(|file| file["decoder"] = decoder.clone()).path()).unwrap();
        let vocabulary = model.vocabulary();
        assert_eq!(vocabulary.decode(&[]).unwrap(), "");
        for ids in [&[288][..], &[1, u32::MAX]] {
            let error = vocabulary.decode(ids).unwrap_err();
            assert!(error.is_usage() && said(&error).contains("ids below 288"), "{}", said(&error));
        }
    }
}
