//! One way to compute an op on a GPU, as data: kernels, what they are bound to, and the memory between them.

use super::{Input, Output};
use crate::gpu::{Capabilities, Kernel, MAX_GROUPS, Tier};
use crate::{Desc, Error, Result};

pub use crate::gpu::Grid;

/// Working memory of a choice, alive during the op alone: the place in [`Choice::scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratch(pub usize);

/// What a kernel's binding is bound to: a value of the call, from some byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The input of this index; where it is absent, a small buffer of zeros.
    Input(usize, u64),
    /// The output of this index.
    Output(usize, u64),
    /// The scratch of this index.
    Scratch(usize, u64),
}

impl Place {
    /// The same value from `words` words further on.
    #[must_use]
    pub const fn behind(self, words: usize) -> Self {
        let more = words as u64 * 4;
        match self {
            Self::Input(index, offset) => Self::Input(index, offset + more),
            Self::Output(index, offset) => Self::Output(index, offset + more),
            Self::Scratch(index, offset) => Self::Scratch(index, offset + more),
        }
    }
}

impl From<Input> for Place {
    fn from(input: Input) -> Self {
        Self::Input(input.index, 0)
    }
}

impl From<Output> for Place {
    fn from(output: Output) -> Self {
        Self::Output(output.index, 0)
    }
}

impl From<Scratch> for Place {
    fn from(scratch: Scratch) -> Self {
        Self::Scratch(scratch.0, 0)
    }
}

/// One dispatch of a kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Kernel,
    /// The bytes of its uniform `params`.
    pub params: Vec<u8>,
    /// Its storage bindings after `params`, in order.
    pub buffers: Vec<Place>,
    /// How many workgroups run.
    pub grid: Grid<Place>,
}

/// One way to compute an op.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Memory between the dispatches.
    pub scratch: Vec<Desc>,
    /// What runs, in order.
    pub dispatches: Vec<Dispatch>,
}

impl Choice {
    /// A choice without scratch or dispatches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds working memory.
    pub fn scratch(&mut self, desc: Desc) -> Scratch {
        self.scratch.push(desc);
        Scratch(self.scratch.len() - 1)
    }

    /// Adds a dispatch; one of no workgroups is left out.
    pub fn dispatch<P: bytemuck::NoUninit>(
        &mut self,
        kernel: &Kernel,
        params: &P,
        buffers: &[Place],
        grid: Grid<Place>,
    ) {
        if matches!(grid, Grid::Groups(groups) if groups.contains(&0)) {
            return;
        }
        let params = bytemuck::bytes_of(params).to_vec();
        self.dispatches.push(Dispatch { kernel: *kernel, params, buffers: buffers.to_vec(), grid });
    }

    /// A choice of one dispatch.
    pub fn of<P: bytemuck::NoUninit>(kernel: &Kernel, params: &P, buffers: &[Place], grid: Grid<Place>) -> Self {
        let mut choice = Self::new();
        choice.dispatch(kernel, params, buffers, grid);
        choice
    }

    /// The highest tier of its kernels.
    pub fn tier(&self) -> Tier {
        self.dispatches.iter().map(|dispatch| dispatch.kernel.tier).max().unwrap_or_default()
    }

    /// What its kernels need and `device` lacks.
    pub fn missing(&self, device: &Capabilities) -> Option<String> {
        self.dispatches.iter().find_map(|dispatch| device.missing(dispatch.kernel.needs))
    }

    /// Refuses grids beyond WebGPU's limit on workgroups.
    ///
    /// # Errors
    /// If one is.
    pub fn check_grids(&self, device: &str) -> Result<()> {
        for Dispatch { kernel, grid, .. } in &self.dispatches {
            let Grid::Groups(groups) = grid else { continue };
            if let Some(&most) = groups.iter().find(|&&n| n > MAX_GROUPS) {
                return Err(Error::Limit {
                    what: format!("the grid of {}", kernel.label()),
                    needed: u64::from(most),
                    limit: u64::from(MAX_GROUPS),
                    device: device.to_owned(),
                    unit: "groups",
                    fits: None,
                });
            }
        }
        Ok(())
    }
}
