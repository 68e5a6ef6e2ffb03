//! `solver_step`: the sampler's fused update.

#[cfg(feature = "cpu")]
mod cpu;
mod gpu;
#[cfg(feature = "reference")]
mod reference;
mod row;

pub use row::StepRow;

use crate::gpu::Capabilities;
#[cfg(feature = "cpu")]
use crate::op::CpuIo;
use crate::op::{Accuracy, Arguments, Choice, Cost, Dim, Entry, Input, Op, Setting, Shapes, Signature};
#[cfg(feature = "reference")]
use crate::op::{ReferenceData, ReferenceIo};
use crate::{Desc, Error, Result, Tensor};

/// One update of a batch: see [`SIGNATURE`]. `info` is flag + 4 segment (flag 0 noisy, 1 clean, 2 anchor); `prediction` is
/// read on anchor rows at a refresh, `mean` where omega is not 0 (without it there is no guidance), `seeds` where the noise
/// coefficient is not 0 (without them there is no noise).
///
/// Clean rows keep their z: they hold their embedding from the start, so the prompt is exact after every update.
///
/// NMSE is at most 1e-10 in f32 for values of any size from 1e-25 to 1e25 and an `absorb` up to 30 times as large as the
/// new state: beyond, the state loses the digits that cancel.
#[derive(Clone, Copy, Debug)]
pub struct SolverStep {
    /// Anchor rows before the text, A.
    pub anchors: usize,
}

const B: Dim = Dim::Named("B");
const R: Dim = Dim::Named("R");
const A: Dim = Dim::MayBeZero("A");
const DE: Dim = Dim::Named("De");

const Z: Input = Input::f32(0, "z", &[B, R, DE]).updated(Accuracy::Nmse(1e-10));
const X0: Input = Input::f32(1, "x0", &[B, R, DE]);
const HISTORY: Input = Input::f32(2, "history", &[B, R, DE]).updated(Accuracy::Nmse(1e-10));
const INFO: Input = Input::u32(3, "info", &[B, R]);
const ABSORB: Input = Input::f32(4, "absorb", &[DE]);
const PREDICTION: Input = Input::f32(5, "prediction", &[B, R, DE]);
const MEAN: Input = Input::f32(6, "mean", &[B, A, DE]).optional();
const SEEDS: Input = Input::u32(7, "seeds", &[B, Dim::Fixed(2)]).optional();
const STEP: Input = StepRow::input(8);

const ANCHORS: Setting = Setting { name: "anchors", default: "", meaning: "A, anchor rows ahead of the text" };

/// What it takes and gives.
pub static SIGNATURE: Signature = Signature::new(
    "solver_step",
    "one update of z and history: solver, prompt, guidance by anchors, soft absorption, noise",
    &[Z, X0, HISTORY, INFO, ABSORB, PREDICTION, MEAN, SEEDS, STEP],
    &[],
    &[ANCHORS],
);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let op = SolverStep { anchors: arguments.setting(ANCHORS)? };
    let row = StepRow::from_words(arguments.peek(STEP).and_then(|step| step.as_f32()).unwrap_or(&[]));
    if row.omega != 0.0 && (arguments.peek(MEAN).is_none() || op.anchors == 0) {
        return Err(Error::shape(SIGNATURE.name, MEAN.name, "missing", "a tensor, as omega is not 0"));
    }
    if row.c_noise != 0.0 && arguments.peek(SEEDS).is_none() {
        let expected = "a tensor, as the noise coefficient is not 0";
        return Err(Error::shape(SIGNATURE.name, SEEDS.name, "missing", expected));
    }
    if let (Some(z), Some(info)) = (arguments.peek(Z), arguments.peek(INFO)) {
        check_info(z, info, op.anchors)?;
    }
    Ok(Box::new(op))
}

/// Flags and segments as the op takes them: the first A rows of a sequence, and no others, are its anchors, and every
/// segment belongs to one of them.
fn check_info(z: &Tensor, info: &Tensor, anchors: usize) -> Result<()> {
    let rows = z.desc().shape.get(1).copied().unwrap_or(1).max(1);
    let wrong = info.words().iter().enumerate().find(|&(at, word)| {
        let (flag, segment) = (word & 3, (word >> 2) as usize);
        flag == 3 || (flag == 2) != (at % rows < anchors) || segment >= anchors.max(1)
    });
    match wrong {
        None => Ok(()),
        Some((at, word)) => {
            let found = format!("flag {} and segment {}", word & 3, word >> 2);
            let expected =
                format!("flag 2 on the first {anchors} rows, 0 or 1 behind them, a segment below {}", anchors.max(1));
            Err(Error::argument(format!("row {at} of info"), found, expected))
        }
    }
}

impl SolverStep {
    /// Whether there is what guides.
    fn guided(&self, shapes: &Shapes) -> bool {
        shapes.has(MEAN) && self.anchors > 0
    }

    /// What a step asks for, except what there are no inputs for.
    #[cfg(any(feature = "cpu", feature = "reference"))]
    fn row(&self, shapes: &Shapes, row: StepRow) -> StepRow {
        let omega = if self.guided(shapes) { row.omega } else { 0.0 };
        let c_noise = if shapes.has(SEEDS) { row.c_noise } else { 0.0 };
        StepRow { omega, c_noise, ..row }
    }
}

impl Op for SolverStep {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        let shapes = SIGNATURE.bind(inputs, &[(A, self.anchors)])?;
        let rows = shapes.size(R);
        if self.anchors > rows {
            let found = self.anchors.to_string();
            return Err(Error::shape(SIGNATURE.name, "anchors", found, format!("at most {rows} rows")));
        }
        Ok(shapes)
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(self, shapes)
    }

    #[cfg(feature = "cpu")]
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(self, shapes, io);
        Ok(())
    }

    #[cfg(feature = "reference")]
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(self, shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let z = shapes.input(Z);
        Cost { flops: 10.0 * z.len() as f64, bytes: shapes.bytes() + 2.0 * z.bytes() as f64 }
    }
}
