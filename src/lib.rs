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
//! use std::ops::ControlFlow;
//! use drdiff::{Device, Gpu, Model, Prompt, Sampler, SessionOptions};
//!
//! // Its callbacks stay the app's. `Device::open_async` opens one of drdiff's own.
//! let device = Device::from(Gpu::from_wgpu(&adapter, device, queue));
//! let mut session = Model::load("models", &device)?.session(SessionOptions::default())?;
//! let (prompt, sampler) = (Prompt::prefix("The history of"), Sampler::default());
//! let text = session.generate_async(&prompt, &sampler, async |_| ControlFlow::Continue(())).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Whatever waits for a device comes twice: `..._async` never blocks, the other blocks the calling thread. On a native system
//! futures may be run by any executor: while one waits, a thread of drdiff's polls the device.
//!
//! # Kernels alone
//!
//! [`graph::RecordedOp`] encodes one op into the caller's commands on the caller's buffers; [`graph::Graph`] and
//! [`graph::Executor`] run many, with their memory planned.
//!
//! A call returns [`Result`]; nothing panics on input, and no error loses its cause. Memory that is refused is an error
//! too, on the host as on the device; [`memory`] says where that ends.

#![deny(unsafe_code)]
#![warn(clippy::missing_errors_doc)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod device;
mod error;
#[cfg(feature = "eval")]
pub mod eval;
pub mod files;
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
#[cfg(feature = "threads")]
pub use host::threads::{HostThreads, host_threads};
pub use model::{Method, Model, Prompt, Sampler, SessionOptions};
pub use tensor::{DType, Data, Desc, Tensor};
