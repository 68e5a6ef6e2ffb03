//! drdiff inside an app that never blocks: the app's own device, commands and executor of futures, one thread for all.
//!
//! `cargo run --release --example embed -- [MODEL DIRECTORY]`

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drdiff::graph::RecordedOp;
use drdiff::ops::Linear;
use drdiff::{Desc, Device, Gpu, Model, Prompt, Sampler, SessionOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "models".to_owned());
    let (text, frames) = run(&folder)?;
    println!("{text}\nmeanwhile, the app drew {frames} frames");
    Ok(())
}

/// The app on its one thread, with a text and its other work side by side: gives the text, and how many frames were drawn
/// while it was made.
pub fn run(folder: &str) -> Outcome<(String, usize)> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let frames = Arc::new(AtomicUsize::new(0));
    let drawn = Arc::clone(&frames);
    executor.spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(16));
        loop {
            clock.tick().await;
            drawn.fetch_add(1, Ordering::Relaxed);
        }
    });
    let text = executor.block_on(generate(folder))?;
    Ok((text, frames.load(Ordering::Relaxed)))
}

async fn generate(folder: &str) -> Outcome<String> {
    // A device the app opened for purposes of its own. Its callbacks stay the app's.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&Default::default()).await?;
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
    let gpu = Gpu::from_wgpu(&adapter, device, queue);
    println!("a kernel in the app's own commands, on {}: y = {:?}", gpu.info().name, one_kernel(&gpu).await?);

    let model = Model::load(folder, &Device::from(gpu))?;
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() })?;
    let (prompt, sampler) = (Prompt::prefix("And the king"), Sampler { steps: 10, seed: 7, ..Sampler::default() });
    let text = session.generate_async(&prompt, &sampler, async |progress| {
        // Only this step waits for its own end.
        if progress.step == progress.steps / 2
            && let Ok(snapshot) = progress.snapshot_async().await
        {
            println!("halfway: {}", snapshot[0]);
        }
        ControlFlow::Continue(())
    });
    Ok(text.await?)
}

/// `y = x weight^T` on buffers and in an encoder that belong to the caller.
async fn one_kernel(gpu: &Gpu) -> Outcome<Vec<f32>> {
    let x = gpu.upload("x", bytemuck::cast_slice(&[1.0_f32, 2.0, 3.0]))?;
    let weight = gpu.upload("weight", bytemuck::cast_slice(&[1.0_f32, 0.0, 0.0, 0.5, 0.5, 0.5]))?;
    let y = gpu.buffer("y", 8)?;
    let inputs =
        [Some((Desc::f32([1, 3]), (&x).into())), Some((Desc::f32([2, 3]), (&weight).into())), None, None, None];
    let linear = RecordedOp::new_async(gpu, &Linear::default(), &inputs, &[(&y).into()]).await?;
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    linear.encode(&mut encoder);
    gpu.queue().submit([encoder.finish()]);
    Ok(gpu.download_async(&y, 2).await?.into_iter().map(f32::from_bits).collect())
}
