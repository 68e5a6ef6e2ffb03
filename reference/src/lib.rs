//! The operations of drdiff as plain f64 loops: the oracle that every GPU kernel and the fast CPU device are
//! checked against. Slow on purpose; a reader should be able to check each function by eye.
//!
//! Arrays are flat slices in row-major order. A shape such as `[B, R, D]` in a comment means that element
//! `(b, r, d)` lies at `(b * R + r) * D + d`. Letters: B sequences, A anchor rows, N text positions, R rows of one
//! sequence (the A anchors, then the N text positions), D model width, De embedding width, H heads, Dh width of a
//! head, V vocabulary, E experts, S solver steps. Weights are stored out x in.
//!
//! Functions panic only where a slice does not have the documented shape: callers validate first.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod attention;
pub mod experts;
pub mod nn;
pub mod noise;
pub mod solver;
pub mod vocab;

/// Row `i` of a matrix whose rows are `width` long.
fn row<T>(matrix: &[T], i: usize, width: usize) -> &[T] {
    &matrix[i * width..(i + 1) * width]
}

/// Row `i` of a matrix whose rows are `width` long, for writing.
fn row_mut<T>(matrix: &mut [T], i: usize, width: usize) -> &mut [T] {
    &mut matrix[i * width..(i + 1) * width]
}

/// Sum of the products of two vectors of one length.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len(), "dot: lengths differ");
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `sum += weight * vector`.
fn add_scaled(sum: &mut [f64], weight: f64, vector: &[f64]) {
    debug_assert_eq!(sum.len(), vector.len(), "add_scaled: lengths differ");
    for (sum, value) in sum.iter_mut().zip(vector) {
        *sum += weight * value;
    }
}

/// The index of the largest value; the lower one on a tie.
fn arg_max(values: &[f64]) -> usize {
    assert!(!values.is_empty(), "arg_max: nothing to choose from");
    let mut best = 0;
    for (i, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod testing {
    //! What the unit tests of all modules share.

    /// Every pair within `tolerance`, absolute; NaN fails.
    pub fn assert_close(left: &[f64], right: &[f64], tolerance: f64) {
        assert_eq!(left.len(), right.len(), "lengths differ");
        for (i, (l, r)) in left.iter().zip(right).enumerate() {
            assert!((l - r).abs() <= tolerance, "element {i}: {l} against {r}, off by {}", (l - r).abs());
        }
    }

    /// Some normal values; a different `stream` gives different ones.
    pub fn values(stream: u32, count: usize) -> Vec<f64> {
        crate::noise::normal(1234, stream, count)
    }
}
