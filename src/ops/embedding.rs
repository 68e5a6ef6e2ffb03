//! `embedding`: rows of a table.

use drdiff_reference as reference;

use super::{dims, filled, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

/// Inputs: `table` `[V, D]` and `ids` u32 `[..]`. Output: `y` `[.., D]`, the rows that `ids` name. An id of V or more
/// gives a row of zeros on every device.
///
/// A copy: exact for all values, infinities included, but that a device may take numbers below 1.2e-38 for 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedding;

crate::params! {
    struct Params {
        count: u32,
        dim: u32,
        vocab: u32,
    }
}

/// One thread an element.
pub const EMBEDDING: Kernel = Kernel::core(shaders::NN_EMBEDDING, Params::FIELDS, &[false, false, true]);

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["table", "ids"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let table = require("embedding", inputs, 0, "table", DType::F32)?;
        let ids = require("embedding", inputs, 1, "ids", DType::U32)?;
        let [_, dim] = dims("embedding", "table", table)?;
        filled("embedding", "table", table)?;
        filled("embedding", "ids", ids)?;
        let mut shape = ids.shape.clone();
        shape.push(dim);
        Ok(vec![Desc::f32(shape)])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let [vocab, dim] = [0, 1].map(|axis| shapes.input(0).dim(axis));
        index32("embedding", "table", vocab * dim)?;
        let count = shapes.outputs[0].len();
        let params = Params { count: index32("embedding", "y", count)?, dim: dim as u32, vocab: vocab as u32 };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(&EMBEDDING, &params, &buffers, Grid::elements(count, shaders::nn_embedding::WORKGROUP))
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let dim = shapes.input(0).dim(1);
        cpu::embedding::embedding(io.inputs.f32(0), io.inputs.u32(1), io.outputs.f32(0), dim);
        Ok(())
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let [vocab, dim] = [0, 1].map(|axis| shapes.input(0).dim(axis));
        let row = |&id: &u32| match (id as usize) < vocab {
            true => reference::nn::embedding(io.inputs.f64(0), &[id], dim),
            false => vec![0.0; dim],
        };
        vec![OracleData::F64(io.inputs.u32(1).iter().flat_map(row).collect())]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // The rows that are read, not the whole table.
        let (ids, y) = (shapes.input(1).bytes(), shapes.outputs[0].bytes());
        Cost { flops: 0.0, bytes: (ids + y + y.min(shapes.input(0).bytes())) as f64 }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "embedding",
    summary: "y [..,D] = rows of table [V,D] that ids u32 [..] name",
    kernels: &[EMBEDDING],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let (table, ids) = (arguments.tensor("table")?, arguments.tensor("ids")?);
    arguments.finish("embedding")?;
    let vocab = table.desc().shape.first().copied().unwrap_or(0);
    if let Some(id) = ids.as_u32().and_then(|ids| ids.iter().find(|&&id| id as usize >= vocab)) {
        return Err(Error::argument("an id of embedding", id, format!("below the table's {vocab} rows")));
    }
    Ok(Call::new(Embedding, vec![Some(table), Some(ids)], vec![Output::new("y", Check::Nmse(0.0))]))
}

fn case(g: &mut Gen, shape: Vec<usize>, v: usize, d: usize) -> Case {
    let (table, ids) = (g.normal([v, d], 1.0), g.indices(shape.clone(), v));
    Case::new(format!("ids {shape:?} v={v} d={d}"), Arguments::new().with("table", table).with("ids", ids))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..70 {
        let (v, d) = (g.pick(&[1, 2, 33, 100, 513]), g.pick(&[1, 3, 8, 32, 33, 192, 257]));
        let n = g.pick(&[1, 2, 7, 64, 130]);
        // One id over and over, of one value, would compare nothing.
        let d = if n < 64 || v < 33 { d.max(2) } else { d };
        let shape = match i % 4 {
            0 => vec![2, n],
            1 => vec![n, 1],
            _ => vec![n],
        };
        cases.push(case(g, shape, v, d));
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, vec![4096], 4096, 512)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Tensor};

    #[test]
    fn unknown_ids_give_zeros_and_are_refused_by_name() {
        let table = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let ids = Tensor::u32([3], vec![1, 2, u32::MAX]).unwrap();
        let arguments = Arguments::new().with("table", table.clone()).with("ids", ids.clone());
        assert!(build(arguments).unwrap_err().is_usage());
        for device in [Device::Cpu, Device::Reference] {
            let call = Call::new(Embedding, vec![Some(table.clone()), Some(ids.clone())], Vec::new());
            let mut prepared = call.prepare(&device, Default::default()).unwrap();
            prepared.executor.run().unwrap();
            let y = prepared.executor.read(prepared.values[0]).unwrap();
            assert_eq!(y.as_f32().unwrap(), [3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }
}
