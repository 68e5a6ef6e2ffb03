//! An op of one's own, outside drdiff: one file and one shader, and it runs in graphs beside drdiff's on every device.
//!
//! `cargo run --release --example custom_op`

#[path = "softcap.rs"]
pub mod softcap;

use drdiff::graph::{Executor, ExecutorOptions, Graph};
use drdiff::ops::Linear;
use drdiff::{Desc, Device, GpuOptions, Result, Tensor};
use softcap::Softcap;

fn main() -> Result<()> {
    let device = Device::open(&GpuOptions::default())?;
    println!("{}: {:?}", device.name(), capped_scores(&device)?);
    Ok(())
}

/// Scores of four keys for two queries, as a product of drdiff's, capped at 2.
pub fn capped_scores(device: &Device) -> Result<Vec<f32>> {
    let mut graph = Graph::new();
    let (queries, keys) = (graph.state(Desc::f32([2, 3])), graph.state(Desc::f32([4, 3])));
    let scores = graph.push1(Linear::default(), &[Some(queries), Some(keys), None, None, None])?;
    let capped = graph.push1(Softcap { cap: 2.0 }, &[Some(scores)])?;
    graph.keep(capped);
    let mut executor = Executor::new(device, graph, ExecutorOptions::default())?;
    executor.write(queries, &Tensor::f32([2, 3], (0..6).map(|i| i as f32 - 2.0).collect())?)?;
    executor.write(keys, &Tensor::f32([4, 3], (0..12).map(|i| 1.0 - 0.25 * i as f32).collect())?)?;
    executor.run()?;
    Ok(executor.read(capped)?.as_f32().unwrap_or(&[]).to_vec())
}
