//! No tokenizer: what stands for one where the feature `tokenizer` is off. There is none of it, so nothing can be asked
//! of it.

use std::path::Path;

use super::config::Config;
use crate::{Error, Result};

#[derive(Debug)]
pub enum Tokenizer {}

pub enum Encoding {}

impl Tokenizer {
    pub fn parse(path: &Path, _: &[u8], _: &Config) -> Result<Self> {
        let expected = "none: this drdiff was built without its feature `tokenizer`";
        Err(Error::argument("a tokenizer", path.display(), expected))
    }

    pub fn eos(&self) -> u32 {
        match *self {}
    }

    pub fn encode(&self, _: &str) -> Result<Encoding> {
        match *self {}
    }

    pub fn decode(&self, _: &[u32], _: bool) -> Result<String> {
        match *self {}
    }
}

impl Encoding {
    pub fn get_ids(&self) -> &[u32] {
        match *self {}
    }

    #[cfg(feature = "eval")]
    pub fn get_offsets(&self) -> &[(usize, usize)] {
        match *self {}
    }
}
