//! `segment_mean`: what the text says now, segment by segment.

use drdiff_reference as reference;

use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::ops::{dims, expect, filled, index32, require};
use crate::{DType, Desc, Error, Result, Tensor, cpu};

/// Inputs: `x0` `[B, R, De]`, `lengths` u32 `[B]` (rows of each sequence, anchors included, at most R). Output: `mean`
/// `[B, A, De]` over the text rows of each segment, zeros where a segment is empty. Rows of anchors and padding are not
/// read.
///
/// NMSE is at most 1e-9 in f32 for values of any size from 1e-25 to 1e25 over segments of at least 8,191 rows, as long as
/// the sizes of a sum's terms add up to at most 100 times the sum's.
#[derive(Clone, Copy, Debug)]
pub struct SegmentMean {
    /// Anchor rows ahead of the text, A; at least 1.
    pub anchors: usize,
}

impl SegmentMean {
    /// Refuses anchors that do not suit sequences of `rows`, anchors included.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        if self.anchors == 0 || self.anchors > rows {
            let expected = format!("1 to the {rows} rows of x0");
            return Err(Error::shape("segment_mean", "anchors", self.anchors.to_string(), expected));
        }
        // (segment + 1) * n is computed in 32 bits.
        index32("segment_mean", "anchors x rows", (self.anchors + 1).saturating_mul(rows)).map(|_| ())
    }
}

crate::params! {
    struct Params {
        batch: u32,
        rows: u32,
        anchors: u32,
        dim: u32,
    }
}

/// One workgroup a segment and 16 dimensions.
pub const SEGMENT_MEAN: Kernel = Kernel::core(shaders::SOLVER_SEGMENT_MEAN, Params::FIELDS, &[false, false, true]);

impl Op for SegmentMean {
    fn name(&self) -> &'static str {
        "segment_mean"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x0", "lengths"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x0 = require("segment_mean", inputs, 0, "x0", DType::F32)?;
        let [batch, rows, dim] = dims("segment_mean", "x0", x0)?;
        filled("segment_mean", "x0", x0)?;
        require("segment_mean", inputs, 1, "lengths", DType::U32)?;
        expect("segment_mean", inputs, 1, "lengths", &Desc::u32([batch]))?;
        self.check(rows)?;
        Ok(vec![Desc::f32([batch, self.anchors, dim])])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let [batch, rows, dim] = dims("segment_mean", "x0", shapes.input(0))?;
        index32("segment_mean", "x0", shapes.input(0).len())?;
        let [b, r, a, d] = [batch, rows, self.anchors, dim].map(|n| n as u32);
        let params = Params { batch: b, rows: r, anchors: a, dim: d };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(
            &SEGMENT_MEAN,
            &params,
            &buffers,
            Grid::flat(batch * self.anchors * dim.div_ceil(shaders::solver_segment_mean::DIMS as usize)),
        )
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let x0 = shapes.input(0);
        let sizes = (self.anchors, x0.dim(1), x0.dim(2));
        cpu::solver::segment_mean(io.inputs.f32(0), io.inputs.u32(1), sizes, io.outputs.f32(0));
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let x0 = shapes.input(0);
        let dims =
            reference::solver::StepDims { batch: x0.dim(0), anchors: self.anchors, rows: x0.dim(1), dim: x0.dim(2) };
        let text = |&n: &u32| (n as usize).clamp(self.anchors, dims.rows) - self.anchors;
        let lengths: Vec<_> = io.inputs.u32(1).iter().map(text).collect();
        vec![OracleData::F64(reference::solver::segment_mean(io.inputs.f64(0), &lengths, &dims))]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: shapes.input(0).len() as f64, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "segment_mean",
    summary: "mean [B,A,De] of x0 [B,R,De] over the text rows of each segment",
    kernels: &[SEGMENT_MEAN],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let op = SegmentMean { anchors: arguments.required("anchors")? };
    let (x0, lengths) = (arguments.tensor("x0")?, arguments.tensor("lengths")?);
    arguments.finish("segment_mean")?;
    let rows = x0.desc().shape.get(1).copied().unwrap_or(0);
    let fits = |length: u32| (op.anchors..=rows).contains(&(length as usize));
    if let Some(length) = lengths.as_u32().and_then(|all| all.iter().copied().find(|&length| !fits(length))) {
        let expected = format!("from the {} anchors to the {rows} rows there are", op.anchors);
        return Err(Error::argument("`lengths` of segment_mean", length, expected));
    }
    let inputs = vec![Some(x0), Some(lengths)];
    Ok(Call::new(op, inputs, vec![Output::new("mean", Check::Nmse(1e-9))]))
}

fn case(g: &mut Gen, batch: usize, anchors: usize, text: usize, dim: usize) -> Arguments {
    let rows = anchors + text;
    let lengths: Vec<u32> =
        (0..batch).map(|b| if b == 0 { rows } else { anchors + g.below(text + 1) } as u32).collect();
    Arguments::new()
        .with("x0", g.normal([batch, rows, dim], 1.0))
        .with("lengths", Tensor::u32([batch], lengths).expect("one length a sequence"))
        .set("anchors", anchors)
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, anchors) in [(1, 1), (1, 3), (2, 8), (3, 16)] {
        for text in [1, 2, 7, 16, 33, 100] {
            for dim in [1, 15, 16, 33] {
                let label = format!("batch={batch} anchors={anchors} text={text} dim={dim}");
                cases.push(Case::new(label, case(g, batch, anchors, text, dim)));
            }
        }
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![Case::new("anchors=32 text=8192 dim=32", case(g, 1, 32, 8192, 32))]
}
