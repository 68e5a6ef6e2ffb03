//! Tensors as safetensors, the format of files.

use std::path::Path;

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::json::UniqueKeys;
use super::text::BYTE_ORDER_MARK;
use crate::error::short;
use crate::memory::collected;
use crate::{Error, Result, Tensor, memory};

/// What a tensor's memory is called where it is refused.
const TENSOR: &str = "a tensor";
/// Most bytes that names and places of tensors take once they are parsed, for each byte of JSON.
pub(crate) const PARSED: u64 = 16;

/// The tensors of a safetensors file, floats widened to f32; `path` is what errors call it.
///
/// # Errors
/// If the header or an offset is wrong, a type is neither f32, f16, bf16 nor u32, or the memory is refused.
pub fn tensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    if let Some(length) = bytes.first_chunk().map(|&length| u64::from_le_bytes(length)) {
        memory::room("the names of tensors", PARSED * length.min(bytes.len() as u64))?;
    }
    let refuse = |problem: &str| Error::format(path, format!("not a safetensors file ({problem})"));
    check_header(bytes).map_err(|problem| refuse(&problem))?;
    let file = SafeTensors::deserialize(bytes).map_err(|source| match source {
        SafeTensorError::MetadataIncompleteBuffer => {
            refuse("its tensors do not fill it exactly: it was cut short, or holds more than they do")
        }
        _ => refuse(&source.to_string()),
    })?;
    let mut views = file.tensors();
    views.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut all = Vec::with_capacity(views.len());
    for (name, view) in views {
        let (shape, data) = (view.shape().to_vec(), view.data());
        let halves = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
        let words = || data.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let tensor = match view.dtype() {
            Dtype::F32 => Tensor::f32(shape, collected(TENSOR, words().map(f32::from_le_bytes))?),
            Dtype::F16 => {
                Tensor::f32(shape, collected(TENSOR, halves().map(|b| half::f16::from_le_bytes(b).to_f32()))?)
            }
            Dtype::BF16 => {
                Tensor::f32(shape, collected(TENSOR, halves().map(|b| half::bf16::from_le_bytes(b).to_f32()))?)
            }
            Dtype::U32 => Tensor::u32(shape, collected(TENSOR, words().map(u32::from_le_bytes))?),
            other => {
                let name = short(&name, 80);
                return Err(Error::format(path, format!("`{name}` is {other:?}, expected F32, F16, BF16 or U32")));
            }
        };
        all.push((name, tensor?));
    }
    Ok(all)
}

/// Refuses what the parser of the format would pass over, and says in words what it would not: the header's length, its
/// encoding, and names that come twice.
fn check_header(bytes: &[u8]) -> std::result::Result<(), String> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err(format!("it has {} bytes, expected the header's length in the first 8", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let header = header.ok_or_else(|| format!("a header of {length} bytes in a file of {}", bytes.len()))?;
    let text = std::str::from_utf8(header).map_err(|error| format!("its header is not UTF-8: {error}"))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err("its header begins with a byte-order mark, expected `{`".to_owned());
    }
    serde_json::from_str::<UniqueKeys>(text).map(|_| ()).map_err(|error| format!("its header: {error}"))
}
