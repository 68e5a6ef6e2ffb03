//! What sampling does to the network's logits.

use std::ops::RangeInclusive;

use super::weights::DrDiff;
use crate::graph::Constant;
use crate::{Error, Result, Tensor, memory};

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
    /// In [0, 4]; 0 changes nothing, above needs `output.unigram`.
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

    /// The last norm's own modulation, and what is added to it where a step sharpens: with
    /// `g = (1 + emphasis) / temperature`, the head then sees `g (y (1 + scale) + shift) - emphasis / temperature u`.
    pub(super) fn modulations(self, weights: &DrDiff, dim: usize) -> Result<[Modulation; 2]> {
        const WHAT: &str = "the sharpened modulation";
        let last = |constant: &Constant, count: usize| -> Result<Vec<f32>> {
            let all = constant.tensor().as_f32().unwrap_or(&[]);
            memory::copied(WHAT, &all[all.len() - count..])
        };
        let time = weights.modulation.0.tensor().desc().last();
        let (weight, bias) = (last(&weights.modulation.0, 2 * dim * time)?, last(&weights.modulation.1, 2 * dim)?);

        let more = (1.0 + self.emphasis) / self.temperature - 1.0;
        let times = |own: &[f32]| memory::collected(WHAT, own.iter().map(|x| more * x));
        let (added_weight, mut added_bias) = (times(&weight)?, times(&bias)?);
        added_bias[dim..].iter_mut().for_each(|scale| *scale += more);
        if self.emphasis != 0.0 {
            let Some(unigram) = weights.unigram.as_ref().and_then(|unigram| unigram.tensor().as_f32()) else {
                return Err(Error::argument("the emphasis", self.emphasis, "0: the model has no `output.unigram`"));
            };
            let factor = self.emphasis / self.temperature;
            added_bias.iter_mut().zip(unigram).for_each(|(shift, u)| *shift -= factor * u);
        }
        let modulation = |weight, bias| -> Result<Modulation> {
            let (weight, bias) = (Tensor::f32([2 * dim, time], weight)?, Tensor::f32([2 * dim], bias)?);
            Ok(Modulation { weight: Constant::new(weight), bias: Constant::new(bias) })
        };
        Ok([modulation(weight, bias)?, modulation(added_weight, added_bias)?])
    }
}

/// Makes `[2 D]` (shift, then scale) of a time state `[T]`.
pub(super) struct Modulation {
    /// `[2 D, T]`.
    pub weight: Constant,
    /// `[2 D]`.
    pub bias: Constant,
}
