//! An op that drdiff does not have: `softcap`, in the shape that drdiff's own have.

use drdiff::gpu::{Capabilities, Kernel, Source};
use drdiff::op::{
    Accuracy, Arguments, Choice, Cost, CpuIo, Dim, Entry, Grid, Input, Op, Output, ReferenceData, ReferenceIo, Setting,
    Shapes, Signature,
};
use drdiff::{Desc, Error, Result};

/// `cap tanh(x / cap)`.
#[derive(Clone, Copy, Debug)]
pub struct Softcap {
    /// What no result reaches; above 0.
    pub cap: f32,
}

const X: Input = Input::f32(0, "x", &[Dim::Front]);
const Y: Output = Output::f32(0, "y", &[Dim::Front], Accuracy::Nmse(1e-9));
const CAP: Setting = Setting { name: "cap", default: "50", meaning: "what no result reaches" };

/// What it takes and gives: shape checks, calls by name and `verify` follow from it.
pub static SIGNATURE: Signature = Signature::new("softcap", "y = cap tanh(x / cap)", &[X], &[Y], &[CAP]);

drdiff::params! {
    struct Params {
        count: u32,
        cap: f32,
    }
}

const THREADS: [u32; 3] = [64, 1, 1];
const KERNEL: Kernel =
    Kernel::core(Source::new("softcap", include_str!("softcap.wgsl")), Params::FIELDS, &[false, true]);

/// Its line in a registry.
pub const ENTRY: Entry = Entry {
    signature: &SIGNATURE,
    kernels: &[&[KERNEL]],
    build: |arguments: &mut Arguments| Ok(Box::new(Softcap { cap: arguments.setting(CAP)? })),
};

impl Op for Softcap {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        if !(self.cap.is_finite() && self.cap > 0.0) {
            return Err(Error::argument("the setting `cap` of softcap", self.cap, "a finite number above 0"));
        }
        SIGNATURE.bind(inputs, &[])
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        let count = shapes.input(X).len();
        let params = Params { count: shapes.index32("x", count)?, cap: self.cap };
        Ok(vec![Choice::of(&KERNEL, &params, &[X.into(), Y.into()], Grid::elements(count, THREADS))])
    }

    fn run_cpu(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        for (y, x) in io.outputs.f32(Y).iter_mut().zip(io.inputs.f32(X)) {
            *y = self.cap * (x / self.cap).tanh();
        }
        Ok(())
    }

    fn run_reference(&self, _shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        let cap = f64::from(self.cap);
        Ok(vec![ReferenceData::F64(io.f64(X).iter().map(|x| cap * (x / cap).tanh()).collect())])
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 20.0 * shapes.input(X).len() as f64, bytes: shapes.bytes() }
    }
}
