//! Tensors and settings by name, as files and command lines give them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::{Input, Role, Setting};
use crate::error::list;
use crate::{Error, Result, Tensor};

/// Named tensors and settings of one call. Whatever is left at `finish` is unknown to the op.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// What was given; `None` once it was taken.
    tensors: BTreeMap<String, Option<Tensor>>,
    settings: BTreeMap<String, Option<String>>,
}

/// What a setting's text can stand for.
pub trait SettingValue: FromStr {
    /// What is accepted, in words.
    const EXPECTED: &'static str;
}

impl SettingValue for usize {
    const EXPECTED: &'static str = "a whole number, 0 or more";
}

impl SettingValue for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 18446744073709551615";
}

impl SettingValue for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
}

impl SettingValue for f32 {
    const EXPECTED: &'static str = "a number";
}

impl SettingValue for f64 {
    const EXPECTED: &'static str = "a number";
}

impl SettingValue for bool {
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
    /// If the memory is refused.
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
    /// If it is not written so, or the name has a setting already.
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

    /// The tensors that are there, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().filter_map(|(name, tensor)| Some((name.as_str(), tensor.as_ref()?)))
    }

    /// A tensor that is there.
    pub fn peek(&self, input: Input) -> Option<&Tensor> {
        self.tensors.get(input.name)?.as_ref()
    }

    /// Takes the tensor that goes to an input; `None` where it may be absent and is.
    ///
    /// # Errors
    /// If it must be there and is not.
    pub fn take(&mut self, input: Input) -> Result<Option<Tensor>> {
        let taken = self.tensors.get_mut(input.name).and_then(Option::take);
        if taken.is_none() && input.role != Role::Optional {
            let there = match self.tensors.is_empty() {
                true => "no tensor".to_owned(),
                false => list(self.tensors.keys()),
            };
            let name = input.name;
            let found = format!("without `{name}` (it has {there})");
            return Err(Error::argument("the input", found, format!("a tensor `{name}`")));
        }
        Ok(taken)
    }

    /// Puts a tensor that settings stand for to an input, unless it was given one.
    pub fn put(&mut self, input: Input, tensor: Tensor) {
        self.tensors.entry(input.name.to_owned()).or_insert(Some(tensor));
    }

    /// Takes the tensor that a setting is given as.
    ///
    /// # Errors
    /// If it is not there.
    pub fn constant(&mut self, setting: Setting) -> Result<Tensor> {
        let input = Input::any(usize::MAX, setting.name);
        match self.take(input)? {
            Some(tensor) => Ok(tensor),
            None => Err(Error::argument(setting.name, "missing", "a tensor")),
        }
    }

    /// Takes a setting's text.
    pub fn text(&mut self, setting: Setting) -> Option<String> {
        self.settings.get_mut(setting.name)?.take()
    }

    /// Takes a setting that may be there.
    ///
    /// # Errors
    /// If it does not parse.
    pub fn given<T: SettingValue>(&mut self, setting: Setting) -> Result<Option<T>> {
        self.text(setting).map(|text| parse(setting.name, &text)).transpose()
    }

    /// Takes a setting, or its default; one without a default must be there.
    ///
    /// # Errors
    /// If it is missing or does not parse.
    pub fn setting<T: SettingValue>(&mut self, setting: Setting) -> Result<T> {
        let Setting { name, default, .. } = setting;
        match self.text(setting) {
            Some(text) => parse(name, &text),
            None if default.is_empty() => Err(Error::argument(format!("the setting `{name}`"), "missing", T::EXPECTED)),
            None => parse(name, default),
        }
    }

    /// Takes the setting that says where reading of the tensor `of` begins.
    ///
    /// # Errors
    /// If it does not parse, or there is no such tensor.
    pub fn offset(&mut self, setting: Setting, of: Input) -> Result<usize> {
        match self.given::<usize>(setting)? {
            Some(at) if !self.tensors.contains_key(of.name) => {
                let found = format!("{at}, without a tensor `{}`", of.name);
                let expected = format!("a tensor `{}` to count in", of.name);
                Err(Error::argument(format!("the setting `{}`", setting.name), found, expected))
            }
            Some(at) => Ok(at),
            None => parse(setting.name, setting.default),
        }
    }

    /// Takes one of a few words.
    ///
    /// # Errors
    /// If the word is none of them.
    pub fn choice<T: Copy>(&mut self, setting: Setting, words: &[(&str, T)]) -> Result<T> {
        let text = self.text(setting).unwrap_or_else(|| setting.default.to_owned());
        let found = words.iter().find(|(word, _)| *word == text.trim());
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let expected = format!("one of {}", words.join(", "));
            Error::argument(format!("the setting `{}`", setting.name), format!("`{text}`"), expected)
        })
    }

    /// Checks that nothing is left.
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
/// If the text is none.
pub(crate) fn parse<T: SettingValue>(name: &str, text: &str) -> Result<T> {
    let refuse = |_| Error::argument(format!("the setting `{name}`"), format!("`{text}`"), T::EXPECTED);
    text.trim().parse().map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Desc;

    const Q: Input = Input::any(0, "q");
    const V: Input = Input::any(1, "v");
    const COUNT: Setting = Setting { name: "count", default: "", meaning: "how many" };
    const FLAG: Setting = Setting { name: "flag", default: "true", meaning: "whether" };
    const OFFSET: Setting = Setting { name: "offset", default: "0", meaning: "where" };

    fn one() -> Tensor {
        Tensor::zeros(Desc::f32([1])).unwrap()
    }

    #[test]
    fn messages_name_what_is_there_and_what_is_wanted() {
        let mut arguments = Arguments::new().with("q", one()).with("k", one()).set("count", "9e9").set("flag", "yes");
        assert!(arguments.peek(Q).is_some() && arguments.take(Q).unwrap().is_some());
        let said = arguments.take(V).unwrap_err().to_string();
        assert_eq!(said, "the input is without `v` (it has k, q), expected a tensor `v`");
        assert!(arguments.take(V.optional()).unwrap().is_none());
        let said = arguments.setting::<usize>(COUNT).unwrap_err().to_string();
        assert_eq!(said, "the setting `count` is `9e9`, expected a whole number, 0 or more");
        let said = arguments.setting::<u32>(COUNT).unwrap_err().to_string();
        assert_eq!(said, "the setting `count` is missing, expected a whole number from 0 to 4294967295");
        assert!(arguments.setting::<bool>(FLAG).unwrap_err().to_string().contains("`yes`, expected true or false"));
        assert!(arguments.setting::<bool>(FLAG).unwrap());
        assert_eq!(arguments.offset(OFFSET, V).unwrap(), 0);
        let said = arguments.set("offset", 2).offset(OFFSET, V).unwrap_err().to_string();
        assert_eq!(said, "the setting `offset` is 2, without a tensor `v`, expected a tensor `v` to count in");
        let said = Arguments::new().with("k", one()).finish("an op").unwrap_err().to_string();
        assert_eq!(said, "the input is with the tensor `k`, expected only what an op knows");
    }

    #[test]
    fn many_names_are_not_all_listed() {
        let many = (0..3000).fold(Arguments::new(), |all, i| all.with(&format!("t{i}"), one()));
        let missing = many.clone().take(Q).unwrap_err().to_string();
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
        assert_eq!(Arguments::new().set("count", " 7 ").setting::<usize>(COUNT).unwrap(), 7);
        for text in ["-1", "0x10", "1.0", "", "1_000", "nan", "99999999999999999999999"] {
            assert!(Arguments::new().set("count", text).setting::<usize>(COUNT).is_err(), "{text}");
        }
    }
}
