//! Memory that may be refused: whatever grows with a model, a text, a batch or a file is asked for here, and ends in
//! [`Error::OutOfMemory`] where the system does not grant it.
//!
//! Other crates (the tokenizer, the parsers) end the process instead; [`room`] asks ahead for as much as they are going
//! to take. What is left are objects of a few kilobytes: where even these are refused, a Rust program ends, unless its
//! own global allocator has a better way ([`is_refusable`]).

use std::cell::Cell;
use std::io::{self, ErrorKind};

use crate::{Error, Result};

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread asks for memory without which it can go on. A global allocator that ends the program where
/// memory is refused gives null instead while this holds, and the refusal becomes an error.
pub fn is_refusable() -> bool {
    ASKING.try_with(Cell::get).unwrap_or(false)
}

/// What `ask` gives, with its allocations refusable.
fn asking<R>(ask: impl FnOnce() -> R) -> R {
    let before = ASKING.replace(true);
    let granted = ask();
    ASKING.set(before);
    granted
}

fn refused<T>(what: &str, len: usize) -> Error {
    out_of_memory(what, (len as u64).saturating_mul(size_of::<T>() as u64))
}

fn out_of_memory(what: &str, bytes: u64) -> Error {
    Error::OutOfMemory { device: "the host".to_owned(), what: what.to_owned(), bytes }
}

/// `len` zeros. Pages that nothing writes to take no memory.
///
/// # Errors
/// If the memory is refused.
pub fn zeroed<T: bytemuck::Zeroable>(what: &str, len: usize) -> Result<Vec<T>> {
    asking(|| bytemuck::allocation::try_zeroed_vec(len)).map_err(|()| refused::<T>(what, len))
}

/// An empty vector with room for `len`.
///
/// # Errors
/// If the memory is refused.
pub fn empty<T>(what: &str, len: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    asking(|| all.try_reserve_exact(len)).map_err(|_| refused::<T>(what, len))?;
    Ok(all)
}

/// `value`, `len` times.
///
/// # Errors
/// If the memory is refused.
pub fn filled<T: Copy>(what: &str, len: usize, value: T) -> Result<Vec<T>> {
    let mut all = empty(what, len)?;
    all.resize(len, value);
    Ok(all)
}

/// A copy of `items`.
///
/// # Errors
/// If the memory is refused.
pub fn copied<T: Copy>(what: &str, items: &[T]) -> Result<Vec<T>> {
    let mut all = empty(what, items.len())?;
    all.extend_from_slice(items);
    Ok(all)
}

/// All of `items`.
///
/// # Errors
/// If the memory is refused.
pub fn collected<T>(what: &str, items: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let items = items.into_iter();
    let mut all = empty(what, items.size_hint().0)?;
    extend(what, &mut all, items)?;
    Ok(all)
}

/// Appends `items`.
///
/// # Errors
/// If the memory is refused; what was appended stays.
pub fn extend<T>(what: &str, all: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Result<()> {
    let mut items = items.into_iter();
    let sure = items.size_hint().0;
    reserve(what, all, sure)?;
    // As many as there is room for in one go, without a look at the capacity at each.
    all.extend(items.by_ref().take(sure));
    while let Some(item) = items.next() {
        if all.len() == all.capacity() {
            reserve(what, all, items.size_hint().0.saturating_add(1))?;
        }
        all.push(item);
    }
    Ok(())
}

/// Makes room for `more` items, and for others where many calls follow each other.
fn reserve<T>(what: &str, all: &mut Vec<T>, more: usize) -> Result<()> {
    asking(|| all.try_reserve(more)).map_err(|_| refused::<T>(what, all.len().saturating_add(more)))
}

/// Sees that as many bytes are there at this moment, for code that cannot be told that there are not.
///
/// # Errors
/// If the memory is refused.
pub fn room(what: &str, bytes: u64) -> Result<()> {
    let mut probe = Vec::<u8>::new();
    let granted = usize::try_from(bytes).is_ok_and(|bytes| asking(|| probe.try_reserve_exact(bytes)).is_ok());
    // Memory that nobody looks at may never be asked for.
    std::hint::black_box(&mut probe);
    if granted { Ok(()) } else { Err(out_of_memory(what, bytes)) }
}

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read or there is no memory for it.
#[cfg(not(target_family = "wasm"))]
pub fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    asking(|| std::fs::read(path)).map_err(|source| match source.kind() {
        ErrorKind::OutOfMemory => {
            let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            out_of_memory(&path.display().to_string(), bytes)
        }
        _ => Error::File { path: path.to_owned(), doing: "read", source },
    })
}

/// What `write` writes.
///
/// # Errors
/// If `write` fails, which only lack of memory may cause.
pub fn written(what: &str, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<Vec<u8>> {
    let mut buffer = Buffer::default();
    write(&mut buffer).map_err(|_| out_of_memory(what, buffer.0.len() as u64))?;
    Ok(buffer.0)
}

#[derive(Default)]
struct Buffer(Vec<u8>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        asking(|| self.0.try_reserve(bytes.len())).map_err(|_| ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No machine has as many bytes, though a vector may be that long.
    const TOO_MANY: usize = isize::MAX as usize / 8;

    #[track_caller]
    fn refuses<T>(asked: Result<T>, bytes: u64) {
        match asked.map(|_| ()) {
            Err(Error::OutOfMemory { what, bytes: needed, .. }) => assert_eq!((what.as_str(), needed), ("it", bytes)),
            other => panic!("{other:?}"),
        }
        assert!(!is_refusable());
    }

    #[test]
    fn what_is_too_large_is_an_error() {
        let bytes = TOO_MANY as u64;
        refuses(zeroed::<u64>("it", TOO_MANY), 8 * bytes);
        refuses(zeroed::<u64>("it", usize::MAX), u64::MAX);
        refuses(empty::<u8>("it", TOO_MANY), bytes);
        refuses(filled("it", TOO_MANY, 1_u16), 2 * bytes);
        refuses(collected("it", (0..TOO_MANY).map(|_| 0_u8)), bytes);
        refuses(room("it", bytes), bytes);
        refuses(room("it", u64::MAX), u64::MAX);
        let mut some = vec![0_u8; 5];
        refuses(extend("it", &mut some, (0..TOO_MANY).map(|_| 0_u8)), bytes + 5);
        assert_eq!(some, [0; 5]);
    }

    #[test]
    fn what_fits_is_there() {
        assert_eq!(zeroed::<f32>("it", 3).unwrap(), [0.0; 3]);
        assert_eq!(filled("it", 2, 7).unwrap(), [7; 2]);
        assert_eq!(copied("it", &[1, 2]).unwrap(), [1, 2]);
        assert_eq!(empty::<u8>("it", 9).unwrap().capacity(), 9);
        assert_eq!(collected("it", 0..5).unwrap(), [0, 1, 2, 3, 4]);
        // Of unknown length.
        let even = (0..1000).filter(|i| i % 2 == 0);
        assert_eq!(collected("it", even.clone()).unwrap(), even.collect::<Vec<_>>());
        room("it", 1000).unwrap();
    }
}
