//! Texts for `drdiff eval --samples`.

use std::path::Path;

use drdiff::eval::Corpus;
use drdiff::files::read_text;
use drdiff::model::{Config, Vocabulary};
use drdiff::{Error, Result, memory};
use serde::Deserialize;

/// Most bytes that a report takes once it is parsed, for each byte of its file.
const PARSED: u64 = 16;

/// What `generate --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Report {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    tokens: Vec<u32>,
}

/// Token ids of the texts in a file: from `.json` and `.jsonl`, those that `generate --json` printed (one report or
/// several in a row), each up to its first end; from any other file, all lines as one text.
pub fn read(path: &Path, vocabulary: &Vocabulary, config: &Config) -> Result<Vec<Vec<u32>>> {
    let is_json = path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
    if !is_json {
        return Ok(vec![memory::copied("a text", Corpus::read(path, vocabulary)?.tokens())?]);
    }
    let text = read_text(path)?;
    memory::room("the texts of a file", PARSED * text.len() as u64)?;
    let refuse = |problem: &str| Error::Format { path: path.to_owned(), problem: problem.to_owned(), source: None };
    let mut texts = Vec::new();
    for report in serde_json::Deserializer::from_str(&text).into_iter::<Report>() {
        let report = report.map_err(|source| Error::Format {
            path: path.to_owned(),
            problem: match source.is_data() {
                true => "lacks `texts` with their `tokens`, as `generate --json` prints them".to_owned(),
                false => "not JSON".to_owned(),
            },
            source: Some(Box::new(source)),
        })?;
        texts.extend(report.texts.into_iter().map(|text| text.tokens));
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
