//! Plain host tensors: a shape and row-major data.

use crate::{Error, Result, memory};

/// The element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer.
    U32,
}

impl DType {
    /// Its name in messages and files' docs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U32 => "u32",
        }
    }
}

/// Element type and shape of a value, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desc {
    /// Element type.
    pub dtype: DType,
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
}

impl Desc {
    /// An f32 value of `shape`.
    pub fn f32(shape: impl Into<Vec<usize>>) -> Self {
        Self { dtype: DType::F32, shape: shape.into() }
    }

    /// A u32 value of `shape`.
    pub fn u32(shape: impl Into<Vec<usize>>) -> Self {
        Self { dtype: DType::U32, shape: shape.into() }
    }

    /// Number of elements; `usize::MAX` if it does not fit.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |len: usize, &size| len.saturating_mul(size))
    }

    /// True where a size is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the elements.
    pub fn bytes(&self) -> u64 {
        (self.len() as u64).saturating_mul(4)
    }

    /// Size of dimension `axis`, counted from the slowest.
    pub fn dim(&self, axis: usize) -> usize {
        self.shape[axis]
    }

    /// Size of the fastest dimension (1 for a scalar).
    pub fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows: the product of all dimensions but the fastest.
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    /// Number of rows of one sequence: the second dimension from the end (1 where there is none). How an op adds up may
    /// depend on these, never on how many sequences there are: a text comes out the same alone and in a batch.
    pub fn sequence_rows(&self) -> usize {
        self.shape.iter().rev().nth(1).copied().unwrap_or(1)
    }
}

impl std::fmt::Display for Desc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dtype = self.dtype.name();
        // A file may claim any number of dimensions.
        match self.shape.get(..12) {
            Some(first) if self.shape.len() > 12 => {
                write!(f, "{dtype} of {} dimensions, {first:?}...", self.shape.len())
            }
            _ => write!(f, "{dtype} {:?}", self.shape),
        }
    }
}

/// Row-major elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 32-bit unsigned integers.
    U32(Vec<u32>),
}

/// A host tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    desc: Desc,
    data: Data,
}

impl Tensor {
    /// An f32 tensor.
    ///
    /// # Errors
    /// If `data` does not have as many elements as `shape` says.
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self> {
        Self::new(Desc::f32(shape), Data::F32(data))
    }

    /// A u32 tensor.
    ///
    /// # Errors
    /// If `data` does not have as many elements as `shape` says.
    pub fn u32(shape: impl Into<Vec<usize>>, data: Vec<u32>) -> Result<Self> {
        Self::new(Desc::u32(shape), Data::U32(data))
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// If the memory is refused.
    pub fn zeros(desc: Desc) -> Result<Self> {
        let words = memory::zeroed("a tensor", desc.len())?;
        Ok(Self::from_words(desc, words))
    }

    /// A copy; unlike `clone`, it may be refused.
    ///
    /// # Errors
    /// If the memory is refused.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::from_words(self.desc.clone(), memory::copied("a tensor", self.words())?))
    }

    fn new(desc: Desc, data: Data) -> Result<Self> {
        let len = match &data {
            Data::F32(data) => data.len(),
            Data::U32(data) => data.len(),
        };
        if len != desc.len() {
            return Err(Error::argument(
                format!("the data of a tensor {desc}"),
                format!("{len} elements"),
                format!("{} elements", desc.len()),
            ));
        }
        Ok(Self { desc, data })
    }

    pub(crate) fn from_words(desc: Desc, words: Vec<u32>) -> Self {
        let data = match desc.dtype {
            DType::F32 => Data::F32(bytemuck::cast_vec(words)),
            DType::U32 => Data::U32(words),
        };
        Self { desc, data }
    }

    /// Element type and shape.
    pub fn desc(&self) -> &Desc {
        &self.desc
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements, without their shape.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The elements as f32, where they are.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(data) => Some(data),
            Data::U32(_) => None,
        }
    }

    /// The elements as u32, where they are.
    pub fn as_u32(&self) -> Option<&[u32]> {
        match &self.data {
            Data::U32(data) => Some(data),
            Data::F32(_) => None,
        }
    }

    /// The elements' bits, one word each.
    pub fn words(&self) -> &[u32] {
        match &self.data {
            Data::F32(data) => bytemuck::cast_slice(data),
            Data::U32(data) => data,
        }
    }
}
