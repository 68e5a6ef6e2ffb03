//! Tensors and settings by name, as files and command lines give them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::error::list;
use crate::{Error, Result, Tensor};

/// Named tensors and settings of one call. Whatever `finish` still finds was not understood.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// What was given; `None` once it was taken.
    tensors: BTreeMap<String, Option<Tensor>>,
    settings: BTreeMap<String, Option<String>>,
}

/// What a setting's text can stand for.
pub trait Setting: FromStr {
    /// What is accepted, in words.
    const EXPECTED: &'static str;
}

impl Setting for usize {
    const EXPECTED: &'static str = "a whole number, 0 or more";
}

impl Setting for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 18446744073709551615";
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
}

impl Setting for f32 {
    const EXPECTED: &'static str = "a number";
}

impl Setting for f64 {
    const EXPECTED: &'static str = "a number";
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";
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
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), tensor.as_ref().map(Tensor::try_clone).transpose()?)));
        Ok(Self { tensors: tensors.collect::<Result<_>>()?, settings: self.settings.clone() })
    }

    /// With a tensor, in place of an earlier one of the name.
    #[must_use]
    pub fn with(mut self, name: &str, tensor: Tensor) -> Self {
        self.tensors.insert(name.to_owned(), Some(tensor));
        self
    }

    /// With a setting, in place of an earlier one of the name.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.settings.insert(name.to_owned(), Some(value.to_string()));
        self
    }

    /// Adds a setting written as `NAME=VALUE`.
    ///
    /// # Errors
    /// Where it is not written so, or the name has a setting already.
    pub fn assign(&mut self, text: &str) -> Result<()> {
        let pair = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = pair.ok_or_else(|| Error::argument("a setting", format!("`{text}`"), "NAME=VALUE"))?;
        let name = name.trim();
        match self.settings.insert(name.to_owned(), Some(value.to_owned())) {
            None => Ok(()),
            Some(first) => {
                let found = format!("given twice, as `{}` and `{value}`", first.unwrap_or_default());
                Err(Error::argument(format!("the setting `{name}`"), found, "one value"))
            }
        }
    }

    /// Takes a tensor that must be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor> {
        self.optional(name).ok_or_else(|| {
            let there = match self.tensors.is_empty() {
                true => "no tensor".to_owned(),
                false => list(self.tensors.keys()),
            };
            Error::argument("the input", format!("without `{name}` (it has {there})"), format!("a tensor `{name}`"))
        })
    }

    /// Takes a tensor that may be there.
    pub fn optional(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.get_mut(name)?.take()
    }

    /// Takes a setting's text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.settings.get_mut(name)?.take()
    }

    /// Takes a setting that may be there.
    ///
    /// # Errors
    /// Where it does not parse.
    pub fn given<T: Setting>(&mut self, name: &str) -> Result<Option<T>> {
        self.text(name).map(|text| parse(name, &text)).transpose()
    }

    /// Takes a setting, or its default.
    ///
    /// # Errors
    /// Where it does not parse.
    pub fn setting<T: Setting>(&mut self, name: &str, default: T) -> Result<T> {
        Ok(self.given(name)?.unwrap_or(default))
    }

    /// Takes a setting that must be there.
    ///
    /// # Errors
    /// Where it is missing or does not parse.
    pub fn required<T: Setting>(&mut self, name: &str) -> Result<T> {
        let missing = || Error::argument(format!("the setting `{name}`"), "missing", T::EXPECTED);
        self.given(name)?.ok_or_else(missing)
    }

    /// Takes the setting that says where reading of the tensor `of` begins; 0 where it is not given.
    ///
    /// # Errors
    /// Where it does not parse, or there is no such tensor.
    pub fn offset(&mut self, name: &str, of: &str) -> Result<usize> {
        match self.given(name)? {
            Some(at) if !self.tensors.contains_key(of) => {
                let found = format!("{at}, without a tensor `{of}`");
                Err(Error::argument(format!("the setting `{name}`"), found, format!("a tensor `{of}` to count in")))
            }
            at => Ok(at.unwrap_or(0)),
        }
    }

    /// Takes one of a few words; the first is the default.
    ///
    /// # Errors
    /// Where the word is none of them.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.text(name) else { return Ok(words[0].1) };
        let found = words.iter().find(|(word, _)| *word == text.trim());
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let expected = format!("one of {}", words.join(", "));
            Error::argument(format!("the setting `{name}`"), format!("`{text}`"), expected)
        })
    }

    /// Sees that nothing is left.
    ///
    /// # Errors
    /// Names what `op` does not know.
    pub fn finish(self, op: &str) -> Result<()> {
        let tensors = self.tensors.iter().filter(|(_, left)| left.is_some());
        let settings = self.settings.iter().filter(|(_, left)| left.is_some());
        let tensors = tensors.map(|(name, _)| format!("the tensor `{name}`"));
        let mut left = tensors.chain(settings.map(|(name, _)| format!("the setting `{name}`"))).peekable();
        match left.peek() {
            None => Ok(()),
            Some(_) => {
                let found = format!("with {}", list(left));
                Err(Error::argument("the input", found, format!("only what {op} knows")))
            }
        }
    }
}

/// A setting's value.
///
/// # Errors
/// Where the text is none.
pub(crate) fn parse<T: Setting>(name: &str, text: &str) -> Result<T> {
    let refuse = |_| Error::argument(format!("the setting `{name}`"), format!("`{text}`"), T::EXPECTED);
    text.trim().parse().map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Desc;

    #[test]
    fn messages_name_what_is_there_and_what_is_wanted() {
        let one = || Tensor::zeros(Desc::f32([1])).unwrap();
        let mut arguments = Arguments::new().with("q", one()).with("k", one()).set("count", "9e9").set("flag", "yes");
        arguments.tensor("q").unwrap();
        let said = arguments.tensor("v").unwrap_err().to_string();
        assert_eq!(said, "the input is without `v` (it has k, q), expected a tensor `v`");
        let said = arguments.required::<usize>("count").unwrap_err().to_string();
        assert_eq!(said, "the setting `count` is `9e9`, expected a whole number, 0 or more");
        let said = arguments.required::<u32>("seed").unwrap_err().to_string();
        assert_eq!(said, "the setting `seed` is missing, expected a whole number from 0 to 4294967295");
        assert!(arguments.setting("flag", true).unwrap_err().to_string().contains("`yes`, expected true or false"));
        let said = arguments.finish("an op").unwrap_err().to_string();
        assert_eq!(said, "the input is with the tensor `k`, expected only what an op knows");
    }

    #[test]
    fn many_names_are_not_all_listed() {
        let many = (0..3000)
            .fold(Arguments::new(), |all, i| all.with(&format!("t{i}"), Tensor::zeros(Desc::f32([1])).unwrap()));
        let missing = many.clone().tensor("x").unwrap_err().to_string();
        assert!(missing.contains("and 2992 more") && missing.len() < 300, "{missing}");
        let left = many.finish("an op").unwrap_err().to_string();
        assert!(left.contains("and 2992 more") && left.len() < 400, "{left}");
    }

    #[test]
    fn an_assignment_has_a_name_and_comes_once() {
        let mut arguments = Arguments::new();
        arguments.assign("window=1").unwrap();
        arguments.assign("dilations=2:3,4:5").unwrap();
        for text in ["window", "=1", " =1", ""] {
            assert!(arguments.assign(text).unwrap_err().to_string().contains("NAME=VALUE"), "{text}");
        }
        for text in ["window=1", "window=2", " window =2"] {
            assert!(arguments.assign(text).unwrap_err().to_string().contains("`window` is given twice"), "{text}");
        }
        assert_eq!(Arguments::new().set("count", " 7 ").required::<usize>("count").unwrap(), 7);
        for text in ["-1", "0x10", "1.0", "", "1_000", "nan", "99999999999999999999999"] {
            assert!(Arguments::new().set("count", text).required::<usize>("count").is_err(), "{text}");
        }
    }
}
