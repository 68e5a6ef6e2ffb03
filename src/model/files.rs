//! Files as text, and whole files at once.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result, memory};

/// The text of a UTF-8 file, without the byte-order mark that some editors put in front.
///
/// # Errors
/// Where it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let mut text = utf8(path, read_whole(path)?)?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes of a file as text, whatever stands in front.
pub(super) fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|source| {
        let byte = source.utf8_error().valid_up_to();
        let marked = matches!(source.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let hint = if marked { " (it begins with the byte-order mark of UTF-16)" } else { "" };
        Error::format(path, format!("not UTF-8 at byte {byte}{hint}, expected UTF-8 text"))
    })
}

/// Reads a file.
///
/// # Errors
/// Where it cannot be read or there is no memory for it.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>> {
    memory::read(path)
}

/// Reads a file of a model, which is a regular one: a pipe without a writer would be waited for without end.
///
/// # Errors
/// Where it cannot be read, or is something else.
pub(super) fn read_model_file(path: &Path) -> Result<Vec<u8>> {
    let metadata =
        std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), doing: "read", source })?;
    match metadata.is_file() {
        true => read_whole(path),
        false if metadata.is_dir() => Err(Error::format(path, "is a folder, expected a file")),
        false => Err(Error::format(path, "is a device or a pipe, expected a regular file")),
    }
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// Where the file cannot be written; nothing is left behind then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], with what `write` writes.
///
/// # Errors
/// Where the file cannot be written or `write` fails; nothing is left behind then.
pub fn write_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), doing: "write", source };
    let write = |to: &Path| {
        let mut file = BufWriter::new(std::fs::File::create(to)?);
        write(&mut file)?;
        file.flush()
    };
    // Through a link to its target; a device or a pipe is written to, never replaced.
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
        // The cause is the first failure; that the remains cannot be removed adds nothing.
        let _ = std::fs::remove_file(&partial);
        failed(source)
    })
}
