//! No CPU device: what stands for its memory where the feature `cpu` is off. There is none of it.

use super::{Graph, Plan};
use crate::{Device, Result, Tensor};

#[derive(Debug)]
pub(super) enum Host {}

impl Host {
    pub(super) fn new(_: &Graph, _: &Plan) -> Result<Self> {
        Err(Device::Cpu.absent())
    }

    pub(super) fn write(&mut self, _: usize, _: &[u32]) {
        match *self {}
    }

    pub(super) fn read(&self, _: &Graph, _: usize) -> Result<Tensor> {
        match *self {}
    }

    pub(super) fn words<'a>(&'a self, _: &'a Graph, _: usize) -> &'a [u32] {
        match *self {}
    }

    pub(super) fn within<T>(&mut self, _: impl FnOnce(&mut Self) -> T) -> T {
        match *self {}
    }

    pub(super) fn run_node(&mut self, _: &Graph, _: usize) -> Result<()> {
        match *self {}
    }
}
