//! `noise`: counter-based normals, the same bits on every device.

use drdiff_reference as reference;

use super::{dims, index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, Tensor, cpu};

/// Input: `seeds` u32 `[B, 2]`, low word first. Outputs: `bits` u32 and `normal` f32, `[count]` for one sequence, else
/// `[B, count]`. Block `b` is Philox4x32-10 of counter `(b, stream, 0, 0)` under the seed (Salmon et al. 2011).
///
/// `bits` are equal on every device and `normal` is within 1e-5 of its f64 value, for every seed, stream and place.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Second word of the counter.
    pub stream: u32,
    /// Elements for each sequence.
    pub count: usize,
}

/// A seed as kernels take it: low word, high word.
pub fn seed_words(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The seeds that pairs of words stand for.
pub(crate) fn seeds(words: &[u32]) -> impl Iterator<Item = u64> {
    words.chunks_exact(2).map(|pair| u64::from(pair[1]) << 32 | u64::from(pair[0]))
}

crate::params! {
    struct Params {
        batch: u32,
        count: u32,
        stream: u32,
    }
}

/// One thread a block of 4.
pub const NOISE: Kernel = Kernel::core(shaders::SOLVER_NOISE, Params::FIELDS, &[false, true, true]);

impl Op for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["seeds"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let seeds = require("noise", inputs, 0, "seeds", DType::U32)?;
        let [batch, two] = dims("noise", "seeds", seeds)?;
        if two != 2 {
            return Err(crate::Error::shape("noise", "seeds", seeds.to_string(), "[B, 2]"));
        }
        let shape = if batch == 1 { vec![self.count] } else { vec![batch, self.count] };
        Ok(vec![Desc::u32(shape.clone()), Desc::f32(shape)])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let batch = shapes.input(0).dim(0);
        index32("noise", "bits", batch * self.count)?;
        let params = Params {
            batch: index32("noise", "B", batch)?,
            count: index32("noise", "count", self.count)?,
            stream: self.stream,
        };
        let buffers = [&io.inputs[0], &io.outputs[0], &io.outputs[1]];
        let blocks = self.count.div_ceil(shaders::solver_noise::BLOCK as usize);
        let grid = Grid::elements(batch * blocks, shaders::solver_noise::WORKGROUP);
        recorder.dispatch(&NOISE, &params, &buffers, grid)
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let [bits, normal] = io.outputs.split();
        let normal = bytemuck::cast_slice_mut(normal);
        for (b, seed) in io.inputs.u32(0).chunks_exact(2).enumerate().take(shapes.input(0).dim(0)) {
            let range = b * self.count..(b + 1) * self.count;
            let out = (&mut bits[range.clone()], &mut normal[range]);
            cpu::noise::fill([seed[0], seed[1]], self.stream, out.0, out.1);
        }
        Ok(())
    }

    fn evaluate(&self, _shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let (bits, normal): (Vec<_>, Vec<_>) = seeds(io.inputs.u32(0))
            .map(|seed| {
                let bits = reference::noise::bits(seed, self.stream, self.count);
                (bits, reference::noise::normal(seed, self.stream, self.count))
            })
            .unzip();
        vec![OracleData::U32(bits.concat()), OracleData::F64(normal.concat())]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        // Per block of 4: ten rounds of two wide products, then two logarithms, roots, sines and cosines.
        let blocks = shapes.input(0).dim(0) as f64 * (self.count as f64 / 4.0);
        Cost { flops: blocks * 80.0, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: "noise",
    summary: "bits u32 [count] by Philox4x32-10, normal [count] by Box-Muller",
    kernels: &[NOISE],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let count = arguments.required("count")?;
    let op = Noise { stream: arguments.setting("stream", 0)?, count };
    let seed: Option<u64> = arguments.given("seed")?;
    let seeds = match (seed, arguments.optional("seeds")) {
        (Some(seed), Some(_)) => {
            let found = format!("{seed}, beside a tensor `seeds`");
            return Err(Error::argument("the setting `seed`", found, "one or the other"));
        }
        (None, Some(seeds)) => seeds,
        (seed, None) => Tensor::u32([1, 2], seed_words(seed.unwrap_or(0)).to_vec())?,
    };
    arguments.finish("noise")?;
    let outputs = vec![Output::new("bits", Check::Exact), Output::new("normal", Check::Absolute(1e-5))];
    Ok(Call::new(op, vec![Some(seeds)], outputs))
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for count in [1, 2, 3, 4, 5, 63, 64, 255, 256, 257, 1000, 4099, 20_000] {
        for seed in [0, 1, u64::from(u32::MAX), u64::MAX, 0x0123_4567_89ab_cdef] {
            let stream = g.pick(&[0, 1, 7, u32::MAX]);
            let arguments = Arguments::new().set("count", count).set("seed", seed).set("stream", stream);
            cases.push(Case::new(format!("count={count} seed={seed} stream={stream}"), arguments));
        }
    }
    for batch in [2, 3, 5] {
        let arguments = Arguments::new().set("count", 37).with("seeds", g.words([batch, 2]));
        cases.push(Case::new(format!("batch={batch}"), arguments));
    }
    cases
}

fn bench(_: &mut Gen) -> Vec<Case> {
    vec![Case::new("count=4194304", Arguments::new().set("count", 4_194_304))]
}
