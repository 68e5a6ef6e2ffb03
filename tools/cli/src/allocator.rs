//! Where the system refuses memory that an error cannot stand for, the command says so and ends with 1.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

use drdiff::memory::is_refusable;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The system's, which never refuses what its caller takes for granted.
struct Allocator;

// SAFETY: every call goes to the system's allocator as it is, and what that gives is given unchanged or not at all.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        granted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn granted(block: *mut u8, bytes: usize) -> *mut u8 {
    if block.is_null() && !is_refusable() {
        end(bytes);
    }
    block
}

#[cold]
fn end(bytes: usize) -> ! {
    // Standard error has no buffer, and numbers are formatted on the stack.
    let _ = writeln!(std::io::stderr(), "error: out of memory on the host: an object needs {bytes} bytes");
    exit()
}

/// Without what libraries want done at the end of a process, for which there is no memory either.
#[cfg(unix)]
fn exit() -> ! {
    // SAFETY: it takes a number and does not come back.
    unsafe { libc::_exit(1) }
}

#[cfg(not(unix))]
fn exit() -> ! {
    std::process::exit(1)
}
