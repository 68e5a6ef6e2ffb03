//! Generation: a model's configuration and weights, the denoiser as a graph, and sampling.

mod architecture;
mod built;
mod config;
mod denoise;
mod denoiser;
#[cfg(not(target_family = "wasm"))]
mod folder;
mod generation;
#[cfg(all(feature = "tokenizer", not(target_family = "wasm")))]
mod gpt2_files;
mod load;
mod network;
mod sampler;
mod schedule;
mod session;
mod sharpening;
mod state;
mod text;
mod time;
#[cfg(feature = "tokenizer")]
mod tokenizer;
#[cfg(not(feature = "tokenizer"))]
#[path = "tokenizer_absent.rs"]
mod tokenizer;
#[cfg(feature = "tokenizer")]
mod tokenizer_file;
mod weights;

pub use architecture::FORMAT;
#[cfg(feature = "eval")]
pub(crate) use built::{Built, Run};
pub use config::{BudgetConfig, Config, Conventions, Level, PatternName};
#[cfg(not(target_family = "wasm"))]
pub use denoise::denoise;
pub use denoise::{DenoiseInput, Denoised, denoise_async};
pub use denoiser::{Denoiser, Handles};
pub use generation::{Generated, Generation, Progress};
pub use network::DenoiserShape;
pub use sampler::{Method, Prompt, Sampler};
#[cfg(feature = "eval")]
pub(crate) use schedule::evaluation;
pub use schedule::{step_rows, times};
pub use session::{Request, Session, SessionOptions};
pub use sharpening::Sharpening;
#[cfg(feature = "eval")]
pub(crate) use state::Sequence;
pub use text::Vocabulary;
pub use weights::Weights;

use std::sync::Arc;

use time::Parts;

use crate::ops::StepRow;
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
    /// A session on the model's device.
    ///
    /// # Errors
    /// If the length is 0 or beyond the model's levels.
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

    /// What the network makes of the time of these steps, row by row: what [`Handles::time`] is to hold at each.
    ///
    /// # Errors
    /// If the sharpening needs what the model lacks, the memory is refused or the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn time_rows(&self, sharpening: Sharpening, steps: &[StepRow]) -> Result<Vec<Vec<f32>>> {
        crate::gpu::block_on(self.time_rows_async(sharpening, steps))
    }

    /// [`Model::time_rows`] without blocking.
    ///
    /// # Errors
    /// If the sharpening needs what the model lacks, the memory is refused or the device failed.
    pub async fn time_rows_async(&self, sharpening: Sharpening, steps: &[StepRow]) -> Result<Vec<Vec<f32>>> {
        time::time_rows(self.parts(), sharpening, steps).await
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { device: self.device(), config: self.config(), weights: self.weights() }
    }
}

impl Denoiser {
    /// Builds the graph of a model; nothing is allocated.
    ///
    /// # Errors
    /// If the shape exceeds what an op can index.
    pub fn new(model: &Model, shape: &DenoiserShape) -> Result<Self> {
        Self::with(model.config(), model.weights(), shape)
    }
}
