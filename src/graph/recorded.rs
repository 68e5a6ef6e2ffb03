//! One op on the caller's buffers, encoded into the caller's commands.

use super::choose::{Select, choose};
use crate::gpu::{Binding, Command, Gpu, Grid, Recorder};
use crate::op::{Choice, Op, Place};
use crate::{Desc, Error, Result};

/// Buffers of an op on a GPU; absent inputs are bound to a small buffer of zeros.
#[derive(Debug)]
pub(super) struct Bindings {
    /// One for each input.
    pub inputs: Vec<Binding>,
    /// One for each output.
    pub outputs: Vec<Binding>,
    /// One for each scratch of the choice.
    pub scratch: Vec<Binding>,
}

impl Bindings {
    fn at(&self, place: Place) -> Binding {
        let (binding, offset) = match place {
            Place::Input(index, offset) => (&self.inputs[index], offset),
            Place::Output(index, offset) => (&self.outputs[index], offset),
            Place::Scratch(index, offset) => (&self.scratch[index], offset),
        };
        binding.behind(offset)
    }
}

/// The dispatches of a choice on these buffers.
pub(super) fn record(gpu: &Gpu, choice: &Choice, io: &Bindings) -> Result<Vec<Command>> {
    choice.check_grids(&gpu.info().name)?;
    let mut recorder = Recorder::new(gpu);
    for dispatch in &choice.dispatches {
        let buffers: Vec<_> = dispatch.buffers.iter().map(|&place| io.at(place)).collect();
        let grid = match dispatch.grid {
            Grid::Groups(groups) => Grid::Groups(groups),
            Grid::Indirect(place) => Grid::Indirect(io.at(place)),
        };
        recorder.dispatch(&dispatch.kernel, &dispatch.params, &buffers, grid)?;
    }
    Ok(recorder.finish())
}

/// An op recorded once for given buffers, to be encoded as often as needed.
///
/// ```no_run
/// # fn main() -> drdiff::Result<()> {
/// use drdiff::graph::RecordedOp;
/// use drdiff::{Desc, Gpu, GpuOptions, ops::Linear};
///
/// let gpu = Gpu::open(&GpuOptions::default())?;
/// let x = gpu.upload("x", bytemuck::cast_slice(&[1.0_f32; 64]))?;
/// let weight = gpu.upload("weight", bytemuck::cast_slice(&[0.5_f32; 32 * 64]))?;
/// let y = gpu.buffer("y", 32 * 4)?;
/// let inputs = [Some((Desc::f32([1, 64]), (&x).into())), Some((Desc::f32([32, 64]), (&weight).into())), None, None, None];
/// let linear = RecordedOp::new(&gpu, &Linear::default(), &inputs, &[(&y).into()])?;
/// let mut encoder = gpu.device().create_command_encoder(&Default::default());
/// linear.encode(&mut encoder);
/// gpu.queue().submit([encoder.finish()]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordedOp {
    commands: Vec<Command>,
    outputs: Vec<Desc>,
}

impl RecordedOp {
    /// Records `op` on `inputs` (in the op's order, `None` where an optional one is absent) and `outputs`; scratch is
    /// allocated here and lives as long as the recorded op.
    ///
    /// Buffers need `STORAGE` usage (what the ops call `step` needs `UNIFORM` too) and at least the size of their value.
    ///
    /// # Errors
    /// If the shapes do not suit the op, a buffer is missing or too small, or the driver refuses a kernel.
    #[cfg(not(target_family = "wasm"))]
    pub fn new(gpu: &Gpu, op: &dyn Op, inputs: &[Option<(Desc, Binding)>], outputs: &[Binding]) -> Result<Self> {
        crate::gpu::block_on(Self::new_async(gpu, op, inputs, outputs))
    }

    /// The same, without blocking.
    ///
    /// # Errors
    /// If the shapes do not suit the op, a buffer is missing or too small, or the driver refuses a kernel.
    pub async fn new_async(
        gpu: &Gpu,
        op: &dyn Op,
        inputs: &[Option<(Desc, Binding)>],
        outputs: &[Binding],
    ) -> Result<Self> {
        let descs: Vec<_> = inputs.iter().map(|input| input.as_ref().map(|(desc, _)| desc)).collect();
        let shapes = op.infer(&descs)?;
        let choice = choose(op, &shapes, gpu.capabilities(), Select::Tier(gpu.tier()))?;
        if outputs.len() != shapes.outputs.len() {
            let expected = shapes.outputs.len().to_string();
            return Err(Error::shape(op.name(), "the number of outputs", outputs.len().to_string(), expected));
        }
        let given = inputs.iter().flatten().map(|(desc, binding)| (desc, binding));
        for (desc, binding) in given.chain(shapes.outputs.iter().zip(outputs)) {
            let rest = binding.buffer.size().saturating_sub(binding.offset);
            let room = binding.size.map_or(rest, |size| rest.min(size.get()));
            if room < desc.bytes() {
                return Err(Error::shape(
                    op.name(),
                    "a buffer",
                    format!("{room} bytes"),
                    format!("{} for {desc}", desc.bytes()),
                ));
            }
        }
        let commands = gpu
            .build(|gpu| {
                let absent = Binding::from(&gpu.absent()?);
                let given =
                    |input: &Option<(Desc, Binding)>| input.as_ref().map_or(&absent, |(_, given)| given).clone();
                let scratch =
                    choice.scratch.iter().map(|desc| Ok(Binding::from(&gpu.buffer("scratch", desc.bytes())?)));
                let io = Bindings {
                    inputs: inputs.iter().map(given).collect(),
                    outputs: outputs.to_vec(),
                    scratch: scratch.collect::<Result<_>>()?,
                };
                record(gpu, &choice, &io)
            })
            .await?;
        Ok(Self { commands, outputs: shapes.outputs })
    }

    /// Type and shape of each output.
    pub fn outputs(&self) -> &[Desc] {
        &self.outputs
    }

    /// Encodes it as one compute pass.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.encode_in(&mut pass);
    }

    /// Encodes it into a pass.
    pub fn encode_in(&self, pass: &mut wgpu::ComputePass<'_>) {
        for command in &self.commands {
            command.encode(pass);
        }
    }
}
