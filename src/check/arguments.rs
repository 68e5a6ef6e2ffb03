//! Tensors and settings by name, as files and command lines give them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::{Error, Result, Tensor};

/// Named tensors and settings of one call. Whatever `finish` still finds was not understood.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    tensors: BTreeMap<String, Tensor>,
    settings: BTreeMap<String, String>,
}

impl Arguments {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy; unlike `clone`, it may be refused.
    ///
    /// # Errors
    /// Where the memory is refused.
    pub fn try_clone(&self) -> Result<Self> {
        let tensors = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.try_clone()?)));
        Ok(Self { tensors: tensors.collect::<Result<_>>()?, settings: self.settings.clone() })
    }

    /// With a tensor.
    #[must_use]
    pub fn with(mut self, name: &str, tensor: Tensor) -> Self {
        self.tensors.insert(name.to_owned(), tensor);
        self
    }

    /// With a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Takes a tensor that must be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor> {
        let there: Vec<_> = self.tensors.keys().cloned().collect();
        self.optional(name).ok_or_else(|| {
            Error::argument("the input", format!("without `{name}` (it has {there:?})"), format!("a tensor `{name}`"))
        })
    }

    /// Takes a tensor that may be there.
    pub fn optional(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// Takes a setting's text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.settings.remove(name)
    }

    /// Takes a setting, or its default.
    ///
    /// # Errors
    /// Where it does not parse.
    pub fn setting<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Result<T> {
        self.text(name).map_or(Ok(default), |text| parse(name, &text))
    }

    /// Takes a setting that must be there.
    ///
    /// # Errors
    /// Where it is missing or does not parse.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T> {
        let text = self.text(name);
        parse(name, &text.ok_or_else(|| Error::argument(format!("the setting `{name}`"), "missing", "a value"))?)
    }

    /// Takes one of a few words; the first is the default.
    ///
    /// # Errors
    /// Where the word is none of them.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.text(name) else { return Ok(words[0].1) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Error::argument(format!("the setting `{name}`"), text, format!("one of {}", words.join(", ")))
        })
    }

    /// Sees that nothing is left.
    ///
    /// # Errors
    /// Names what `op` does not know.
    pub fn finish(self, op: &str) -> Result<()> {
        let tensors = self.tensors.keys().map(|name| format!("the tensor `{name}`"));
        let settings = self.settings.keys().map(|name| format!("the setting `{name}`"));
        let left: Vec<_> = tensors.chain(settings).collect();
        match left.as_slice() {
            [] => Ok(()),
            left => {
                Err(Error::argument("the input", format!("with {}", left.join(", ")), format!("only what {op} knows")))
            }
        }
    }
}

fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error: T::Err| {
        Error::argument(format!("the setting `{name}`"), format!("`{text}` ({error})"), "a value of its type")
    })
}
