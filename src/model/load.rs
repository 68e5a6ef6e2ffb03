//! A model from its files, or from their bytes.

use std::path::Path;
use std::sync::Arc;

use super::config::Config;
use super::text::Vocabulary;
use super::weights::{Tensors, Weights};
use super::{Inner, Model};
use crate::{Device, Result};

impl Model {
    /// Reads a model directory: `config.json`, `tokenizer.json` (or GPT-2's own `vocab.json` and `merges.txt`) and
    /// `model.safetensors` (or its shards and their index). Without the feature `tokenizer`, no tokenizer is looked at.
    ///
    /// # Errors
    /// If a file is missing or damaged, or they contradict each other.
    #[cfg(not(target_family = "wasm"))]
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let config = Config::read(&folder.join("config.json"))?;
        #[cfg(feature = "tokenizer")]
        let vocabulary = Vocabulary::read_folder(folder, &config)?;
        #[cfg(not(feature = "tokenizer"))]
        let vocabulary = Vocabulary::without_tokenizer(&config);
        Self::of(config, vocabulary, Tensors::read(folder)?, device)
    }

    /// A model of bytes, wherever they come from: those of `config.json`, of `tokenizer.json` if text is to be taken and
    /// given, and of one or more safetensors files. Bytes are borrowed, so a memory map will do; of `tensors`, one part
    /// at a time is asked for, used and dropped, so parts that are fetched one after another never lie there together.
    ///
    /// ```no_run
    /// # fn app(config: Vec<u8>, tokenizer: Vec<u8>, tensors: Vec<u8>) -> drdiff::Result<()> {
    /// use drdiff::{Device, Model};
    ///
    /// let model = Model::from_parts(&config, Some(&tokenizer), [tensors], &Device::Cpu)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a part is damaged, or they contradict each other; the error names the part. A tokenizer is refused where
    /// drdiff was built without its feature `tokenizer`.
    pub fn from_parts<T: AsRef<[u8]>>(
        config: &[u8],
        tokenizer: Option<&[u8]>,
        tensors: impl IntoIterator<Item = T>,
        device: &Device,
    ) -> Result<Self> {
        let config = Config::parse(Path::new("config.json"), config)?;
        let vocabulary = match tokenizer {
            Some(json) => Vocabulary::parse(Path::new("tokenizer.json"), json, &config)?,
            None => Vocabulary::without_tokenizer(&config),
        };
        let mut all = Tensors::new("the tensors");
        for (index, part) in tensors.into_iter().enumerate() {
            all.add(Path::new(&format!("part {} of the tensors", index + 1)), part.as_ref())?;
        }
        Self::of(config, vocabulary, all, device)
    }

    fn of(mut config: Config, vocabulary: Vocabulary, tensors: Tensors, device: &Device) -> Result<Self> {
        let weights = Weights::from_tensors(tensors, &mut config)?;
        config.eos_token = vocabulary.eos();
        Ok(Self(Arc::new(Inner { config, vocabulary, weights, device: device.clone() })))
    }
}
