//! What a network stands between: the states that it reads, and what it gives the head.

use std::fmt::Debug;

use super::config::{Config, Level};
use super::sharpening::Sharpening;
use crate::Result;
use crate::graph::{Constant, Graph, Value};
use crate::ops::{Activation, Linear, TimeEmbedding};

/// What determines the shape of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct DenoiserShape {
    /// Sequences, B.
    pub batch: usize,
    /// Text positions of the longest sequence, N.
    pub positions: usize,
    /// The attention pattern and its anchors.
    pub level: Level,
    /// Whether SAS guidance is computed.
    pub guidance: bool,
    /// What is done to the network's logits, at the steps that ask for it.
    pub sharpening: Sharpening,
    /// Keep what tests and pictures read: the last hidden state, the anchors' predictions and the routing.
    pub inspect: bool,
}

impl DenoiserShape {
    /// Rows of one sequence: anchors, then text.
    pub fn rows(&self) -> usize {
        self.level.anchors + self.positions
    }
}

/// What a network reads; see [`super::Handles`] for shapes.
#[derive(Clone, Copy)]
pub struct States {
    pub z: Value,
    pub x0: Value,
    pub difficulty: Value,
    pub flag: Value,
    pub place: Value,
    pub rope: Value,
    pub globals: Value,
    pub lengths: Value,
    pub cost_bias: Value,
    /// `[M]`: the row of [`TimeRows`] of this evaluation.
    pub time: Value,
}

/// What a network reads of the time of S evaluations.
#[derive(Clone, Copy)]
pub struct TimeRows {
    /// `[S, M]`: what every op reads at its offset; the head's shift and scale come last.
    pub modulation: Value,
    /// `[S, K]`: where a network sharpens, what stands behind those at evaluations that do; at others their last K values
    /// stand there once more.
    pub sharpened: Option<Value>,
}

/// What a network gives the head.
pub struct Head {
    /// `[B, R, D]`: the last hidden state. Where there is an `anchor_prediction`, that alone reads it.
    pub hidden: Value,
    /// `[B, R, K]`: what is multiplied by the unembedding.
    pub input: Value,
    /// Where `input` is to be normed first (RMS): the first elements of shift and scale in the time's row.
    pub norm: Option<[usize; 2]>,
    /// `[V, K]`.
    pub unembed: Value,
    /// `[B, R, De]`, anchor rows count; `None` where the network has no anchors.
    pub anchor_prediction: Option<Value>,
    /// Chosen experts of each layer.
    pub routing: Vec<Value>,
}

/// The weights of a network, and how its ops follow from them.
pub trait Network: Debug + Send + Sync {
    /// Appends the ops from `gamma` `[S]` to what the network reads of it: a graph of its own, run ahead of the evaluations.
    ///
    /// # Errors
    /// If the sharpening needs what the network lacks, or the memory is refused.
    fn time(&self, g: &mut Graph, config: &Config, sharpening: Sharpening, gamma: Value) -> Result<TimeRows>;

    /// Appends the ops between the states and the head.
    ///
    /// # Errors
    /// If the shape exceeds what an op can index, or the memory is refused.
    fn build(&self, g: &mut Graph, config: &Config, shape: &DenoiserShape, states: &States) -> Result<Head>;

    /// Weights that others than the network may read, by their names in files.
    fn named(&self) -> Vec<(&'static str, &Constant)> {
        Vec::new()
    }
}

/// A weight `[outputs, inputs]` and a bias `[outputs]`.
pub type Affine = (Constant, Constant);

/// Shift, scale and gate of a norm and what follows it, D values each: six of every block in a modulation, then shift and
/// scale of the head.
#[derive(Clone, Copy, Debug)]
pub enum Chunks {
    /// The first half of this block.
    Attention(usize),
    /// Its second half: experts, or a dense network.
    Forward(usize),
    /// The head after this many blocks, which has no gate.
    Head(usize),
}

impl Chunks {
    fn first(self) -> usize {
        match self {
            Self::Attention(block) => 6 * block,
            Self::Forward(block) => 6 * block + 3,
            Self::Head(blocks) => 6 * blocks,
        }
    }

    /// The first value of the shift.
    pub fn shift(self, dim: usize) -> usize {
        self.first() * dim
    }

    /// The first value of the scale.
    pub fn scale(self, dim: usize) -> usize {
        (self.first() + 1) * dim
    }

    /// The first value of the gate.
    pub fn gate(self, dim: usize) -> usize {
        (self.first() + 2) * dim
    }
}

/// `x weight^T + bias + residual`.
///
/// # Errors
/// If the shapes do not suit each other.
pub fn linear(
    g: &mut Graph,
    x: Value,
    weight: &Constant,
    bias: Option<&Constant>,
    residual: Option<Value>,
) -> Result<Value> {
    let weight = g.constant(weight);
    let bias = bias.map(|bias| g.constant(bias));
    g.push1(Linear::default(), &[Some(x), Some(weight), bias, residual, None])
}

/// `activation(x weight^T + bias)`.
///
/// # Errors
/// If the shapes do not suit each other.
pub fn activated(g: &mut Graph, x: Value, (weight, bias): &Affine, activation: Activation) -> Result<Value> {
    let (weight, bias) = (g.constant(weight), g.constant(bias));
    g.push1(Linear { activation, gate_offset: 0 }, &[Some(x), Some(weight), Some(bias), None, None])
}

/// `[S, T]`: the time of each evaluation as all modulations read it, of cosines and sines through two layers.
///
/// # Errors
/// If the shapes do not suit each other.
pub fn time(g: &mut Graph, gamma: Value, frequencies: &Constant, layers: [&Affine; 2]) -> Result<Value> {
    let dim = 2 * frequencies.tensor().desc().len();
    let frequencies = g.constant(frequencies);
    let x = g.push1(TimeEmbedding { dim }, &[Some(gamma), Some(frequencies)])?;
    layers.into_iter().try_fold(x, |x, layer| activated(g, x, layer, Activation::Silu))
}
