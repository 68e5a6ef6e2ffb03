//! A layer of experts of different widths as a graph: each token goes where its router sends it, and hard ones cost more.
//!
//! `cargo run --release --example experts_layer -- [DEVICE]`

use drdiff::graph::{Constant, Executor, ExecutorOptions, Graph};
use drdiff::ops::{Experts, Router};
use drdiff::{Desc, Device, GpuOptions, Result, Tensor};

/// Tokens N, and the width D of their rows.
pub const ROWS: [usize; 2] = [100, 32];
/// Hidden units of each expert. The first has none: what goes there passes as it is, and costs nothing.
pub const WIDTHS: [u32; 4] = [0, 16, 32, 96];
/// All hidden units, F.
pub const UNITS: usize = 144;
/// Experts that a token goes to.
pub const TOP_K: usize = 2;

/// What came of a run.
#[derive(Debug)]
pub struct Routed {
    /// `[N, D]`: the rows behind the layer.
    pub out: Vec<f32>,
    /// `[E]`: tokens of each expert.
    pub counts: Vec<u32>,
    /// FLOPs of the experts, a token, on average.
    pub cost: f64,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned()).parse()?;
    let device = Device::open(&GpuOptions { device: choice, ..Default::default() })?;
    println!("experts of {WIDTHS:?} hidden units, {TOP_K} for each of {} tokens, on {}", ROWS[0], device.name());
    let lambdas = [0.0, 0.5, 2.0];
    for (lambda, Routed { counts, cost, out }) in lambdas.iter().zip(run(&device, &lambdas)?) {
        println!("lambda {lambda}: tokens {counts:?}, {cost:.0} FLOPs a token, the first row {:.3?}...", &out[..4]);
    }
    Ok(())
}

/// Runs the layer once for each of `lambdas`, the price of the dearest expert: the higher, the more tokens go a cheaper way.
pub fn run(device: &Device, lambdas: &[f32]) -> Result<Vec<Routed>> {
    let ([tokens, dim], experts) = (ROWS, WIDTHS.len());
    let mut graph = Graph::new();
    // Written by the host, as often as it likes.
    let x = graph.state(Desc::f32(ROWS));
    let difficulty = graph.state(Desc::f32([tokens]));
    let cost_bias = graph.state(Desc::f32([experts]));
    // Weights: a device holds them once, however many graphs use them.
    let mut weight = |shape: &[usize], data: Vec<f32>| -> Result<_> {
        Ok(Some(graph.constant(&Constant::new(Tensor::f32(shape, data)?))))
    };
    let router = weight(&[experts, dim], numbers(1, experts * dim))?;
    let bias = weight(&[experts], vec![0.0; experts])?;
    // The more a nat of difficulty adds to an expert's logit, the more hard tokens it gets: here, the wide ones.
    let by_difficulty = weight(&[experts], costs().to_vec())?;
    let gate = weight(&[UNITS, dim], numbers(2, UNITS * dim))?;
    let up = weight(&[UNITS, dim], numbers(3, UNITS * dim))?;
    let down = weight(&[dim, UNITS], numbers(4, dim * UNITS))?;

    let logits = graph.push1(Router, &[Some(x), router, bias, Some(difficulty), by_difficulty])?;
    let op = Experts { top_k: TOP_K, widths: WIDTHS.to_vec(), gate_offset: 0 };
    // The rows themselves are the residual: out = x + experts(x).
    let routed = graph.push(op, &[Some(x), Some(logits), gate, up, down, Some(cost_bias), Some(x), None])?;
    let (out, counts) = (routed[0], routed[2]);
    // Readable after a run; the memory of all other values is shared.
    graph.keep(out);
    graph.keep(counts);

    let mut executor = Executor::new(device, graph, ExecutorOptions::default())?;
    executor.write(x, &Tensor::f32(ROWS, numbers(5, tokens * dim))?)?;
    executor.write(difficulty, &Tensor::f32([tokens], difficulties())?)?;
    let mut results = Vec::new();
    for &lambda in lambdas {
        executor.write(cost_bias, &Tensor::f32([experts], costs().map(|cost| lambda * cost).to_vec())?)?;
        executor.run()?;
        let (out, counts) = (executor.read(out)?, executor.read(counts)?);
        let counts = counts.as_u32().unwrap_or(&[]).to_vec();
        let units: u32 = counts.iter().zip(WIDTHS).map(|(tokens, width)| tokens * width).sum();
        // Three products with D for each unit, a multiply-add counted as two.
        let cost = 6.0 * dim as f64 * f64::from(units) / tokens as f64;
        results.push(Routed { out: out.as_f32().unwrap_or(&[]).to_vec(), counts, cost });
    }
    Ok(results)
}

/// The cost of each expert, the dearest being 1.
pub fn costs() -> [f32; WIDTHS.len()] {
    WIDTHS.map(|width| width as f32 / 96.0)
}

/// `[N]`: how unsure the last prediction was of each token, 0 to 4 nats.
pub fn difficulties() -> Vec<f32> {
    (0..ROWS[0]).map(|token| 4.0 * token as f32 / ROWS[0] as f32).collect()
}

/// Numbers between -0.4 and 0.4 in place of trained weights.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9)), next);
    states.skip(1).take(count).map(|state| 0.8 * ((state >> 8) as f32 / (1 << 24) as f32 - 0.5)).collect()
}
