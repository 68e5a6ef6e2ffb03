//! When an arg-max in f32 may differ from the one in f64: where logits nearly tie, but not where they are equal, for
//! then the lower token is right.

use crate::{Rule, exceeds};
use drdiff::Tensor;

/// Largest difference of two logits, relative to the row's largest |logit|, that f32 may take either way.
const NEAR: f64 = 1e-5;

/// The rule for the arg-max of an op; `None` where it has to be exact.
pub(super) fn rule(op: &str) -> Option<Rule> {
    match op {
        "vocab_expectation" => Some(of_logits),
        "rounding" => Some(of_products),
        _ => None,
    }
}

/// The rule for `token` of `vocab_expectation`: inputs `h`, `unembed`, `embed`, `skip`.
fn of_logits(inputs: &[Option<Tensor>], got: &[u32], want: &[u32]) -> Result<(), String> {
    let [h, unembed, embed, skip] = [0, 1, 2, 3].map(|index| Rows::of(inputs, index));
    judge(got, want, unembed.count(), |row, token| dot(&h, row, &unembed, token) + dot(&skip, row, &embed, token))
}

/// The rule for `rounding`: inputs `x`, `table`.
fn of_products(inputs: &[Option<Tensor>], got: &[u32], want: &[u32]) -> Result<(), String> {
    let [x, table] = [0, 1].map(|index| Rows::of(inputs, index));
    judge(got, want, table.count(), |row, token| dot(&x, row, &table, token))
}

/// The rows of an input; none where it is absent.
struct Rows<'a> {
    data: &'a [f32],
    width: usize,
}

impl<'a> Rows<'a> {
    fn of(inputs: &'a [Option<Tensor>], index: usize) -> Self {
        let tensor = inputs.get(index).and_then(Option::as_ref);
        let data = tensor.and_then(Tensor::as_f32).unwrap_or(&[]);
        Self { data, width: tensor.map_or(1, |tensor| tensor.desc().last().max(1)) }
    }

    fn count(&self) -> usize {
        self.data.len() / self.width
    }

    fn row(&self, row: usize) -> &'a [f32] {
        self.data.get(row * self.width..(row + 1) * self.width).unwrap_or(&[])
    }
}

fn dot(a: &Rows<'_>, i: usize, b: &Rows<'_>, j: usize) -> f64 {
    a.row(i).iter().zip(b.row(j)).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn judge(got: &[u32], want: &[u32], vocab: usize, logit: impl Fn(usize, usize) -> f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} elements, {} expected", got.len(), want.len()));
    }
    for (row, (&got, &want)) in got.iter().zip(want).enumerate().filter(|(_, (got, want))| got != want) {
        if got as usize >= vocab {
            return Err(format!("row {row} is {got}, of {vocab} tokens"));
        }
        let largest = (0..vocab).map(|token| logit(row, token).abs()).fold(0.0, f64::max);
        let difference = logit(row, want as usize) - logit(row, got as usize);
        if difference == 0.0 || exceeds(difference.abs(), NEAR * largest) {
            return Err(format!(
                "row {row} is {got}, expected {want}, whose logit is {difference:.2e} above (largest {largest:.2e})"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ties_pass_and_others_do_not() {
        let tensor = |shape: [usize; 2], data: Vec<f32>| Some(Tensor::f32(shape, data).unwrap());
        let inputs = [tensor([1, 1], vec![1.0]), tensor([3, 1], vec![100.0, 100.0005, 99.0])];
        assert!(of_products(&inputs, &[0], &[1]).is_ok());
        assert!(of_products(&inputs, &[2], &[1]).is_err());
        let equal = [tensor([1, 1], vec![1.0]), tensor([3, 1], vec![100.0, 100.0, 99.0])];
        assert!(of_products(&equal, &[1], &[0]).is_err());
        assert!(of_products(&inputs, &[3], &[1]).is_err());
        assert!(of_products(&inputs, &[], &[1]).is_err());
    }
}
