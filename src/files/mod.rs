//! Files: text, tensors, and whole files at once. What is read is checked before it is believed; what is written is there
//! whole or not at all. A target without files has the parts that take bytes.

#[cfg(not(target_family = "wasm"))]
mod disk;
pub(crate) mod json;
mod tensors;
mod text;

#[cfg(not(target_family = "wasm"))]
pub(crate) use disk::{is_absent, read_model_file};
#[cfg(not(target_family = "wasm"))]
pub use disk::{read_tensors, read_text, write_tensors, write_whole, write_with};
#[cfg(not(target_family = "wasm"))]
pub(crate) use tensors::PARSED;
pub use tensors::tensors;
pub(crate) use text::utf8;
