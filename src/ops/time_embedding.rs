//! `time_embedding`: the features by which the network sees the time.

use drdiff_reference as reference;

use super::{index32, require};
use crate::check::{Arguments, Call, Case, Check, Entry, Gen, Output};
use crate::gpu::{Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, Tensor};

const NAME: &str = "time_embedding";

/// Inputs: `step`, any f32 tensor whose first element is `gamma = ln(sigma^2 / alpha^2)`, and `frequencies`
/// `[dim / 2]`, such as [`time_frequencies`] gives. Output: `features` `[1, dim]`, `cos(gamma w_j)` then
/// `sin(gamma w_j)`.
///
/// NMSE is at most 1e-9 in f32 where `|gamma|` is at most 300; called by name, the op refuses more.
#[derive(Clone, Copy, Debug)]
pub struct TimeEmbedding {
    /// Features; even, at least 4.
    pub dim: usize,
}

/// The frequencies for [`TimeEmbedding`], `[dim / 2]`: from 4 geometrically down to 1/16,
/// `w_j = 4 (1/64)^(j / (dim/2 - 1))`.
///
/// # Errors
/// Where `dim` is odd or below 4.
pub fn time_frequencies(dim: usize) -> Result<Tensor> {
    check_dim(dim)?;
    let half = dim / 2;
    let frequency = |j: usize| (4.0 * (1.0_f64 / 64.0).powf(j as f64 / (half - 1) as f64)) as f32;
    Tensor::f32([half], (0..half).map(frequency).collect())
}

pub(crate) fn check_dim(dim: usize) -> Result<()> {
    match (4..=1 << 16).contains(&dim) && dim.is_multiple_of(2) {
        true => Ok(()),
        false => Err(Error::argument("dim of time_embedding", dim, "an even number from 4 to 65536")),
    }
}

crate::params! {
    struct Params {
        half: u32,
    }
}

/// One thread a frequency.
pub const TIME_EMBEDDING: Kernel = Kernel::core(shaders::NN_TIME_EMBEDDING, Params::FIELDS, &[false, false, true]);

impl Op for TimeEmbedding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["step", "frequencies"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        check_dim(self.dim)?;
        let step = require(NAME, inputs, 0, "step", DType::F32)?;
        super::filled(NAME, "step", step)?;
        let frequencies = require(NAME, inputs, 1, "frequencies", DType::F32)?;
        if frequencies.len() != self.dim / 2 {
            let expected = format!("{} values", self.dim / 2);
            return Err(Error::shape(NAME, "frequencies", frequencies.to_string(), expected));
        }
        Ok(vec![Desc::f32([1, self.dim])])
    }

    fn encode(&self, recorder: &mut Recorder<'_>, _shapes: &Shapes, io: &Bindings) -> Result<()> {
        index32(NAME, "dim", self.dim)?;
        let params = Params { half: (self.dim / 2) as u32 };
        let buffers = [&io.inputs[0], &io.inputs[1], &io.outputs[0]];
        recorder.dispatch(
            &TIME_EMBEDDING,
            &params,
            &buffers,
            Grid::elements(self.dim / 2, shaders::nn_time_embedding::WORKGROUP),
        )
    }

    fn run(&self, _shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let (gamma, frequencies) = (io.inputs.f32(0)[0], io.inputs.f32(1));
        let (cosines, sines) = io.outputs.f32(0).split_at_mut(self.dim / 2);
        for ((cos, sin), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
            (*sin, *cos) = (gamma * frequency).sin_cos();
        }
        Ok(())
    }

    fn evaluate(&self, _shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        vec![OracleData::F64(reference::nn::time_embedding(&io.inputs.f64(0)[..1], io.inputs.f64(1)))]
    }

    fn cost(&self, _shapes: &Shapes) -> Cost {
        // A product, a reduction of the angle, two polynomials.
        let half = (self.dim / 2) as f64;
        Cost { flops: 26.0 * half, bytes: 4.0 * (1.0 + 3.0 * half) }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "features [1,dim] = cos, then sin, of step[0] times each frequency",
    kernels: &[TIME_EMBEDDING],
    build,
    cases,
    bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let op = TimeEmbedding { dim: arguments.required("dim")? };
    let step = arguments.tensor("step")?;
    // Far beyond any schedule, where an angle in f32 has few digits left.
    if let Some(gamma) = step.as_f32().and_then(<[f32]>::first).filter(|gamma| gamma.abs() > 300.0) {
        return Err(Error::argument("gamma", gamma, "-300 to 300"));
    }
    let own = time_frequencies(op.dim)?;
    let inputs = vec![Some(step), Some(arguments.optional("frequencies").unwrap_or(own))];
    arguments.finish(NAME)?;
    Ok(Call::new(op, inputs, vec![Output::new("features", Check::Nmse(1e-9))]))
}

/// `more` elements behind gamma, which the op does not look at.
fn case(g: &Gen, gamma: f32, dim: usize, more: usize) -> Case {
    let step = std::iter::once(gamma).chain((0..more).map(|i| i as f32));
    let arguments = Arguments::new().with("step", g.fill([1 + more], step)).set("dim", dim);
    Case::new(format!("gamma={gamma} dim={dim}"), arguments)
}

fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for (count, gamma) in [(5, 2.5), (128, -9.0), (128, 14.5)] {
        let falling = (0..count).map(|i| 10_000_f32.powf(-(i as f32) / count as f32));
        let arguments = Arguments::new().with("step", g.fill([1], [gamma])).set("dim", 2 * count);
        let arguments = arguments.with("frequencies", g.fill([count], falling));
        cases.push(Case::new(format!("gamma={gamma}, {count} frequencies from 1 down to 1e-4"), arguments));
    }
    for dim in [4, 6, 34, 126, 128, 130, 512] {
        for gamma in [-13.0, -6.3, -0.5, 0.0, 1e-3, 2.7, 12.0] {
            cases.push(case(g, gamma, dim, dim % 5));
        }
    }
    cases
}

fn bench(g: &mut Gen) -> Vec<Case> {
    vec![case(g, 3.0, 512, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequencies_are_the_reference_rounded() {
        for dim in [4, 34, 128] {
            let got = time_frequencies(dim).unwrap();
            let want = reference::nn::time_frequencies(dim / 2);
            for (got, want) in got.as_f32().unwrap().iter().zip(want) {
                approx::assert_relative_eq!(f64::from(*got), want, max_relative = 1e-7);
            }
        }
    }
}
