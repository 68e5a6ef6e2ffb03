//! The architectures whose checkpoints are read. Each is a file that says how a `config.json` is to be understood, which
//! tensors make its weights, and which ops its network is; and a line in [`KNOWN`].

mod drdiff;
mod langflow;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

pub use drdiff::FORMAT;

use super::config::Config;
use super::weights::{Tensors, Weights};
use crate::error::short;
use crate::files::{json, utf8};
use crate::{Error, Result};

/// An architecture, by what its `config.json` says.
struct Architecture {
    /// The key and its value that tell a `config.json` of this architecture.
    key: Key,
    name: &'static str,
    /// The configuration that the text of such a file stands for; what contradicts itself is refused later.
    config: fn(&Path, &str) -> Result<Config>,
    /// The weights of a model of this configuration, which they may complete.
    weights: fn(&mut Tensors, &mut Config) -> Result<Weights>,
}

/// Under which key a `config.json` says what it is; the first one that is there counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Format,
    ModelType,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::ModelType => "model_type",
        }
    }
}

const KNOWN: &[Architecture] = &[
    Architecture { key: Key::Format, name: FORMAT, config: drdiff::config, weights: drdiff::weights },
    Architecture { key: Key::ModelType, name: langflow::FORMAT, config: langflow::config, weights: langflow::weights },
];

/// All of them, for messages.
fn known() -> String {
    let all: Vec<_> = KNOWN.iter().map(|known| format!("`{}` `{}`", known.key.name(), known.name)).collect();
    all.join(" or ")
}

/// The architecture that a `config.json` names.
fn detect(path: &Path, text: &str) -> Result<&'static Architecture> {
    #[derive(Deserialize)]
    struct Named {
        format: Option<Value>,
        model_type: Option<Value>,
    }
    let Named { format, model_type } = json::parse(path, text, "a configuration of a model")?;
    let said = format.map(|name| (Key::Format, name)).or(model_type.map(|name| (Key::ModelType, name)));
    let Some((key, name)) = said else {
        return Err(Error::format(path, format!("does not say of which format it is, expected {}", known())));
    };
    KNOWN.iter().find(|known| known.key == key && name == known.name).ok_or_else(|| {
        let name = short(&name.to_string(), 80);
        Error::format(path, format!("is of `{}` {name}, expected {}", key.name(), known()))
    })
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// If it cannot be read, and as [`Config::parse`].
    #[cfg(not(target_family = "wasm"))]
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &crate::files::read_model_file(path)?)
    }

    /// Checks the bytes of a `config.json`, which errors call `path`.
    ///
    /// # Errors
    /// If they are not such JSON, are of no known format, or contradict themselves.
    pub fn parse(path: &Path, json: &[u8]) -> Result<Self> {
        let text = utf8(path, json)?;
        let architecture = detect(path, text)?;
        let config = Self { format: architecture.name.to_owned(), ..(architecture.config)(path, text)? };
        match config.contradiction() {
            None => Ok(config),
            Some(problem) => Err(Error::format(path, problem)),
        }
    }
}

impl Weights {
    /// Reads the weights of a model directory: `model.safetensors`, or shards with `model.safetensors.index.json`.
    ///
    /// # Errors
    /// If a file is missing, damaged or contradicts the configuration, or a weight is not finite (infinity in f16 or
    /// bf16 too: it is what an overflow leaves, and no sum with it means anything).
    #[cfg(not(target_family = "wasm"))]
    pub fn read(folder: &Path, config: &mut Config) -> Result<Self> {
        Self::from_tensors(Tensors::read(folder)?, config)
    }

    /// The weights that these tensors are; `config` may learn more from them.
    pub(super) fn from_tensors(mut tensors: Tensors, config: &mut Config) -> Result<Self> {
        let architecture = KNOWN.iter().find(|known| known.name == config.format);
        let architecture = architecture.ok_or_else(|| Error::argument("`format`", &config.format, known()))?;
        let weights = (architecture.weights)(&mut tensors, config)?;
        tensors.finish()?;
        Ok(weights)
    }
}
