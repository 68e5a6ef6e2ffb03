//! Deterministic inputs for cases.

use drdiff::Tensor;
use drdiff_reference::noise;

/// Random tensors from a seed; every call takes a new stream.
#[derive(Debug)]
pub struct Gen {
    seed: u64,
    stream: u32,
}

impl Gen {
    /// A generator; `salt` makes ops differ.
    pub fn new(seed: u64, salt: &str) -> Self {
        let salt = salt.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(131).wrapping_add(byte.into()));
        Self { seed: seed ^ salt << 20, stream: 0 }
    }

    fn next(&mut self) -> u32 {
        self.stream += 1;
        self.stream
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        let stream = self.next();
        noise::bits(self.seed, stream, 1)[0] as usize % n
    }

    /// One of `all`.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Normals times `scale`.
    pub fn normal(&mut self, shape: impl Into<Vec<usize>>, scale: f32) -> Tensor {
        let shape = shape.into();
        let stream = self.next();
        let values = noise::normal(self.seed, stream, shape.iter().product());
        self.fill(shape, values.into_iter().map(|x| x as f32 * scale))
    }

    /// Random words.
    pub fn words(&mut self, shape: impl Into<Vec<usize>>) -> Tensor {
        let shape = shape.into();
        let stream = self.next();
        let words = noise::bits(self.seed, stream, shape.iter().product());
        Tensor::u32(shape, words).expect("as many words as the shape has")
    }

    /// Indices below `n`.
    pub fn indices(&mut self, shape: impl Into<Vec<usize>>, n: usize) -> Tensor {
        let words = self.words(shape);
        let shape = words.desc().shape.clone();
        let indices = words.words().iter().map(|&word| (word as usize % n) as u32).collect();
        Tensor::u32(shape, indices).expect("as many indices as words")
    }

    /// An f32 tensor of given values.
    pub fn fill(&self, shape: impl Into<Vec<usize>>, values: impl IntoIterator<Item = f32>) -> Tensor {
        Tensor::f32(shape, values.into_iter().collect()).expect("as many values as the shape has")
    }
}
