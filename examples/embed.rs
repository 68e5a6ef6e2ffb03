//! drdiff inside an app: the app's own device and commands, then text from a model, opened without blocking.
//!
//! `cargo run --release --example embed -- [MODEL DIRECTORY]`

use std::ops::ControlFlow;

use drdiff::graph::RecordedOp;
use drdiff::ops::Linear;
use drdiff::{Desc, Device, DeviceChoice, Gpu, GpuOptions, Model, Prompt, Sampler, SessionOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "models".to_owned());
    pollster::block_on(app(&folder))
}

async fn app(folder: &str) -> Result<(), Box<dyn std::error::Error>> {
    // A device the app opened for purposes of its own; a GPU of any kind will do.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    match instance.request_adapter(&Default::default()).await {
        Ok(adapter) => {
            let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
            let gpu = Gpu::from_wgpu(&adapter, device, queue);
            println!("a kernel in the app's own commands, on {}: y = {:?}", gpu.info().name, one_kernel(&gpu)?);
        }
        Err(error) => println!("no GPU for a kernel of its own: {error}"),
    }

    // The device drdiff would choose: a hardware GPU, else the CPU.
    let options = GpuOptions { device: DeviceChoice::Auto, ..Default::default() };
    let device = Device::open_async(&options).await?;
    println!("text on {}:", device.name());
    let model = Model::load(folder, &device)?;
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() })?;
    let sampler = Sampler { steps: 10, seed: 7, ..Sampler::default() };
    let text = session.generate(&Prompt::prefix("And the king"), &sampler, |progress| {
        if progress.step == progress.steps / 2
            && let Ok(snapshot) = progress.snapshot()
        {
            println!("halfway: {}", snapshot[0]);
        }
        ControlFlow::Continue(())
    })?;
    println!("{text}");
    Ok(())
}

/// `y = x weight^T` on buffers and in an encoder that belong to the caller.
fn one_kernel(gpu: &Gpu) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let x = gpu.upload("x", bytemuck::cast_slice(&[1.0_f32, 2.0, 3.0]))?;
    let weight = gpu.upload("weight", bytemuck::cast_slice(&[1.0_f32, 0.0, 0.0, 0.5, 0.5, 0.5]))?;
    let y = gpu.buffer("y", 8)?;
    let inputs =
        [Some((Desc::f32([1, 3]), (&x).into())), Some((Desc::f32([2, 3]), (&weight).into())), None, None, None];
    let linear = RecordedOp::new(gpu, &Linear::default(), &inputs, &[(&y).into()])?;
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    linear.encode(&mut encoder);
    gpu.queue().submit([encoder.finish()]);
    Ok(gpu.download(&y, 2)?.into_iter().map(f32::from_bits).collect())
}
