//! Kinds of numbers that kernels have been known to get wrong.

use super::Gen;
use drdiff::Tensor;

/// A kind of numbers. The first row, and the first element of it, are ordinary in every kind, so that no tensor is all
/// zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// Standard normals times this.
    Normal(f32),
    /// Standard normals around this.
    Around(f32),
    /// A third of them zeros of either sign.
    Zeros,
    /// A third of them below the smallest normal number, where a device may take them for zeros.
    Denormals,
    /// One in sixteen 10,000 times as large.
    Outliers,
    /// Every other row one value over and over.
    ConstantRows,
    /// Every third row zeros.
    ZeroRows,
    /// Rows of sizes from 10^-3 to 10^3.
    MixedRows,
    /// Whole numbers from -4 to 4: products and their sums are exact, and ties abound.
    Whole,
    /// One plus up to 7 units in the last place.
    Ulps,
}

impl std::fmt::Display for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Normal(size) => write!(f, "normal*{size:e}"),
            Self::Around(mean) => write!(f, "around {mean:e}"),
            Self::Zeros => f.write_str("signed zeros"),
            Self::Denormals => f.write_str("denormals"),
            Self::Outliers => f.write_str("outliers"),
            Self::ConstantRows => f.write_str("constant rows"),
            Self::ZeroRows => f.write_str("rows of zeros"),
            Self::MixedRows => f.write_str("rows of mixed size"),
            Self::Whole => f.write_str("whole numbers"),
            Self::Ulps => f.write_str("units in the last place"),
        }
    }
}

impl Gen {
    /// A tensor of a kind of numbers.
    pub fn values(&mut self, shape: impl Into<Vec<usize>>, kind: Values) -> Tensor {
        let shape = shape.into();
        let width = shape.last().copied().unwrap_or(1).max(1);
        let normals = self.normal(shape.clone(), 1.0);
        let words = self.words(shape.clone());
        let normals = normals.as_f32().unwrap_or(&[]);
        let value = |(i, &word): (usize, &u32)| {
            let (x, row) = (normals[i], i / width);
            let third = i > 0 && word % 3 == 0;
            let negative = word >> 31 == 1;
            match kind {
                Values::Normal(size) => x * size,
                Values::Around(mean) => mean + x,
                Values::Zeros if third => {
                    if negative {
                        -0.0
                    } else {
                        0.0
                    }
                }
                Values::Denormals if third => x * 1e-39,
                Values::Outliers if word % 16 == 0 => x * 1e4,
                Values::ConstantRows if row % 2 == 1 => normals[row * width],
                Values::ZeroRows if row % 3 == 1 => 0.0,
                Values::MixedRows => x * 10_f32.powi((row * 5 % 7) as i32 - 3),
                Values::Whole => (word % 9) as f32 - 4.0,
                Values::Ulps => 1.0 + (word % 8) as f32 * f32::EPSILON,
                _ => x,
            }
        };
        let values: Vec<f32> = words.words().iter().enumerate().map(value).collect();
        self.fill(shape, values)
    }

    /// The numbers below `n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let keys = self.words([n]);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| (keys.words()[i], i));
        order
    }
}
