//! Long text by diffusion, on any GPU: every floating-point operation of the model is a hand-written WGSL compute
//! shader, a thin graph executor orders them, and a CPU reference in f64 checks all of it.
//!
//! # Text
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use drdiff::{Device, GpuOptions, Model, Prompt, Sampler, SessionOptions};
//!
//! # fn main() -> drdiff::Result<()> {
//! let device = Device::open(&GpuOptions::default())?;
//! let model = Model::load("models", &device)?;
//! let mut session = model.session(SessionOptions { length: 256, ..Default::default() })?;
//! let sampler = Sampler { steps: 20, seed: 7, ..Default::default() };
//! let text = session.generate(&Prompt::prefix("The history of"), &sampler, |progress| {
//!     eprintln!("{} of {}", progress.step, progress.steps);
//!     ControlFlow::Continue(())
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # In an app that has a device of its own
//!
//! ```no_run
//! # async fn app(adapter: wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> drdiff::Result<()> {
//! use drdiff::{Device, Gpu, GpuOptions, Model};
//!
//! let theirs = Device::from(Gpu::from_wgpu(&adapter, device, queue));
//! let model = Model::load("models", &theirs)?;
//! // Or one that drdiff opens, without blocking.
//! let ours = Device::open_async(&GpuOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Kernels alone
//!
//! [`graph::RecordedOp`] encodes one op into the caller's commands on the caller's buffers; [`graph::Graph`] and
//! [`graph::Executor`] run many, with their memory planned.
//!
//! A call returns [`Result`]; nothing panics on input, and no error loses its cause. Memory that is refused is an error
//! too, on the host as on the device; [`memory`] says where that ends.

mod device;
mod error;
pub mod gpu;
pub mod graph;
mod host;
pub mod memory;
pub mod model;
pub mod op;
pub mod ops;
pub mod schedule;
mod tensor;

pub use device::Device;
pub use error::{Error, Result, explain};
pub use gpu::{DeviceChoice, Gpu, GpuOptions, Tier};
pub use host::threads::{HostThreads, host_threads};
pub use model::{Method, Model, Prompt, Sampler, SessionOptions};
pub use tensor::{DType, Data, Desc, Tensor};
