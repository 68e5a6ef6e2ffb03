//! A text to evaluate on: token ids, and the bytes that they stand for.

use std::ops::Range;

use crate::model::Vocabulary;
use crate::{Error, Result, memory};

/// Documents one after another, each followed by an end of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    tokens: Vec<u32>,
    /// Bytes of each token.
    bytes: Vec<usize>,
    documents: usize,
}

impl Corpus {
    /// Reads a UTF-8 file in which each non-empty line is a document; a byte-order mark in front is not text.
    ///
    /// # Errors
    /// If it cannot be read, is not UTF-8, or has no text in it.
    #[cfg(not(target_family = "wasm"))]
    pub fn read(path: &std::path::Path, vocabulary: &Vocabulary) -> Result<Self> {
        let corpus = Self::new(&crate::files::read_text(path)?, vocabulary)?;
        match corpus.tokens.is_empty() {
            true => Err(Error::format(path, "holds no text, expected at least one line that is not empty")),
            false => Ok(corpus),
        }
    }

    /// Takes each non-empty line of a text as a document.
    ///
    /// # Errors
    /// If the tokenizer cannot take a line, or there is none.
    pub fn new(text: &str, vocabulary: &Vocabulary) -> Result<Self> {
        let mut corpus = Self { tokens: Vec::new(), bytes: Vec::new(), documents: 0 };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (tokens, bytes) = vocabulary.document(line)?;
            memory::extend("the tokens of the text", &mut corpus.tokens, tokens)?;
            memory::extend("the bytes of the tokens", &mut corpus.bytes, bytes)?;
            corpus.documents += 1;
        }
        Ok(corpus)
    }

    /// Documents by the ids of their tokens, ends of text included, and the bytes of text that each token stands for, one
    /// for an end: for models without a tokenizer.
    ///
    /// # Errors
    /// If a document has another number of bytes than of tokens, or the memory is refused.
    pub fn from_tokens(documents: &[(&[u32], &[usize])]) -> Result<Self> {
        let mut corpus = Self { tokens: Vec::new(), bytes: Vec::new(), documents: documents.len() };
        for (index, &(tokens, bytes)) in documents.iter().enumerate() {
            if tokens.len() != bytes.len() {
                let what = format!("document {index}");
                let found = format!("{} tokens with bytes of {}", tokens.len(), bytes.len());
                return Err(Error::argument(what, found, "the bytes of each token"));
            }
            memory::extend("the tokens of the text", &mut corpus.tokens, tokens.iter().copied())?;
            memory::extend("the bytes of the tokens", &mut corpus.bytes, bytes.iter().copied())?;
        }
        Ok(corpus)
    }

    /// The ids, ends of text included.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Bytes of the tokens in `range`, one for each end of text; tokens outside the text have none.
    pub fn bytes(&self, range: Range<usize>) -> usize {
        let end = range.end.min(self.bytes.len());
        self.bytes[range.start.min(end)..end].iter().sum()
    }

    /// How many documents.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Consecutive windows of `length` tokens, the last one shorter at the end of the text, and left out if it would
    /// be a single token. With `count`, that many of them at most, spread evenly over the text.
    ///
    /// # Errors
    /// If the length is below 2, the count is 0, or the text has fewer than 2 tokens.
    pub fn windows(&self, length: usize, count: Option<usize>) -> Result<Vec<Range<usize>>> {
        let len = self.tokens.len();
        if length < 2 {
            return Err(Error::argument("the length of a window", length, "at least 2 tokens"));
        }
        if len < 2 {
            return Err(Error::argument("the text", format!("{len} tokens"), "at least 2"));
        }
        let all = len / length + usize::from(len % length >= 2);
        let count = match count {
            Some(0) => return Err(Error::argument("the number of windows", 0, "at least 1")),
            Some(count) => count.min(all),
            None => all,
        };
        // The middles of `count` equal parts.
        let places = (0..count).map(|i| (2 * i + 1) * all / (2 * count));
        memory::collected("the windows", places.map(|place| place * length..len.min((place + 1) * length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(len: usize) -> Corpus {
        Corpus { tokens: vec![0; len], bytes: vec![2; len], documents: 1 }
    }

    #[test]
    fn windows_cover_the_text_once() {
        assert_eq!(corpus(10).windows(4, None).unwrap(), [0..4, 4..8, 8..10]);
        assert_eq!(corpus(9).windows(4, None).unwrap(), [0..4, 4..8], "one token alone is left out");
        assert_eq!(corpus(7).windows(4, None).unwrap(), [0..4, 4..7]);
        assert_eq!(corpus(3).bytes(1..3), 4);
    }

    #[test]
    fn fewer_windows_are_spread_evenly() {
        assert_eq!(corpus(40).windows(4, Some(2)).unwrap(), [8..12, 28..32]);
        assert_eq!(corpus(40).windows(4, Some(3)).unwrap(), [4..8, 20..24, 32..36]);
        assert_eq!(corpus(40).windows(4, Some(99)).unwrap(), corpus(40).windows(4, None).unwrap());
    }

    #[test]
    fn what_has_no_windows_is_refused() {
        for (len, length, count) in [(1, 4, None), (0, 4, None), (9, 1, None), (9, 4, Some(0))] {
            assert!(corpus(len).windows(length, count).unwrap_err().to_string().contains("at least"));
        }
    }
}
