//! The tokenizer of a model: what the tokenizer's library makes of a `tokenizer.json`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use tokenizers::Encoding;
use tokenizers::models::ModelWrapper;
use tokenizers::{AddedToken, PostProcessorWrapper, Tokenizer as Library};

use super::config::Config;
use super::tokenizer_file::TokenizerFile;
use crate::error::short;
use crate::files::utf8;
use crate::{Error, Result, memory};

/// Most bytes that the tokenizer takes, which ends the process where they are refused: for each byte of its file, for
/// each byte of a text that it encodes, for each id that it decodes, and for what it makes once, at whichever call.
const READ: u64 = 60;
const ENCODED: u64 = 320;
const DECODED: u64 = 100;
const ONCE: u64 = 1 << 20;

/// A tokenizer whose ids are those of the model's tokens, each once.
#[derive(Debug)]
pub struct Tokenizer {
    library: Library,
    /// The token that ends a text.
    eos: u32,
    /// No character may go missing, not even a space.
    exact: bool,
}

impl Tokenizer {
    /// Takes the bytes of a `tokenizer.json`, which errors call `path`.
    ///
    /// # Errors
    /// If they are not a tokenizer, or one of another model.
    pub fn parse(path: &Path, json: &[u8], config: &Config) -> Result<Self> {
        memory::room("the tokenizer", ONCE + READ * json.len() as u64)?;
        let file = TokenizerFile::new(path, utf8(path, json)?)?;
        let refuse = |problem: &str, source| Error::Format {
            path: path.to_owned(),
            problem: problem.to_owned(),
            source: Some(source),
        };
        let loaded = guarded(|| Library::from_bytes(json));
        let mut library = loaded.map_err(|source| refuse("not a tokenizer", source))?;
        check_ids(path, &file, &library, config.vocab_size)?;
        library.with_padding(None);
        let untruncated = library.with_truncation(None).map(|_| ());
        untruncated.map_err(|source| refuse("cannot be used without truncation", source))?;
        library.with_post_processor(None::<PostProcessorWrapper>);
        if let ModelWrapper::BPE(bpe) = library.get_model()
            && bpe.dropout.is_some()
        {
            let mut steady = bpe.clone();
            steady.dropout = None;
            library.with_model(steady);
        }
        let end = config.conventions.end_tokens.iter().find_map(|end| library.token_to_id(end));
        let eos = end.unwrap_or(config.eos_token);
        if let Some(end) = library.get_added_tokens_decoder().get(&eos).filter(|token| !token.special) {
            let end: AddedToken = end.clone().special(true);
            library.add_special_tokens(&[end]);
        }
        library.set_encode_special_tokens(true);
        Ok(Self { library, eos, exact: file.is_exact() })
    }

    /// The token that ends a text.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The tokens of a text, and where they stand in it.
    ///
    /// # Errors
    /// If it cannot be taken whole, or a part of it is taken for the end of text.
    pub fn encode(&self, text: &str) -> Result<Encoding> {
        memory::room("the tokens of a text", ONCE + ENCODED * text.len() as u64)?;
        let encoding = guarded(|| self.library.encode(text, false)).map_err(|error| {
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

    /// The text of ids that the model has, at least one.
    ///
    /// # Errors
    /// If the library cannot decode them, or the memory is refused.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        memory::room("a text", ONCE + DECODED * ids.len() as u64)?;
        guarded(|| self.library.decode(ids, skip_special))
            .map_err(|error| Error::argument("token ids", format!("not decodable ({error})"), "ids of the vocabulary"))
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
fn check_ids(path: &Path, file: &TokenizerFile, tokenizer: &Library, count: usize) -> Result<()> {
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
        let found = |text, offsets: &[_], exact| lost(text, offsets, exact).unwrap();
        assert_eq!(found("a b", &[(0, 1), (2, 3)], false), None);
        assert_eq!(found("a b", &[(0, 1), (2, 3)], true), Some((1, ' ')));
        assert_eq!(found("a\u{e9}b", &[(0, 1), (3, 4)], false), Some((1, '\u{e9}')));
        // A character in two tokens, and tokens out of order.
        assert_eq!(found("\u{e9}b", &[(0, 2), (0, 2), (2, 3)], true), None);
        assert_eq!(found("abc", &[(2, 3), (0, 2)], true), None);
        assert_eq!(found("abc", &[], false), Some((0, 'a')));
        assert_eq!(found("e\u{301}", &[(0, 1)], false), None);
    }

    #[test]
    fn a_panic_of_the_library_is_an_error() {
        let error = guarded::<()>(|| panic!("at {}", 3)).unwrap_err();
        assert_eq!(error.to_string(), "the tokenizer failed: at 3");
    }
}
