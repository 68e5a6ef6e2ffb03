//! An op that copies, to measure how many bytes a second a device moves.

use drdiff::gpu::{Capabilities, Kernel, Source};
use drdiff::op::{Accuracy, Choice, Cost, CpuIo, Dim, Grid, Input, Op, Output, Shapes, Signature};
use drdiff::{Desc, Result};
use rayon::prelude::*;

/// `y = x`, rows of four elements.
#[derive(Clone, Copy, Debug)]
pub struct Copy;

const X: Input = Input::f32(0, "x", &[Dim::Front, Dim::Fixed(4)]);
const Y: Output = Output::f32(0, "y", &[Dim::Front, Dim::Fixed(4)], Accuracy::Exact);

static SIGNATURE: Signature = Signature::new("copy", "y = x", &[X], &[Y], &[]);

drdiff::params! {
    struct Params {
        count: u32,
    }
}

const THREADS: [u32; 3] = [256, 1, 1];
const KERNEL: Kernel = Kernel::core(Source::new("copy", include_str!("copy.wgsl")), Params::FIELDS, &[false, true]);

impl Op for Copy {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Shapes> {
        SIGNATURE.bind(inputs, &[])
    }

    fn choices(&self, shapes: &Shapes, _device: &Capabilities) -> Result<Vec<Choice>> {
        let count = shapes.rows();
        let params = Params { count: shapes.index32("x", count)? };
        Ok(vec![Choice::of(&KERNEL, &params, &[X.into(), Y.into()], Grid::elements(count, THREADS))])
    }

    fn run_cpu(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let (x, y) = (io.inputs.f32(X), io.outputs.f32(Y));
        match drdiff::host_threads().count {
            // Rayon may have no pool then.
            0 | 1 => y.copy_from_slice(x),
            threads => {
                let part = x.len().div_ceil(threads).max(1);
                y.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(y, x)| y.copy_from_slice(x));
            }
        }
        Ok(())
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        Cost { flops: 0.0, bytes: shapes.bytes() }
    }
}

#[cfg(test)]
mod tests {
    use drdiff::graph::{Call, ExecutorOptions};
    use drdiff::{Device, Gpu, GpuOptions, Tensor};

    use super::*;

    #[test]
    fn it_copies_on_every_device() {
        let gpu = Gpu::open(&GpuOptions { device: drdiff::DeviceChoice::Gpu, ..GpuOptions::default() }).unwrap();
        for device in [Device::Cpu, Device::Gpu(gpu)] {
            let x: Vec<f32> = (0..4 * 70_001).map(|i| i as f32).collect();
            let input = Tensor::f32([70_001, 4], x.clone()).unwrap();
            let mut prepared = Call::new(Copy, vec![Some(input)]).prepare(&device, ExecutorOptions::default()).unwrap();
            prepared.executor.run().unwrap();
            let y = prepared.executor.read(prepared.values[0]).unwrap();
            assert_eq!(y.as_f32().unwrap(), x, "{}", device.name());
        }
    }
}
