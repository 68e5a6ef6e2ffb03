//! `embedding`: rows of a table.

mod cpu;
mod gpu;
mod reference;

use crate::gpu::Capabilities;
use crate::op::{
    Accuracy, Arguments, Choice, Cost, CpuIo, Dim, Entry, Input, Op, Output, ReferenceData, ReferenceIo, Shapes,
    Signature,
};
use crate::{Error, Result};

/// The rows of a table that ids name: see [`SIGNATURE`]. An id of V or more gives a row of zeros on every device.
///
/// A copy: exact for all values, infinities included, but that a device may take numbers below 1.2e-38 for 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedding;

const V: Dim = Dim::Named("V");
const D: Dim = Dim::Named("D");

const TABLE: Input = Input::f32(0, "table", &[V, D]);
const IDS: Input = Input::u32(1, "ids", &[Dim::Front]);
const Y: Output = Output::f32(0, "y", &[Dim::Front, D], Accuracy::Nmse(0.0));

/// What it takes and gives.
pub static SIGNATURE: Signature =
    Signature::new("embedding", "y = the rows of the table that ids name", &[TABLE, IDS], &[Y], &[]);

/// Its line in the registry.
pub const ENTRY: Entry = Entry { signature: &SIGNATURE, kernels: gpu::KERNELS, build };

fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let vocab = arguments.peek(TABLE).and_then(|table| table.desc().shape.first().copied()).unwrap_or(0);
    let ids = arguments.peek(IDS).and_then(|ids| ids.as_u32()).unwrap_or(&[]);
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) if vocab > 0 => {
            Err(Error::argument("an id of embedding", id, format!("below the table's {vocab} rows")))
        }
        _ => Ok(Box::new(Embedding)),
    }
}

impl Op for Embedding {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        gpu::choices(shapes)
    }

    fn run_cpu(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        cpu::run(shapes, io);
        Ok(())
    }

    fn run_reference(&self, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
        Ok(reference::run(shapes, io))
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // The rows that are read, not the whole table.
        let (ids, y) = (shapes.input(IDS).bytes(), shapes.outputs[Y.index].bytes());
        Cost { flops: 0.0, bytes: (ids + y + y.min(shapes.input(TABLE).bytes())) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Call;
    use crate::{Device, Tensor};

    #[test]
    fn unknown_ids_give_zeros_and_are_refused_by_name() {
        let table = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let ids = Tensor::u32([3], vec![1, 2, u32::MAX]).unwrap();
        let arguments = Arguments::new().with("table", table.clone()).with("ids", ids.clone());
        assert!(Call::by_name(&ENTRY, arguments).unwrap_err().is_usage());
        for device in [Device::Cpu, Device::Reference] {
            let call = Call::new(Embedding, vec![Some(table.clone()), Some(ids.clone())]);
            let mut prepared = call.prepare(&device, Default::default()).unwrap();
            prepared.executor.run().unwrap();
            let y = prepared.executor.read(prepared.values[0]).unwrap();
            assert_eq!(y.as_f32().unwrap(), [3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }
}
