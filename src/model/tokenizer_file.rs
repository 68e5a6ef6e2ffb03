//! `tokenizer.json` as it is written, for what the tokenizer's library takes without a word.

use std::path::Path;

use serde_json::Value;

use crate::error::short;
use crate::files::json;
use crate::{Error, Result};

/// What the file says.
pub(super) struct TokenizerFile {
    value: Value,
}

impl TokenizerFile {
    /// The file of this text, without what the library would panic at.
    ///
    /// # Errors
    /// If it is not strict JSON, or cannot be used.
    pub fn new(path: &Path, text: &str) -> Result<Self> {
        let file = Self { value: json::parse(path, text, "a tokenizer")? };
        match file.unusable() {
            None => Ok(file),
            Some(problem) => Err(Error::format(path, problem)),
        }
    }

    /// The added tokens and their ids.
    pub fn added_tokens(&self) -> impl Iterator<Item = (&str, u32)> {
        let tokens = self.value["added_tokens"].as_array().into_iter().flatten();
        tokens.filter_map(|token| Some((token["content"].as_str()?, u32::try_from(token["id"].as_u64()?).ok()?)))
    }

    /// Whether a text is cut into bytes and nothing is removed on the way: then not even a space may go missing.
    pub fn is_exact(&self) -> bool {
        let whole = &self.value["pre_tokenizer"];
        let steps = whole["pretokenizers"].as_array().map_or(std::slice::from_ref(whole), Vec::as_slice);
        let keeps = |step: &Value| match step["type"].as_str() {
            Some("ByteLevel" | "Digits") => true,
            Some("Split" | "Punctuation") => step["behavior"] != "Removed",
            _ => false,
        };
        let bytes = steps.iter().any(|step| step["type"] == "ByteLevel");
        self.value["normalizer"].is_null() && bytes && steps.iter().all(keeps)
    }

    fn unusable(&self) -> Option<String> {
        let charsmap = |value: &Value| value.get("precompiled_charsmap").is_some() || value["type"] == "Precompiled";
        if holds(&self.value["normalizer"], &charsmap) {
            return Some("has a `Precompiled` normalizer, expected one that is written out".to_owned());
        }
        // The library cuts the prefix off the second part of each merge without looking.
        let model = &self.value["model"];
        let prefix = model["continuing_subword_prefix"].as_str().filter(|prefix| !prefix.is_empty())?;
        let merges = model["merges"].as_array().into_iter().flatten();
        let second = |merge: &'_ Value| -> Option<String> {
            let pair = merge.as_str().and_then(|text| text.split_once(' ')).map(|(_, second)| second.to_owned());
            pair.or_else(|| Some(merge[1].as_str()?.to_owned()))
        };
        let wrong = merges.filter_map(second).find(|second| !second.starts_with(prefix))?;
        let (wrong, prefix) = (short(&wrong, 80), short(prefix, 80));
        Some(format!("merges with `{wrong}`, expected a second part that begins with the prefix `{prefix}`"))
    }
}

/// Whether an object anywhere in `value` is as `is` says.
fn holds(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Object(map) => is(value) || map.values().any(|inner| holds(inner, is)),
        Value::Array(list) => list.iter().any(|inner| holds(inner, is)),
        _ => false,
    }
}
