//! Bytes as text.

use std::path::Path;
use std::str::Utf8Error;

use crate::{Error, Result};

pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes of a file as text, whatever stands in front.
///
/// # Errors
/// If they are not UTF-8.
pub(crate) fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| not_utf8(path, bytes, error))
}

pub(super) fn not_utf8(path: &Path, bytes: &[u8], error: Utf8Error) -> Error {
    let marked = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let hint = if marked { " (it begins with the byte-order mark of UTF-16)" } else { "" };
    Error::format(path, format!("not UTF-8 at byte {}{hint}, expected UTF-8 text", error.valid_up_to()))
}
