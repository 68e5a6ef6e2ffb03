//! Text and token ids.

use std::path::Path;

use tokenizers::{Encoding, Tokenizer};

use super::Config;
use super::weights::read_whole;
use crate::{Error, Result, memory};

/// Most bytes that the tokenizer takes, which ends the process where they are refused: for each byte of its file, for
/// each byte of a text that it encodes, and for each id that it decodes.
const READ: u64 = 40;
const ENCODED: u64 = 400;
const DECODED: u64 = 200;

/// The tokenizer of a model.
#[derive(Debug)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    eos: u32,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Where it cannot be read, or has not as many tokens as the model.
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        let bytes = read_whole(path)?;
        memory::room("the tokenizer", READ * bytes.len() as u64)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|source| Error::Format {
            path: path.to_owned(),
            problem: "not a tokenizer".to_owned(),
            source: Some(source),
        })?;
        let (found, expected) = (tokenizer.get_vocab_size(true), config.vocab_size);
        if found != expected {
            let problem = format!("has {found} tokens, expected the {expected} of config.json");
            return Err(Error::format(path, problem));
        }
        if let Some((token, id)) = tokenizer.get_vocab(true).into_iter().find(|(_, id)| *id as usize >= expected) {
            let problem = format!("gives `{token}` the id {id}, expected ids below {expected}");
            return Err(Error::format(path, problem));
        }
        // A file may ask for padding to a fixed length, which is no part of a text here.
        tokenizer.with_padding(None);
        let untruncated = tokenizer.with_truncation(None).map(|_| ());
        untruncated.map_err(|source| Error::Format {
            path: path.to_owned(),
            problem: "cannot be used without truncation".to_owned(),
            source: Some(source),
        })?;
        Ok(Self { tokenizer, eos: config.eos_token })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Where the tokenizer cannot take it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        memory::copied("the tokens of a text", self.encoding(text)?.get_ids())
    }

    fn encoding(&self, text: &str) -> Result<Encoding> {
        memory::room("the tokens of a text", ENCODED * text.len() as u64)?;
        let encoding = self.tokenizer.encode(text, false);
        encoding.map_err(|error| {
            Error::argument("the text", format!("not encodable ({error})"), "text the tokenizer takes")
        })
    }

    /// The ids of a document with its end behind it, and the bytes of text that each stands for: those behind the
    /// token before. A character split over tokens counts with the first, the end for one byte, the line's own.
    pub(super) fn document(&self, line: &str) -> Result<(Vec<u32>, Vec<usize>)> {
        let encoding = self.encoding(line)?;
        let mut reached = 0;
        let advance = |&(_, end): &(usize, usize)| {
            let bytes = end.saturating_sub(reached);
            reached += bytes;
            bytes
        };
        let what = "the tokens of a text";
        let mut bytes = memory::collected(what, encoding.get_offsets().iter().map(advance))?;
        memory::extend(what, &mut bytes, [line.len().saturating_sub(reached) + 1])?;
        let ids = encoding.get_ids().iter().copied().chain([self.eos]);
        Ok((memory::collected(what, ids)?, bytes))
    }

    /// The text of ids.
    ///
    /// # Errors
    /// Where an id is unknown to the tokenizer.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        memory::room("a text", DECODED * ids.len() as u64)?;
        self.tokenizer
            .decode(ids, false)
            .map_err(|error| Error::argument("token ids", format!("not decodable ({error})"), "ids of the vocabulary"))
    }

    /// The text of a whole generation: it ends at the first end of text behind the last position of the prompt, and an
    /// end of text ahead of that says nothing.
    ///
    /// # Errors
    /// Where an id is unknown to the tokenizer.
    pub fn finish(&self, ids: &[u32], prompt: &[Option<u32>]) -> Result<String> {
        let given = prompt.iter().rposition(Option::is_some).map_or(0, |last| last + 1).min(ids.len());
        let free = ids[given..].iter().take_while(|&&id| id != self.eos);
        let ids = ids[..given].iter().chain(free).copied().filter(|&id| id != self.eos);
        self.decode(&memory::collected("a text", ids)?)
    }
}
