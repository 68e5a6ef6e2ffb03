//! What an op sees of its values on the CPU and in the f64 reference.

use bytemuck::{cast_slice, cast_slice_mut};

/// Inputs on the CPU, one word an element; an absent or updated input has no slice.
#[derive(Debug)]
pub struct Inputs<'a>(pub(crate) Vec<Option<&'a [u32]>>);

impl<'a> Inputs<'a> {
    /// Input `index` as f32, where it is there.
    pub fn get(&self, index: usize) -> Option<&'a [f32]> {
        self.0[index].map(cast_slice)
    }

    /// Input `index` as f32; empty where it is absent.
    pub fn f32(&self, index: usize) -> &'a [f32] {
        self.get(index).unwrap_or(&[])
    }

    /// Input `index` as u32; empty where it is absent.
    pub fn u32(&self, index: usize) -> &'a [u32] {
        self.0[index].unwrap_or(&[])
    }
}

/// Outputs, or updated inputs, on the CPU.
#[derive(Debug)]
pub struct Outputs<'a>(pub(crate) Vec<&'a mut [u32]>);

impl Outputs<'_> {
    /// Value `index` as f32.
    pub fn f32(&mut self, index: usize) -> &mut [f32] {
        cast_slice_mut(self.0[index])
    }

    /// Value `index` as u32.
    pub fn u32(&mut self, index: usize) -> &mut [u32] {
        self.0[index]
    }

    /// The first `N` values as words, to be written at the same time.
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
    /// The inputs named by [`Op::updates`](super::Op::updates), in that order.
    pub updates: Outputs<'a>,
}

/// Elements in the f64 reference.
#[derive(Clone, Debug, PartialEq)]
pub enum OracleData {
    /// Floats.
    F64(Vec<f64>),
    /// Indices and bits.
    U32(Vec<u32>),
}

/// Inputs in the f64 reference (updated ones too, as they were before).
#[derive(Debug)]
pub struct InputsF64<'a>(pub(crate) Vec<Option<&'a OracleData>>);

impl<'a> InputsF64<'a> {
    /// Input `index` as f64, where it is there.
    pub fn get(&self, index: usize) -> Option<&'a [f64]> {
        match self.0[index] {
            Some(OracleData::F64(data)) => Some(data),
            _ => None,
        }
    }

    /// Input `index` as f64; empty where it is absent.
    pub fn f64(&self, index: usize) -> &'a [f64] {
        self.get(index).unwrap_or(&[])
    }

    /// Input `index` as u32; empty where it is absent.
    pub fn u32(&self, index: usize) -> &'a [u32] {
        match self.0[index] {
            Some(OracleData::U32(data)) => data,
            _ => &[],
        }
    }
}

/// An op's values in the f64 reference.
#[derive(Debug)]
pub struct OracleIo<'a> {
    /// What is read.
    pub inputs: InputsF64<'a>,
}
