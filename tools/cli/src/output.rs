//! Standard output and standard error: text comes out whole, or the program fails.

use std::io::Write as _;

use crate::Failure;

/// Prints to standard output; a closed pipe is the reader's choice, not a failure.
pub fn print(text: &str) -> Result<(), Failure> {
    check()?;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(failed)?),
    }
}

/// Refuses to go on where nobody could read the results: the runtime would drop them without an error.
pub fn check() -> Result<(), Failure> {
    match start::is_writable() {
        true => Ok(()),
        false => Err(failed(std::io::Error::other("it is closed, expected a terminal, a file or a pipe")).into()),
    }
}

fn failed(source: std::io::Error) -> drdiff::Error {
    drdiff::Error::File { path: "standard output".into(), doing: "write", source }
}

/// Writes a line to standard error; if that is closed, nobody is listening.
pub fn note(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How standard output stood when the program was started. Before `main`, the runtime opens /dev/null in place of a
/// closed one, and from then on the two look alike: so the look comes first.
#[cfg(unix)]
mod start {
    use std::sync::atomic::{AtomicBool, Ordering};

    static LOST: AtomicBool = AtomicBool::new(false);

    pub fn is_writable() -> bool {
        !LOST.load(Ordering::Relaxed)
    }

    // SAFETY: the loader calls what this section lists, once, on the one thread there is; `look` has the type that it
    // expects, and needs nothing that the runtime prepares.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: F_GETFL takes no pointer and changes nothing.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFL) };
        LOST.store(flags == -1 || flags & libc::O_ACCMODE == libc::O_RDONLY, Ordering::Relaxed);
    }
}

#[cfg(not(unix))]
mod start {
    #[cfg(windows)]
    pub fn is_writable() -> bool {
        use std::os::windows::io::AsRawHandle as _;
        !std::io::stdout().as_raw_handle().is_null()
    }

    #[cfg(not(windows))]
    pub fn is_writable() -> bool {
        true
    }
}
