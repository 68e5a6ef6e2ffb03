//! Text and token ids.

use std::path::Path;

use super::config::Config;
use super::tokenizer::Tokenizer;
use crate::{Error, Result, memory};

/// The tokens of a model, and the tokenizer that makes them of text, if there is one: a model can be used by ids alone.
///
/// Text is text: what spells a special token, as `<eos>`, is read as its characters. Ids of special tokens are given
/// with [`super::Prompt::tokens`]. An added token that is not special is a word of the vocabulary as any other.
#[derive(Debug)]
pub struct Vocabulary {
    tokenizer: Option<Tokenizer>,
    eos: u32,
    /// Tokens; their ids are all below.
    count: usize,
    /// Texts go on past an end.
    continues: bool,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`. Its padding, truncation, dropout and post-processor are not used: they change a text.
    ///
    /// # Errors
    /// If it cannot be read, and as [`Vocabulary::parse`].
    #[cfg(not(target_family = "wasm"))]
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        Self::parse(path, &crate::files::read_model_file(path)?, config)
    }

    /// Reads the tokenizer of a folder: its `tokenizer.json`, or if there is none, its `vocab.json` and `merges.txt`.
    #[cfg(all(feature = "tokenizer", not(target_family = "wasm")))]
    pub(super) fn read_folder(folder: &Path, config: &Config) -> Result<Self> {
        use crate::files::{is_absent, read_model_file};

        let [json, vocab, merges] = ["tokenizer.json", "vocab.json", "merges.txt"].map(|name| folder.join(name));
        if !is_absent(&json) || is_absent(&vocab) {
            return Self::read(&json, config);
        }
        let (pieces, pairs) = (read_model_file(&vocab)?, read_model_file(&merges)?);
        let bytes = super::gpt2_files::tokenizer_json((&vocab, &pieces), (&merges, &pairs), config)?;
        Self::parse(&vocab, &bytes, config)
    }

    /// The same of the bytes of a `tokenizer.json`, which errors call `path`.
    ///
    /// # Errors
    /// If they are not a tokenizer, its ids are not those of the model's tokens, each once, or drdiff was built without
    /// its feature `tokenizer`.
    pub fn parse(path: &Path, json: &[u8], config: &Config) -> Result<Self> {
        let tokenizer = Tokenizer::parse(path, json, config)?;
        Ok(Self { eos: tokenizer.eos(), tokenizer: Some(tokenizer), ..Self::without_tokenizer(config) })
    }

    /// Tokens of which nobody says how they are spelled: text is refused.
    pub fn without_tokenizer(config: &Config) -> Self {
        let (eos, count, continues) = (config.eos_token, config.vocab_size, config.conventions.continues);
        Self { tokenizer: None, eos, count, continues }
    }

    /// Whether there is a tokenizer, so that text is taken and given.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer> {
        let expected = "one that was loaded with its `tokenizer.json`; without it, token ids are taken and given";
        self.tokenizer.as_ref().ok_or_else(|| Error::argument("the model", "without a tokenizer", expected))
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// If the tokenizer cannot take it whole, or takes a part of it for the end of text, or there is none.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        memory::copied("the tokens of a text", self.tokenizer()?.encode(text)?.get_ids())
    }

    /// The ids of a document, followed by its end, and how many bytes of text each stands for. A character split over
    /// tokens counts with the first; the end counts as one byte, the line's own.
    #[cfg(feature = "eval")]
    pub(crate) fn document(&self, line: &str) -> Result<(Vec<u32>, Vec<usize>)> {
        let encoding = self.tokenizer()?.encode(line)?;
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

    /// The token that ends a text.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The text of ids.
    ///
    /// # Errors
    /// If an id is unknown to the tokenizer, or there is none.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decoded(ids, false)
    }

    fn decoded(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let tokenizer = self.tokenizer()?;
        // The tokenizer's library leaves out what it does not know, and not all its decoders take nothing.
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.count) {
            return Err(Error::argument("a token id", id, format!("ids below {}", self.count)));
        }
        if ids.is_empty() {
            return Ok(String::new());
        }
        tokenizer.decode(ids, skip_special)
    }

    /// The text of a whole generation: it ends at the first end of text after the last position of the prompt; an end
    /// of text before that is ignored. A LangFlow model's text goes on to the last position.
    ///
    /// # Errors
    /// If an id is unknown to the tokenizer.
    pub fn finish(&self, ids: &[u32], prompt: &[Option<u32>]) -> Result<String> {
        if self.continues {
            return self.decoded(ids, true);
        }
        let given = prompt.iter().rposition(Option::is_some).map_or(0, |last| last + 1).min(ids.len());
        let free = ids[given..].iter().take_while(|&&id| id != self.eos);
        let ids = ids[..given].iter().chain(free).copied().filter(|&id| id != self.eos);
        self.decode(&memory::collected("a text", ids)?)
    }
}
