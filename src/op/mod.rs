//! What an op is: its signature, its shapes, the kernels it chooses from, and its code on the CPU and in the reference.
//!
//! The ops there are live in [`ops`](crate::ops); an application writes its own by implementing [`Op`]. Nothing here knows
//! a graph: an op is handed shapes and memory, and says what to dispatch.

mod arguments;
mod bind;
mod choice;
mod entry;
mod io;
mod shapes;
mod signature;

pub(crate) use arguments::parse;
pub use arguments::{Arguments, SettingValue};
pub use choice::{Choice, Dispatch, Grid, Place, Scratch};
pub use entry::Entry;
pub use io::{CpuIo, Inputs, Outputs, ReferenceData, ReferenceIo};
pub use shapes::{Shapes, Sizes, index32};
pub use signature::{Accuracy, Dim, Form, Input, Output, Role, Setting, Signature};

use crate::gpu::Capabilities;
use crate::{Desc, Error, Result};

/// Work of an op at given shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts 2.
    pub flops: f64,
    /// Bytes that must be read and written at least once.
    pub bytes: f64,
}

/// One operation: the same meaning on a GPU, on the CPU and in the f64 reference.
///
/// An op that has no code for a device keeps the method's default, and a graph that meets it there is refused with the
/// op's name.
pub trait Op: std::fmt::Debug + Send + Sync {
    /// Its name, inputs, outputs and settings.
    fn signature(&self) -> &'static Signature;

    /// Its name.
    fn name(&self) -> &'static str {
        self.signature().name
    }

    /// Checks the inputs, one for each of the signature's, and says what the outputs are.
    ///
    /// # Errors
    /// If a shape, type or setting does not fit.
    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        self.signature().bind(inputs, &[])
    }

    /// Ways to compute it on a GPU, the one to prefer first. A choice whose kernels need what `device` lacks is passed
    /// over; one at least needs nothing.
    ///
    /// # Errors
    /// If a size exceeds what kernels can index, or there are no kernels.
    fn choices(&self, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
        let _ = (shapes, device);
        Err(Error::Unsupported { op: self.name(), device: "a GPU" })
    }

    /// Computes on the CPU, in f32.
    ///
    /// # Errors
    /// If working memory is refused; what was being written is then of no use.
    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let _ = (shapes, io);
        Err(Error::Unsupported { op: self.name(), device: "the CPU" })
    }

    /// Computes with the f64 reference: one entry for each output, then one for each update.
    ///
    /// # Errors
    /// If the op has no reference.
    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        let _ = (shapes, io);
        Err(Error::Unsupported { op: self.name(), device: "the reference" })
    }

    /// Work at these shapes.
    fn cost(&self, shapes: &Shapes) -> Cost;
}
