//! What changes from step to step.

use crate::Desc;
use crate::op::{Dim, Input};

crate::params! {
    /// One row of the step buffer, the `Step` of kernels (`shaders/lib/step.wgsl`).
    #[derive(Default, PartialEq)]
    pub struct StepRow {
        /// `ln(sigma^2 / alpha^2)` of the evaluation.
        pub gamma: f32,
        /// alpha of the evaluation.
        pub alpha: f32,
        /// sigma of the evaluation.
        pub sigma: f32,
        /// alpha / sigma^2.
        pub bayes_scale: f32,
        /// Coefficient of the state.
        pub c_x: f32,
        /// Coefficient of the prediction.
        pub c_x0: f32,
        /// Coefficient of the previous prediction.
        pub c_prev: f32,
        /// Coefficient of fresh noise.
        pub c_noise: f32,
        /// Strength of the guidance by anchor states.
        pub omega: f32,
        /// 1 where this step freezes the anchors' predictions.
        pub refresh: f32,
        /// Philox stream of this step's noise.
        pub stream: f32,
        /// 1 where this step sharpens the network's logits. No kernel reads it: the row of the time
        /// that the network reads is chosen by it.
        pub sharpen: f32,
        /// The number of this evaluation, from 1.
        pub evaluation: f32,
    }
}

impl StepRow {
    /// Words of a row: its fields, then zeros up to whole vectors.
    pub const LEN: usize = (size_of::<Self>() / 4).next_multiple_of(4);

    /// Type and shape of a row.
    pub fn desc() -> Desc {
        Desc::f32([Self::LEN])
    }

    /// The words, padded with zeros.
    pub fn words(&self) -> Vec<f32> {
        let mut words = bytemuck::cast_slice(std::slice::from_ref(self)).to_vec();
        words.resize(Self::LEN, 0.0);
        words
    }

    /// A row from its words, as the CPU device holds them.
    pub(crate) fn from_words(words: &[f32]) -> Self {
        let mut row = Self::default();
        let own: &mut [f32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut row));
        own.iter_mut().zip(words).for_each(|(own, &word)| *own = word);
        row
    }

    /// A row from the reference's values.
    #[cfg(feature = "reference")]
    pub(crate) fn from_f64(words: &[f64]) -> Self {
        Self::from_words(&words.iter().map(|&word| word as f32).collect::<Vec<_>>())
    }

    /// The input of this index that takes a row.
    pub(crate) const fn input(index: usize) -> Input {
        Input::f32(index, "step", &[Dim::Fixed(Self::LEN)])
    }
}
