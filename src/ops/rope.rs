//! `rope`: rotary positions.

use drdiff_reference as reference;

use super::{filled, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, Tensor, cpu, memory};

/// Inputs: `x` `[B, R, D]` or `[R, D]` and `table` `[R, rotary_dim / 2, 2]` of (cos, sin), which all sequences share.
/// Output: `y` like `x`, with dims `(2j, 2j + 1)` of each head, `(a, b)`, turned to `(a cos - b sin, a sin + b cos)`
/// (Su et al. 2021); dims from `rotary_dim` on are copied.
///
/// NMSE is at most 1e-9 in f32 for `x` of any size from 1e-30 to 1e30: a turn keeps the size of a pair, so nothing cancels
/// that counts.
#[derive(Clone, Copy, Debug)]
pub struct Rope {
    /// Heads: contiguous slices of `D / heads`.
    pub heads: usize,
    /// Dims at the start of a head that are turned; even, at most `D / heads`.
    pub rotary_dim: usize,
}

/// The table for [`Rope`], `[anchors + positions, rotary_dim / 2, 2]`: text position `p` turns pair `j` by
/// `p base^(-2j / rotary_dim)`; the rows of the anchors, which come first, are zeros and so set those dims to zero.
///
/// # Errors
/// Where `rotary_dim` is odd, or the memory is refused.
pub fn rope_table(anchors: usize, positions: usize, rotary_dim: usize, base: f64) -> Result<Tensor> {
    even(rotary_dim)?;
    let pairs = rotary_dim / 2;
    let frequencies: Vec<f64> = (0..pairs).map(|j| base.powf(-2.0 * j as f64 / rotary_dim as f64)).collect();
    let mut table = memory::empty("the table of rotations", (anchors + positions) * rotary_dim)?;
    table.resize(anchors * rotary_dim, 0.0);
    for p in 0..positions {
        for frequency in &frequencies {
            let (sin, cos) = (p as f64 * frequency).sin_cos();
            table.extend([cos as f32, sin as f32]);
        }
    }
    Tensor::f32([anchors + positions, pairs, 2], table)
}

fn even(rotary_dim: usize) -> Result<()> {
    match rotary_dim.is_multiple_of(2) {
        true => Ok(()),
        false => Err(Error::argument("rotary_dim of rope", rotary_dim, "an even number")),
    }
}

/// Refuses a `rotary_dim` that a head has no room for.
pub(crate) fn check_dim(rotary_dim: usize, head_dim: usize) -> Result<()> {
    even(rotary_dim)?;
    match rotary_dim <= head_dim {
        true => Ok(()),
        false => Err(Error::argument("rotary_dim of rope", rotary_dim, format!("at most the head's {head_dim}"))),
    }
}

crate::params! {
    struct Params {
        count: u32,
        dim: u32,
        head_dim: u32,
        rotary_dim: u32,
        table_rows: u32,
    }
}

/// One thread an element.
pub const ROPE: Kernel = Kernel::core(shaders::NN_ROPE, Params::FIELDS, &[false, false, true]);

impl Op for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "table"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require("rope", inputs, 0, "x", DType::F32)?;
        require("rope", inputs, 1, "table", DType::F32)?;
        filled("rope", "x", x)?;
        if !matches!(x.shape.len(), 2 | 3) {
            return Err(Error::shape("rope", "x", x.to_string(), "[R, D] or [B, R, D]"));
        }
        if self.heads == 0 || !x.last().is_multiple_of(self.heads) {
            return Err(Error::argument("heads of rope", self.heads, format!("a divisor of D = {}", x.last())));
        }
        check_dim(self.rotary_dim, x.last() / self.heads)?;
        let expected = Desc::f32([x.dim(x.shape.len() - 2), self.rotary_dim / 2, 2]);
        super::expect("rope", inputs, 1, "table", &expected)?;
        Ok(vec![x.clone()])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let x = shapes.input(0);
        index32("rope", "table", shapes.input(1).len())?;
        let params = Params {
            count: index32("rope", "x", x.len())?,
            dim: x.last() as u32,
            head_dim: (x.last() / self.heads) as u32,
            rotary_dim: self.rotary_dim as u32,
            table_rows: shapes.input(1).dim(0) as u32,
        };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(&ROPE, &params, &buffers, Grid::elements(x.len(), shaders::nn_rope::WORKGROUP))
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let dim = shapes.input(0).last();
        let (x, table) = (io.inputs.f32(0), io.inputs.f32(1));
        cpu::rope::rope(x, table, io.outputs.f32(0), dim, dim / self.heads, self.rotary_dim);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let x = shapes.input(0);
        let rows = shapes.input(1).dim(0);
        let dims = reference::nn::RopeDims {
            batch: x.rows() / rows,
            rows,
            heads: self.heads,
            head_dim: x.last() / self.heads,
            rotary_dim: self.rotary_dim,
        };
        vec![OracleData::F64(reference::nn::rope(io.inputs.f64(0), io.inputs.f64(1), &dims))]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // Two products and a sum for each turned element.
        let turned = shapes.input(0).rows() * self.heads * self.rotary_dim;
        Cost { flops: 3.0 * turned as f64, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "rope",
    summary: "y = x [B,R,D] with the first rotary_dim dims of each head turned by table [R,rotary_dim/2,2]",
    kernels: &[ROPE],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let op = Rope { heads: arguments.required("heads")?, rotary_dim: arguments.required("rotary_dim")? };
    let inputs = vec![Some(arguments.tensor("x")?), Some(arguments.tensor("table")?)];
    arguments.finish("rope")?;
    Ok(Call::new(op, inputs, vec![Output::new("y", Check::Nmse(1e-9))]))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..110 {
        let (batch, anchors, positions) = (g.pick(&[0, 1, 2, 3]), g.pick(&[0, 1, 8]), g.pick(&[1, 2, 31, 64, 100]));
        let (heads, head_dim) = (g.pick(&[1, 2, 3, 6]), g.pick(&[1, 2, 5, 16, 31, 32, 64]));
        let rotary = 2 * g.below(head_dim / 2 + 1);
        let (rows, dim) = (anchors + positions, heads * head_dim);
        let shape = if batch == 0 { vec![rows, dim] } else { vec![batch, rows, dim] };
        let base = g.pick(&[100.0, 10_000.0]);
        let table = rope_table(anchors, positions, rotary, base).expect("rotary is even");
        let arguments = Arguments::new().with("x", g.normal(shape.clone(), 1.0)).with("table", table);
        let label = format!("{i}: x {shape:?} anchors={anchors} heads={heads} rotary_dim={rotary}");
        cases.push(Case::new(label, arguments.set("heads", heads).set("rotary_dim", rotary)));
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    let table = rope_table(0, 4096, 16, 10_000.0).expect("16 is even");
    let arguments = Arguments::new().with("x", g.normal([4096, 512], 1.0)).with("table", table);
    vec![Case::new("n=4096 d=512 heads=8 rotary_dim=16", arguments.set("heads", 8).set("rotary_dim", 16))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_reference_rounded() {
        let table = rope_table(2, 50, 6, 10_000.0).unwrap();
        assert_eq!(table.desc().shape, [52, 3, 2]);
        let want = reference::nn::rope_table(2, 50, 6, 10_000.0);
        for (got, want) in table.as_f32().unwrap().iter().zip(want) {
            approx::assert_abs_diff_eq!(f64::from(*got), want, epsilon = 1e-7);
        }
        assert!(rope_table(0, 4, 3, 10_000.0).is_err());
    }
}
