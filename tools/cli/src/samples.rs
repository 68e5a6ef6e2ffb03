//! Texts for `drdiff eval --samples`.

use std::path::Path;

use drdiff::model::{Config, Corpus, Vocabulary};
use drdiff::{Error, Result};
use serde_json::Value;

/// Token ids of the texts in a file: of `.json` and `.jsonl` those that `generate --json` printed, one report or several
/// one behind the other, each text up to its first end; of any other file its lines together as one text.
pub fn read(path: &Path, vocabulary: &Vocabulary, config: &Config) -> Result<Vec<Vec<u32>>> {
    let is_json = path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
    if !is_json {
        return Ok(vec![Corpus::read(path, vocabulary)?.tokens().to_vec()]);
    }
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), doing: "read", source })?;
    let refuse = |problem: &str| Error::Format { path: path.to_owned(), problem: problem.to_owned(), source: None };
    let mut texts = Vec::new();
    for report in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let report = report.map_err(|source| Error::Format {
            path: path.to_owned(),
            problem: "not JSON".to_owned(),
            source: Some(Box::new(source)),
        })?;
        let found = report["texts"].as_array().and_then(|texts| texts.iter().map(tokens).collect::<Option<Vec<_>>>());
        texts.extend(
            found.ok_or_else(|| refuse("lacks `texts` with their `tokens`, as `generate --json` prints them"))?,
        );
    }
    if let Some(id) = texts.iter().flatten().find(|&&id| id as usize >= config.vocab_size) {
        return Err(refuse(&format!("holds the token {id}, expected ids below {}", config.vocab_size)));
    }
    for text in &mut texts {
        let end = text.iter().position(|&token| token == config.eos_token).map_or(text.len(), |end| end + 1);
        text.truncate(end);
    }
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() { Err(refuse("holds no text, expected at least one")) } else { Ok(texts) }
}

fn tokens(text: &Value) -> Option<Vec<u32>> {
    let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    text["tokens"].as_array()?.iter().map(id).collect()
}
