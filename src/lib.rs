//! Long text by diffusion, on any GPU: every floating-point operation of the model is a hand-written WGSL compute
//! shader, a thin graph executor orders them, and a CPU reference in f64 checks all of it.

pub mod check;
mod cpu;
mod device;
mod error;
pub mod gpu;
pub mod graph;
pub mod model;
pub mod ops;
mod tensor;

pub use device::Device;
pub use error::{Error, Result};
pub use gpu::{DeviceChoice, Gpu, GpuOptions, Tier};
pub use model::{Method, Model, Prompt, Sampler, SessionOptions};
pub use tensor::{DType, Data, Desc, Tensor};
