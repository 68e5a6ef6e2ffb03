//! Files on a disk.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use safetensors::Dtype;
use serde::Serialize;

use super::tensors::tensors;
use super::text::{BYTE_ORDER_MARK, not_utf8};
use crate::{Error, Result, Tensor, memory};

/// The text of a UTF-8 file, without the byte-order mark that some editors put in front.
///
/// # Errors
/// If it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let text = String::from_utf8(memory::read(path)?);
    let mut text = text.map_err(|source| not_utf8(path, source.as_bytes(), source.utf8_error()))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

/// Reads a file of a model, which is a regular one: a pipe without a writer would be waited for without end.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(crate) fn read_model_file(path: &Path) -> Result<Vec<u8>> {
    let metadata =
        std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), doing: "read", source })?;
    match metadata.is_file() {
        true => memory::read(path),
        false if metadata.is_dir() => Err(Error::format(path, "is a folder, expected a file")),
        false => Err(Error::format(path, "is a device or a pipe, expected a regular file")),
    }
}

/// Whether there is nothing at `path`; a link that leads nowhere is something.
pub(crate) fn is_absent(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// If the file cannot be written; nothing is left behind then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], with what `write` writes.
///
/// # Errors
/// If the file cannot be written or `write` fails; nothing is left behind then.
pub fn write_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), doing: "write", source };
    let write = |to: &Path| {
        let mut file = BufWriter::new(std::fs::File::create(to)?);
        write(&mut file)?;
        file.flush()
    };
    // A link is followed to its target; a device or a pipe is written to, never replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match std::fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(metadata) if !metadata.is_file() => return write(&target).map_err(failed),
        _ => {}
    }
    // Short, so that a name of any length that the system takes can be written; numbered, as threads may write at once.
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let partial = target.with_file_name(format!(".drdiff-{}-{number}.partial", std::process::id()));
    let written = write(&partial).and_then(|()| std::fs::rename(&partial, &target));
    written.map_err(|source| {
        // The first failure is the cause; failing to remove the remains adds nothing.
        let _ = std::fs::remove_file(&partial);
        failed(source)
    })
}

/// Reads a safetensors file.
///
/// # Errors
/// If it cannot be read, and as [`tensors`].
pub fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    tensors(path, &memory::read(path)?)
}

/// What the header of a safetensors file says of a tensor.
#[derive(Serialize)]
struct Info<'a> {
    dtype: Dtype,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// Writes a safetensors file: a whole file or none. Tensors go straight to the file.
///
/// # Errors
/// If the file cannot be written, or a name comes twice.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let by_name: BTreeMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    if by_name.len() < tensors.len() {
        let found = format!("{} tensors of {} names", tensors.len(), by_name.len());
        return Err(Error::argument("what to write", found, "a name for each tensor"));
    }
    let mut end = 0;
    let infos = by_name.iter().map(|(&name, tensor)| {
        let dtype = if tensor.as_f32().is_some() { Dtype::F32 } else { Dtype::U32 };
        let start = end;
        end += tensor.words().len() * 4;
        (name, Info { dtype, shape: &tensor.desc().shape, data_offsets: [start, end] })
    });
    let infos: BTreeMap<_, _> = infos.collect();
    write_with(path, |file| {
        let mut header = serde_json::to_vec(&infos)?;
        // Readers map the elements into memory, and want them aligned.
        header.resize(header.len().next_multiple_of(8), b' ');
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        by_name.values().try_for_each(|tensor| file.write_all(bytemuck::cast_slice(tensor.words())))
    })
}
