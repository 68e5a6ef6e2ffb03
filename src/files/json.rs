//! JSON of model files, read strictly: UTF-8, every key once, and errors that name the field.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use super::text::BYTE_ORDER_MARK;
use crate::error::short;
use crate::{Error, Result};

/// What the JSON of a file says; `path` is what errors call the file, `what` what it should be.
///
/// # Errors
/// If it is not strict JSON, or has other fields than `T`.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str, what: &str) -> Result<T> {
    let refuse = |problem: &str| Error::format(path, format!("not {what} ({problem})"));
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(refuse("it begins with a byte-order mark, expected plain UTF-8 without one"));
    }
    if text.trim().is_empty() {
        return Err(refuse("it is empty, expected JSON"));
    }
    if let Err(error) = serde_json::from_str::<UniqueKeys>(text) {
        return Err(refuse(&error.to_string()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (place, problem) = (error.path().to_string(), in_words(&error.inner().to_string()));
        match place.as_str() {
            "." => refuse(&problem),
            _ => refuse(&format!("`{}`: {problem}", short(&place, 80))),
        }
    })
}

/// A parser's names of types, as people say them.
fn in_words(problem: &str) -> String {
    let words = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected f32", "expected a number"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list"),
        ("expected a tuple of size 2", "expected a pair"),
        ("expected struct ", "expected an object, "),
        ("expected a map", "expected an object"),
        ("invalid type: map", "an object"),
        ("invalid type: sequence", "a list"),
        ("invalid type: ", ""),
        ("invalid value: ", ""),
        (" at line ", ", at line "),
    ];
    words.into_iter().fold(problem.to_owned(), |text, (from, to)| text.replacen(from, to, 1))
}

/// Any JSON in which no object names a key twice: parsers keep the last one and say nothing.
pub(super) struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<UniqueKeys, A::Error> {
        while list.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = object.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("`{}` is there twice", short(&key, 80))));
            }
            seen.insert(key);
            object.next_value::<UniqueKeys>()?;
        }
        Ok(UniqueKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Example {
        size: usize,
        words: Vec<(u32, f64)>,
    }

    fn refusal(text: &str) -> String {
        parse::<Example>(Path::new("x.json"), text, "an example").unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_what_it_takes() {
        parse::<Example>(Path::new("x.json"), r#"{"size": 3, "words": [[1, 2.5]]}"#, "an example").unwrap();
        for (text, words) in [
            (r#"{"size": "3", "words": []}"#, "`size`: string \"3\", expected a whole number, 0 or more"),
            (r#"{"size": -3, "words": []}"#, "`size`: integer `-3`, expected a whole number"),
            (r#"{"size": 1.5, "words": []}"#, "`size`: floating point `1.5`, expected a whole number"),
            (r#"{"size": 1, "words": [[1, 1], [1, "x"]]}"#, "`words[1][1]`: string \"x\", expected a number"),
            (r#"{"size": 1, "words": {}}"#, "`words`: an object, expected a list"),
            (r#"{"size": 1, "words": [[1]]}"#, "expected a pair"),
            (r#"{"size": 1}"#, "missing field `words`"),
            (r#"{"size": 1, "words": [], "more": 1}"#, "unknown field `more`"),
            (r#"{"size": 1, "size": 1, "words": []}"#, "`size` is there twice"),
            (r#"{"size": 1, "words": [], "deep": [{"a": {"b": 1, "b": 2}}]}"#, "`b` is there twice"),
            ("\u{feff}{}", "byte-order mark"),
            (" \n", "it is empty"),
            ("{", "EOF"),
            ("[]", "expected"),
            (r#"{"size": 1, "words": []} 1"#, "trailing"),
            (r#"{"size": 1, "words": "\ud800"}"#, "hex escape"),
        ] {
            let said = refusal(text);
            assert!(said.starts_with("x.json: not an example (") && said.contains(words), "{text}: {said}");
        }
        assert!(refusal(&"[".repeat(100_000)).contains("recursion"));
    }
}
