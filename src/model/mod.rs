//! The model: configuration, weights, the denoiser as a graph, sampling, and what measures a model and its texts.

mod config;
mod corpus;
mod denoise;
mod denoiser;
mod files;
mod infill;
mod json;
mod langflow;
mod likelihood;
mod sampler;
mod schedule;
mod session;
mod sharpening;
mod state;
mod statistics;
mod text;
mod tokenizer_file;
mod weights;

pub use config::{BudgetConfig, Config, FORMAT, Level, PatternName};
pub use corpus::Corpus;
pub use denoise::{DenoiseInput, Denoised, denoise};
pub use denoiser::{Denoiser, DenoiserShape, Handles};
pub use files::{read_text, write_whole, write_with};
pub use infill::{Infill, InfillOptions};
pub use likelihood::{Estimate, GammaBin, Likelihood, LikelihoodOptions};
pub use sampler::{Method, Prompt, Sampler};
pub use schedule::{step_rows, times};
pub use session::{Generated, Generation, Progress, Request, Session, SessionOptions};
pub use sharpening::Sharpening;
pub use statistics::{Statistics, cut_alike};
pub use text::Vocabulary;
pub use weights::{Weights, read_tensors, tensors, write_tensors};

use std::path::Path;
use std::sync::Arc;

use crate::{Device, Result};

/// A model on a device. Clones share it, and so do its sessions: it goes when the last of them does.
#[derive(Clone, Debug)]
pub struct Model(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    vocabulary: Vocabulary,
    weights: Weights,
    device: Device,
}

impl Model {
    /// Reads a model directory: `config.json`, `tokenizer.json` and `model.safetensors` (or its shards and their index).
    ///
    /// # Errors
    /// Where a file is missing or damaged, or they contradict each other.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let mut config = Config::read(&folder.join("config.json"))?;
        let vocabulary = Vocabulary::read(&folder.join("tokenizer.json"), &config)?;
        let weights = Weights::read(folder, &mut config)?;
        config.eos_token = vocabulary.eos();
        Ok(Self(Arc::new(Inner { config, vocabulary, weights, device: device.clone() })))
    }

    /// A session on the model's device.
    ///
    /// # Errors
    /// Where the length is 0 or beyond the model's levels.
    pub fn session(&self, options: SessionOptions) -> Result<Session> {
        Session::new(self.clone(), options)
    }

    /// Sizes, schedule and levels.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The tokenizer.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.0.vocabulary
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.0.weights
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.0.device
    }
}
