//! Text and token ids.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::models::ModelWrapper;
use tokenizers::{AddedToken, Encoding, PostProcessorWrapper, Tokenizer};

use super::Config;
use super::files::read_model_file;
use super::tokenizer_file::TokenizerFile;
use crate::error::short;
use crate::{Error, Result, memory};

/// Most bytes that the tokenizer takes, which ends the process where they are refused: for each byte of its file, for
/// each byte of a text that it encodes, for each id that it decodes, and for what it makes at its first call.
const READ: u64 = 60;
const ENCODED: u64 = 320;
const DECODED: u64 = 100;
const ONCE: u64 = 1 << 20;

/// How GPT-2's and BERT's tokenizers end a text: a LangFlow configuration does not say.
const END_TOKENS: [&str; 2] = ["<|endoftext|>", "[SEP]"];

/// The tokenizer of a model.
///
/// Text is text: what spells a special token, as `<eos>`, is read as its characters. Ids of special tokens are given
/// with [`super::Prompt::tokens`]. An added token that is not special is a word of the vocabulary as any other.
#[derive(Debug)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    eos: u32,
    /// Tokens; their ids are all below.
    count: usize,
    /// No character may go missing, not even a space.
    exact: bool,
    /// Texts go on past an end: the model writes several, one after another, and special tokens say nothing.
    continues: bool,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`. Its padding, truncation, dropout and post-processor are not used: they change a text.
    ///
    /// # Errors
    /// Where it cannot be read, or its ids are not those of the model's tokens, each once.
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        let bytes = read_model_file(path)?;
        memory::room("the tokenizer", READ * bytes.len() as u64)?;
        let file = TokenizerFile::new(path, bytes)?;
        let refuse = |problem: &str, source| Error::Format {
            path: path.to_owned(),
            problem: problem.to_owned(),
            source: Some(source),
        };
        let loaded = guarded(|| Tokenizer::from_bytes(file.text.as_bytes()));
        let mut tokenizer = loaded.map_err(|source| refuse("not a tokenizer", source))?;
        check_ids(path, &file, &tokenizer, config.vocab_size)?;
        tokenizer.with_padding(None);
        let untruncated = tokenizer.with_truncation(None).map(|_| ());
        untruncated.map_err(|source| refuse("cannot be used without truncation", source))?;
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        if let ModelWrapper::BPE(bpe) = tokenizer.get_model()
            && bpe.dropout.is_some()
        {
            let mut steady = bpe.clone();
            steady.dropout = None;
            tokenizer.with_model(steady);
        }
        let eos = match config.langflow {
            None => config.eos_token,
            Some(_) => END_TOKENS.iter().find_map(|end| tokenizer.token_to_id(end)).unwrap_or(config.eos_token),
        };
        if let Some(end) = tokenizer.get_added_tokens_decoder().get(&eos).filter(|token| !token.special) {
            let end: AddedToken = end.clone().special(true);
            tokenizer.add_special_tokens(&[end]);
        }
        tokenizer.set_encode_special_tokens(true);
        let (exact, continues) = (file.is_exact(), config.langflow.is_some());
        Ok(Self { tokenizer, eos, count: config.vocab_size, exact, continues })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Where the tokenizer cannot take it whole, or takes a part of it for the end of text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        memory::copied("the tokens of a text", self.encoding(text)?.get_ids())
    }

    fn encoding(&self, text: &str) -> Result<Encoding> {
        memory::room("the tokens of a text", ONCE + ENCODED * text.len() as u64)?;
        let encoding = guarded(|| self.tokenizer.encode(text, false)).map_err(|error| {
            Error::argument("the text", format!("not encodable ({error})"), "text the tokenizer takes")
        })?;
        if let Some(at) = encoding.get_ids().iter().position(|&id| id == self.eos) {
            let (start, end) = encoding.get_offsets()[at];
            let found = format!("`{}` at byte {start}", short(text.get(start..end).unwrap_or("a word"), 80));
            let expected = "none that the tokenizer can only read as the end of text";
            return Err(Error::argument("a part of the text", found, expected));
        }
        match lost(text, encoding.get_offsets(), self.exact)? {
            None => Ok(encoding),
            Some((at, c)) => {
                let found = format!("`{}` at byte {at}", c.escape_default());
                Err(Error::argument("a character of the text", found, "one that the tokenizer has a token for"))
            }
        }
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

    /// The token that ends a text.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The text of ids.
    ///
    /// # Errors
    /// Where an id is unknown to the tokenizer.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decoded(ids, false)
    }

    fn decoded(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        // The tokenizer's library leaves out what it does not know, and not all its decoders take nothing.
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.count) {
            return Err(Error::argument("a token id", id, format!("ids below {}", self.count)));
        }
        if ids.is_empty() {
            return Ok(String::new());
        }
        memory::room("a text", ONCE + DECODED * ids.len() as u64)?;
        guarded(|| self.tokenizer.decode(ids, skip_special))
            .map_err(|error| Error::argument("token ids", format!("not decodable ({error})"), "ids of the vocabulary"))
    }

    /// The text of a whole generation: it ends at the first end of text behind the last position of the prompt, and an
    /// end of text ahead of that says nothing. A LangFlow model's text goes on to the last position.
    ///
    /// # Errors
    /// Where an id is unknown to the tokenizer.
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

/// Calls the tokenizer's library, which panics at some files and texts: that must not go through to a caller.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("the tokenizer failed: {}", said.unwrap_or("no reason given")).into())
    })
}

/// Sees that the tokenizer's ids are 0 to `count` - 1, each of one piece, and the file's own for what it adds.
fn check_ids(path: &Path, file: &TokenizerFile, tokenizer: &Tokenizer, count: usize) -> Result<()> {
    let refuse = |problem: String| Err(Error::format(path, problem));
    let found = tokenizer.get_vocab_size(true);
    if found != count {
        return refuse(format!("has {found} tokens, expected the {count} of config.json"));
    }
    let mut pieces: Vec<(String, u32)> = tokenizer.get_vocab(true).into_iter().collect();
    pieces.sort_unstable_by(|(a, x), (b, y)| (x, a).cmp(&(y, b)));
    if let Some([(a, id), (b, _)]) = pieces.array_windows().find(|[(_, x), (_, y)]| x == y) {
        let (a, b) = (short(a, 80), short(b, 80));
        return refuse(format!("gives `{a}` and `{b}` the same id {id}, expected one piece for each id"));
    }
    if let Some((piece, id)) = pieces.last().filter(|(_, id)| *id as usize >= count) {
        let piece = short(piece, 80);
        return refuse(format!("gives `{piece}` the id {id}, expected ids below {count}"));
    }
    for (piece, id) in file.added_tokens() {
        let own = tokenizer.token_to_id(piece);
        if own != Some(id) {
            let (piece, own) = (short(piece, 80), own.map_or("none".to_owned(), |own| own.to_string()));
            return refuse(format!("adds `{piece}` with the id {id}, its vocabulary has {own} for it"));
        }
    }
    Ok(())
}

/// The first character of `text` that no token stands for. Tokenizers drop spaces and what cannot be seen, unless they
/// are `exact`.
fn lost(text: &str, offsets: &[(usize, usize)], exact: bool) -> Result<Option<(usize, char)>> {
    let mut spans = memory::copied("the places of a text's tokens", offsets)?;
    spans.sort_unstable();
    let mut spans = spans.into_iter().peekable();
    let mut reached = 0;
    Ok(text.char_indices().find(|&(at, c)| {
        while let Some((_, end)) = spans.next_if(|&(start, _)| start <= at) {
            reached = reached.max(end);
        }
        at >= reached && (exact || !unseen(c))
    }))
}

/// Spaces, control and format characters, and the accents that a decomposed letter leaves behind.
fn unseen(c: char) -> bool {
    let marks = ['\u{300}'..='\u{36f}', '\u{200b}'..='\u{200f}', '\u{2060}'..='\u{2064}', '\u{fe00}'..='\u{fe0f}'];
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{feff}' | '\u{fffd}' | '\u{ad}')
        || marks.iter().any(|m| m.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_token_covers_is_found() {
        let lost = |text, offsets: &[_], exact| super::lost(text, offsets, exact).unwrap();
        assert_eq!(lost("a b", &[(0, 1), (2, 3)], false), None);
        assert_eq!(lost("a b", &[(0, 1), (2, 3)], true), Some((1, ' ')));
        assert_eq!(lost("a\u{e9}b", &[(0, 1), (3, 4)], false), Some((1, '\u{e9}')));
        // A character in two tokens, and tokens out of order.
        assert_eq!(lost("\u{e9}b", &[(0, 2), (0, 2), (2, 3)], true), None);
        assert_eq!(lost("abc", &[(2, 3), (0, 2)], true), None);
        assert_eq!(lost("abc", &[], false), Some((0, 'a')));
        assert_eq!(lost("e\u{301}", &[(0, 1)], false), None);
    }

    #[test]
    fn a_panic_of_the_library_is_an_error() {
        let error = guarded::<()>(|| panic!("at {}", 3)).unwrap_err();
        assert_eq!(error.to_string(), "the tokenizer failed: at 3");
    }
}
