//! What an op sees of its values on the CPU and in the f64 reference, by the handles of its signature.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Input, Output};
#[cfg(feature = "cpu")]
use crate::host::prepared::Prepared;

/// Inputs on the CPU, one word per element; an absent or updated input has no slice.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub(crate) words: Vec<Option<&'a [u32]>>,
    /// What ops keep with those that are constants.
    #[cfg(feature = "cpu")]
    pub(crate) prepared: Vec<Option<&'a Prepared>>,
}

impl<'a> Inputs<'a> {
    /// An input as f32, where it is there.
    pub fn get(&self, input: Input) -> Option<&'a [f32]> {
        self.words[input.index].map(cast_slice)
    }

    /// What is kept with an input that is a constant.
    #[cfg(feature = "cpu")]
    pub(crate) fn prepared(&self, input: Input) -> Option<&'a Prepared> {
        self.prepared.get(input.index).copied().flatten()
    }

    /// An input as f32; empty where it is absent.
    pub fn f32(&self, input: Input) -> &'a [f32] {
        self.get(input).unwrap_or(&[])
    }

    /// An input as u32; empty where it is absent.
    pub fn u32(&self, input: Input) -> &'a [u32] {
        self.words[input.index].unwrap_or(&[])
    }
}

/// Outputs, or updated inputs, on the CPU.
#[derive(Debug)]
pub struct Outputs<'a>(pub(crate) Vec<&'a mut [u32]>);

impl Outputs<'_> {
    /// An output as f32.
    pub fn f32(&mut self, output: Output) -> &mut [f32] {
        cast_slice_mut(self.0[output.index])
    }

    /// An output as u32.
    pub fn u32(&mut self, output: Output) -> &mut [u32] {
        self.0[output.index]
    }

    /// All of them as words, in the signature's order, to be written at the same time.
    pub fn split<const N: usize>(&mut self) -> [&mut [u32]; N] {
        let mut values = self.0.iter_mut();
        std::array::from_fn(|_| match values.next() {
            Some(value) => &mut **value,
            None => &mut [],
        })
    }
}

/// An op's values on the CPU.
#[derive(Debug)]
pub struct CpuIo<'a> {
    /// What is read.
    pub inputs: Inputs<'a>,
    /// What is written.
    pub outputs: Outputs<'a>,
    /// The inputs that the signature says are updated, in its order.
    pub updates: Outputs<'a>,
}

/// Elements in the f64 reference.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferenceData {
    /// Floats.
    F64(Vec<f64>),
    /// Indices and bits.
    U32(Vec<u32>),
}

/// An op's inputs in the f64 reference (updated ones too, as they were before).
#[derive(Debug)]
pub struct ReferenceIo<'a>(pub(crate) Vec<Option<&'a ReferenceData>>);

impl<'a> ReferenceIo<'a> {
    /// An input as f64, where it is there.
    pub fn get(&self, input: Input) -> Option<&'a [f64]> {
        match self.0[input.index] {
            Some(ReferenceData::F64(data)) => Some(data),
            _ => None,
        }
    }

    /// An input as f64; empty where it is absent.
    pub fn f64(&self, input: Input) -> &'a [f64] {
        self.get(input).unwrap_or(&[])
    }

    /// An input as u32; empty where it is absent.
    pub fn u32(&self, input: Input) -> &'a [u32] {
        match self.0[input.index] {
            Some(ReferenceData::U32(data)) => data,
            _ => &[],
        }
    }
}
