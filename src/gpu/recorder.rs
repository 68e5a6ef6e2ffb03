//! Dispatches: recorded once, encoded into a pass at every step.

use super::{Gpu, Kernel, MAX_GROUPS};
use crate::Result;

/// A buffer, or a range of one.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// First byte; a multiple of the device's offset alignment.
    pub offset: u64,
    /// Bytes, or up to the end.
    pub size: Option<std::num::NonZeroU64>,
}

impl Binding {
    /// What is left of it after the first `bytes`.
    #[must_use]
    pub fn behind(&self, bytes: u64) -> Self {
        let size = self.size.and_then(|size| std::num::NonZeroU64::new(size.get() - bytes));
        Self { buffer: self.buffer.clone(), offset: self.offset + bytes, size }
    }
}

impl From<&wgpu::Buffer> for Binding {
    fn from(buffer: &wgpu::Buffer) -> Self {
        Self { buffer: buffer.clone(), offset: 0, size: None }
    }
}

/// How many workgroups run; an indirect grid is read from a place of type `P`.
#[derive(Clone, Copy, Debug)]
pub enum Grid<P> {
    /// A fixed number.
    Groups([u32; 3]),
    /// Three words at the start of a place.
    Indirect(P),
}

impl<P> Grid<P> {
    /// `x` by `y` by `z` workgroups.
    pub fn new(x: usize, y: usize, z: usize) -> Self {
        Self::Groups([x, y, z].map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
    }

    /// `groups` workgroups in a row, folded into two dimensions where one is too short; the kernel takes its index
    /// from `flat_group` in `lib/grid.wgsl` and leaves when it is past the end.
    pub fn flat(groups: usize) -> Self {
        let wide = MAX_GROUPS as usize;
        Self::new(groups.min(wide), groups.div_ceil(wide).max(1), 1)
    }

    /// Enough workgroups of that size for one thread per element.
    pub fn elements(count: usize, workgroup: [u32; 3]) -> Self {
        Self::flat(count.div_ceil(workgroup.iter().product::<u32>() as usize))
    }
}

/// One recorded dispatch.
#[derive(Clone, Debug)]
pub struct Command {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: Grid<(wgpu::Buffer, u64)>,
}

impl Command {
    /// Encodes it into a pass.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        match &self.grid {
            Grid::Groups([x, y, z]) => pass.dispatch_workgroups(*x, *y, *z),
            Grid::Indirect((buffer, offset)) => pass.dispatch_workgroups_indirect(buffer, *offset),
        }
    }
}

/// Records dispatches for a device.
#[derive(Debug)]
pub struct Recorder<'a> {
    gpu: &'a Gpu,
    commands: Vec<Command>,
}

impl<'a> Recorder<'a> {
    /// Records for `gpu`.
    pub fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, commands: Vec::new() }
    }

    /// Records one dispatch of `kernel`: the bytes of its uniform `params`, then its storage `buffers` in order of binding.
    ///
    /// # Errors
    /// If the driver refuses pipeline or bindings.
    pub fn dispatch(&mut self, kernel: &Kernel, params: &[u8], buffers: &[Binding], grid: Grid<Binding>) -> Result<()> {
        let pipeline = self.gpu.pipeline(kernel)?;
        let uniform = self.gpu.uniform(params)?;
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
        for (index, binding) in buffers.iter().enumerate() {
            entries.push(wgpu::BindGroupEntry {
                binding: index as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &binding.buffer,
                    offset: binding.offset,
                    size: binding.size,
                }),
            });
        }
        let group = self.gpu.attempt(&format!("the bindings of {}", kernel.label()), 0, |device| {
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(kernel.source.name()),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })?;
        let grid = match grid {
            Grid::Groups(groups) => Grid::Groups(groups),
            Grid::Indirect(binding) => Grid::Indirect((binding.buffer, binding.offset)),
        };
        self.commands.push(Command { pipeline, group, grid });
        Ok(())
    }

    /// What was recorded.
    pub fn finish(self) -> Vec<Command> {
        self.commands
    }
}
