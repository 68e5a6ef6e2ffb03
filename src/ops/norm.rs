//! `norm`: RMS or layer norm without learned weights, then a shift and a scale that come from elsewhere.

use drdiff_reference as reference;

use super::{filled, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Capability, Grid, Kernel, Recorder, Tier, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

/// What a row is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NormKind {
    /// The root of its mean square plus `eps`.
    #[default]
    Rms,
    /// Less its mean, the root of its variance plus `eps`.
    Layer,
}

/// Inputs: `x` `[.., D]` and optional `modulation` (any f32 tensor, `D` values of it from each offset). Output: `y`
/// like `x`, `norm(x) (1 + scale) + shift` (adaLN, Peebles and Xie 2023), or `norm(x)` without a modulation.
///
/// NMSE is at most 1e-9 in f32, however large the values of a row and their mean, as long as a row's own sum is finite
/// and the mean of its squares (layer norm: of the distances from its mean) plus `eps` is above 1e-34: smaller squares are
/// flushed to zero.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// What a row is divided by.
    pub kind: NormKind,
    /// Added to the mean square; above 0.
    pub eps: f32,
    /// First element of the shift.
    pub shift_offset: usize,
    /// First element of the scale.
    pub scale_offset: usize,
}

/// Refuses an eps that is no number above 0, or one that a device may take for 0.
pub(crate) fn check_eps(eps: f32) -> Result<()> {
    match eps >= f32::MIN_POSITIVE && eps.is_finite() {
        true => Ok(()),
        false => {
            let expected = format!("a finite number from {:e} on", f32::MIN_POSITIVE);
            Err(Error::argument("eps of norm", format!("{eps:e}"), expected))
        }
    }
}

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        kind: u32,
        eps: f32,
        modulation: u32,
        shift_offset: u32,
        scale_offset: u32,
    }
}

/// One row a workgroup.
pub const NORM: Kernel = Kernel::core(shaders::NN_NORM, Params::FIELDS, &[false, false, true]);

/// The same with the operations of subgroups.
pub const NORM_SUBGROUP: Kernel = Kernel { tier: Tier::Subgroup, needs: &[Capability::Subgroups], ..NORM };

impl Op for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["x", "modulation"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let x = require("norm", inputs, 0, "x", DType::F32)?;
        filled("norm", "x", x)?;
        check_eps(self.eps)?;
        if inputs.get(1).copied().flatten().is_some() {
            let modulation = require("norm", inputs, 1, "modulation", DType::F32)?;
            let needed = self.shift_offset.max(self.scale_offset).saturating_add(x.last());
            if modulation.len() < needed {
                let expected = format!("at least {needed} values");
                return Err(Error::shape("norm", "modulation", modulation.to_string(), expected));
            }
        }
        Ok(vec![x.clone()])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let x = shapes.input(0);
        index32("norm", "x", x.len())?;
        // Lanes count past the end by up to a workgroup.
        index32("norm", "D", x.last() + shaders::nn_norm::THREADS as usize)?;
        let params = Params {
            rows: x.rows() as u32,
            dim: x.last() as u32,
            kind: self.kind as u32,
            eps: self.eps,
            modulation: shapes.inputs[1].is_some().into(),
            shift_offset: index32("norm", "shift_offset", self.shift_offset)?,
            scale_offset: index32("norm", "scale_offset", self.scale_offset)?,
        };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(&NORM, &params, &buffers, Grid::flat(x.rows()))
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let dim = shapes.input(0).last();
        let modulation = io.inputs.get(1).map(|m| (&m[self.shift_offset..][..dim], &m[self.scale_offset..][..dim]));
        cpu::norm::norm(io.inputs.f32(0), modulation, io.outputs.f32(0), dim, self.kind, self.eps);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (rows, dim) = (shapes.input(0).rows(), shapes.input(0).last());
        let nothing = vec![0.0; dim];
        let part = |offset: usize| io.inputs.get(1).map_or(nothing.as_slice(), |m| &m[offset..][..dim]);
        let (shift, scale) = (part(self.shift_offset), part(self.scale_offset));
        let (x, eps) = (io.inputs.f64(0), f64::from(self.eps));
        vec![OracleData::F64(match self.kind {
            NormKind::Rms => reference::nn::rms_norm_modulated(x, shift, scale, eps, rows, dim),
            NormKind::Layer => reference::nn::layer_norm_modulated(x, shift, scale, eps, rows, dim),
        })]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // Square, sum and product; then two for the modulation, two for the mean.
        let each = 3 + 2 * usize::from(shapes.inputs[1].is_some()) + 2 * usize::from(self.kind == NormKind::Layer);
        let x = shapes.input(0).len() as f64;
        let modulation = if shapes.inputs[1].is_some() { 2 * shapes.input(0).last() } else { 0 };
        Cost { flops: each as f64 * x, bytes: 4.0 * (2.0 * x + modulation as f64) }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "norm",
    summary: "y [N,D] = norm(x [N,D]) (1 + scale) + shift, kind=rms|layer",
    kernels: &[NORM, NORM_SUBGROUP],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let op = Norm {
        kind: arguments.choice("kind", &[("rms", NormKind::Rms), ("layer", NormKind::Layer)])?,
        eps: arguments.setting("eps", 1e-6)?,
        shift_offset: arguments.offset("shift_offset", "modulation")?,
        scale_offset: arguments.offset("scale_offset", "modulation")?,
    };
    let inputs = vec![Some(arguments.tensor("x")?), arguments.optional("modulation")];
    arguments.finish("norm")?;
    Ok(Call::new(op, inputs, vec![Output::new("y", Check::Nmse(1e-9))]))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..130 {
        let n = g.pick(&[1, 2, 7, 33, 64, 130]);
        let d = g.pick(&[1, 2, 3, 31, 32, 63, 64, 65, 100, 128, 192, 257, 512]);
        let (kind, eps) = (g.pick(&["rms", "layer"]), g.pick(&[1e-6, 1e-5, 0.1]));
        // Layer norm of one value is 0.
        let d = if kind == "layer" { d.max(2) } else { d };
        let (size, offset) = (g.pick(&[0.01, 1.0, 30.0]), g.pick(&[0.0, 0.0, 3.0]));
        let x = g.normal([n, d], 1.0);
        let x = g.fill([n, d], x.as_f32().unwrap_or(&[]).iter().map(|x| (x + offset) * size));
        let mut arguments = Arguments::new().with("x", x).set("kind", kind).set("eps", eps);
        let modulated = g.below(3) != 0;
        if modulated {
            let modulation = g.normal([6 * d + 5], 0.5);
            let [shift, scale] = [0, 1].map(|_| g.below(5 * d + 5));
            arguments = arguments.with("modulation", modulation).set("shift_offset", shift).set("scale_offset", scale);
        }
        let label = format!("{i}: n={n} d={d} {kind} eps={eps} size={size} offset={offset} modulated={modulated}");
        cases.push(Case::new(label, arguments));
    }
    for shape in [vec![70], vec![2, 3, 40], vec![1, 1, 4, 1000]] {
        cases.push(Case::new(format!("x {shape:?}"), Arguments::new().with("x", g.normal(shape, 1.0))));
    }
    // Squares that overflow, of one row among others, of all, and near the largest float.
    for (d, size) in [(64, 1e17_f32), (65, 1e19), (192, 3e24), (1000, 1e30), (7, 2e36)] {
        for kind in ["rms", "layer"] {
            let x = g.normal([5, d], 1.0);
            let rows = x.as_f32().unwrap_or(&[]).iter().enumerate();
            let x = g.fill([5, d], rows.map(|(i, x)| x * if i / d == 2 { 1.0 } else { size }));
            cases.push(Case::new(
                format!("d={d} {kind} size={size:e}"),
                Arguments::new().with("x", x).set("kind", kind),
            ));
        }
    }
    let row = g.normal([50], 1.0);
    let zeros = g.fill([3, 50], [vec![0.0; 100], row.as_f32().unwrap_or(&[]).to_vec()].concat());
    cases.push(Case::new("rows of zeros", Arguments::new().with("x", zeros)));
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    let mut case = |kind: &str| {
        let (x, modulation) = (g.normal([4096, 512], 1.0), g.normal([1024], 0.5));
        let arguments = Arguments::new().with("x", x).with("modulation", modulation);
        Case::new(format!("n=4096 d=512 {kind}"), arguments.set("kind", kind).set("scale_offset", 512))
    };
    vec![case("rms"), case("layer")]
}
