//! The segments of the text that the anchors stand for.

use super::StepDims;
use crate::{add_scaled, row, row_mut};

/// The segment of text position `i` of `n`: `floor(i A / n)`.
fn segment_of(i: usize, n: usize, anchors: usize) -> usize {
    (i as u64 * anchors as u64 / n as u64) as usize
}

/// The segment of every row, `[B, R]`: an anchor's own, `floor(i A / n)` for text position `i` of a text of `n`, 0 for
/// padding. `lengths` `[B]` counts text positions, without the anchors.
pub fn segments(lengths: &[usize], dims: &StepDims) -> Vec<u32> {
    assert_eq!(lengths.len(), dims.batch, "segments: lengths is not [B]");
    let mut out = vec![0; dims.batch * dims.rows];
    for (b, &length) in lengths.iter().enumerate() {
        for s in 0..dims.anchors {
            out[b * dims.rows + s] = s as u32;
        }
        for i in 0..length {
            out[b * dims.rows + dims.anchors + i] = segment_of(i, length, dims.anchors) as u32;
        }
    }
    out
}

/// The mean of the prediction over each segment of the text, `[B, A, De]`: over the rows `A + i` with `i` below the
/// text's length and `floor(i A / length)` the segment; 0 for a segment that no position falls in.
///
/// `x0` `[B, R, De]`; `lengths` `[B]` counts text positions, without the anchors.
pub fn segment_mean(x0: &[f64], lengths: &[usize], dims: &StepDims) -> Vec<f64> {
    let StepDims { batch, anchors, rows, dim } = *dims;
    assert_eq!(x0.len(), batch * rows * dim, "segment_mean: x0 is not [B, R, De]");
    assert_eq!(lengths.len(), batch, "segment_mean: lengths is not [B]");
    let mut mean = vec![0.0; batch * anchors * dim];
    for (b, &length) in lengths.iter().enumerate() {
        assert!(anchors + length <= rows, "segment_mean: a text is longer than its rows");
        for s in 0..anchors {
            let members: Vec<usize> = (0..length).filter(|&i| segment_of(i, length, anchors) == s).collect();
            for &i in &members {
                let text_row = row(x0, b * rows + anchors + i, dim);
                add_scaled(row_mut(&mut mean, b * anchors + s, dim), 1.0 / members.len() as f64, text_row);
            }
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_their_means() {
        let dims = StepDims { batch: 2, anchors: 3, rows: 8, dim: 1 };
        // Texts of 5 (segments 0 0 1 1 2) and 2 (segments 0 and 1, the last one empty).
        assert_eq!(segments(&[5, 2], &dims), [0, 1, 2, 0, 0, 1, 1, 2, 0, 1, 2, 0, 1, 0, 0, 0]);
        let x0 = [9.0, 9.0, 9.0, 1.0, 3.0, 5.0, 8.0, 7.0, 9.0, 9.0, 9.0, 4.0, 6.0, 9.0, 9.0, 9.0];
        assert_eq!(segment_mean(&x0, &[5, 2], &dims), [2.0, 6.5, 7.0, 4.0, 6.0, 0.0]);
    }
}
