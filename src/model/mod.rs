//! Generation: a model's configuration and weights, the denoiser as a graph, and sampling.

mod architecture;
mod config;
mod denoise;
mod denoiser;
#[cfg(not(target_family = "wasm"))]
mod folder;
mod load;
mod network;
mod sampler;
mod schedule;
mod session;
mod sharpening;
mod state;
mod text;
#[cfg(feature = "tokenizer")]
mod tokenizer;
#[cfg(not(feature = "tokenizer"))]
#[path = "tokenizer_absent.rs"]
mod tokenizer;
#[cfg(feature = "tokenizer")]
mod tokenizer_file;
mod weights;

pub use architecture::FORMAT;
pub use config::{BudgetConfig, Config, Conventions, Level, PatternName};
pub use denoise::{DenoiseInput, Denoised, denoise};
pub use denoiser::{Denoiser, Handles};
pub use network::DenoiserShape;
pub use sampler::{Method, Prompt, Sampler};
pub(crate) use schedule::evaluation;
pub use schedule::{step_rows, times};
pub(crate) use session::{Built, Run};
pub use session::{Generated, Progress, Request, Session, SessionOptions};
pub use sharpening::Sharpening;
pub(crate) use state::Sequence;
pub use text::Vocabulary;
pub use weights::Weights;

use crate::{Device, Result};

/// A model on a device.
#[derive(Debug)]
pub struct Model {
    config: Config,
    vocabulary: Vocabulary,
    weights: Weights,
    device: Device,
}

impl Model {
    /// A session on the model's device.
    ///
    /// # Errors
    /// Where the length is 0 or beyond the model's levels.
    pub fn session(&self, options: SessionOptions) -> Result<Session<'_>> {
        Session::new(self, options)
    }

    /// Sizes, schedule and levels.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Denoiser {
    /// Builds the graph of a model; nothing is allocated.
    ///
    /// # Errors
    /// Where the shape exceeds what an op can index.
    pub fn new(model: &Model, shape: &DenoiserShape) -> Result<Self> {
        Self::with(model.config(), model.weights(), shape)
    }
}
