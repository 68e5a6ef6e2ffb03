//! What sampling does to the network's logits.

use std::ops::RangeInclusive;

use crate::{Error, Result};

/// Temperatures that are accepted.
pub(super) const TEMPERATURES: RangeInclusive<f32> = 0.1..=10.0;
/// Emphases that are accepted.
pub(super) const EMPHASES: RangeInclusive<f32> = 0.0..=4.0;

/// The network's logits become `((1 + emphasis) logits - emphasis unigram) / temperature`, where `unigram` is how often
/// each token occurs in any context, as a log-probability: what the context adds to it counts for more
/// (classifier-free guidance, Ho and Salimans 2022; for text, context-aware decoding, Shi et al. 2023). The exact Bayes
/// term of the noisy state is left as it is.
///
/// The unigram term is `unembed . u` with the model's tensor `output.unigram` `[D]`, so all of this is one affine map of
/// the head's input: another shift and scale in the last norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharpening {
    /// In [0.1, 10]; 1 changes nothing.
    pub temperature: f32,
    /// In [0, 4]; 0 changes nothing; above 0 it needs `output.unigram`.
    pub emphasis: f32,
}

impl Default for Sharpening {
    fn default() -> Self {
        Self { temperature: 1.0, emphasis: 0.0 }
    }
}

impl Sharpening {
    pub(super) fn check(self) -> Result<()> {
        if !TEMPERATURES.contains(&self.temperature) {
            return Err(Error::argument("the temperature", self.temperature, "0.1 to 10"));
        }
        if !EMPHASES.contains(&self.emphasis) {
            return Err(Error::argument("the emphasis", self.emphasis, "0 to 4"));
        }
        Ok(())
    }
}
