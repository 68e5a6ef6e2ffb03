//! One error type: what went wrong, where, and what was expected.

use std::path::PathBuf;

/// The result of every fallible call of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each with its place and what was expected there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter answers to the device that was asked for.
    #[error("no device `{wanted}`: this machine has {available}")]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The device lacks what a tier needs.
    #[error("tier `{tier}` does not run on {device}: it needs {missing}")]
    Tier {
        /// The tier asked for.
        tier: &'static str,
        /// The adapter's name.
        device: String,
        /// The features it lacks.
        missing: String,
    },
    /// The adapter refused to open a device.
    #[error("cannot open {device}")]
    Open {
        /// The adapter's name.
        device: String,
        /// wgpu's own words.
        #[source]
        source: wgpu::RequestDeviceError,
    },
    /// An allocation did not fit.
    #[error("out of memory on {device}: {what} needs {}", size(*bytes))]
    OutOfMemory {
        /// The device, or the host.
        device: String,
        /// What was to be allocated.
        what: String,
        /// Its size; 0 where nobody says.
        bytes: u64,
    },
    /// wgpu reported an error; a defect of drdiff or of the driver.
    #[error("the GPU refused {what}")]
    Gpu {
        /// What was being done.
        what: String,
        /// wgpu's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device went away; every handle on it is dead.
    #[error("the device {device} was lost ({reason}): open it again")]
    DeviceLost {
        /// The device.
        device: String,
        /// The driver's reason.
        reason: String,
    },
    /// Something exceeds a limit of the device.
    #[error("{what} needs {needed}, the limit of {device} is {limit}{hint}")]
    Limit {
        /// What is too large.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there is.
        limit: u64,
        /// The device.
        device: String,
        /// What would fit, or nothing.
        hint: String,
    },
    /// A tensor's shape or type does not suit the op that reads it.
    #[error("{op}: {what} is {found}, expected {expected}")]
    Shape {
        /// The op.
        op: &'static str,
        /// The tensor.
        what: String,
        /// Its shape or type.
        found: String,
        /// What the op takes.
        expected: String,
    },
    /// An argument is outside what is accepted.
    #[error("{what} is {found}, expected {expected}")]
    Argument {
        /// The argument.
        what: String,
        /// Its value.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// read, write, create...
        doing: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
        /// The parser's reason, where there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The caller asked to stop.
    #[error("stopped on request after step {step} of {steps}")]
    Stopped {
        /// Steps that were done.
        step: usize,
        /// Steps asked for.
        steps: usize,
    },
}

fn size(bytes: u64) -> String {
    if bytes > 0 { format!("{bytes} bytes") } else { "more than there is".to_owned() }
}

/// An error and what caused it, in one line.
pub fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

impl Error {
    /// A shape error of `op`.
    pub(crate) fn shape(
        op: &'static str,
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Shape { op, what: what.into(), found: found.into(), expected: expected.into() }
    }

    /// An argument outside what is accepted.
    pub fn argument(what: impl Into<String>, found: impl std::fmt::Display, expected: impl Into<String>) -> Self {
        Self::Argument { what: what.into(), found: found.to_string(), expected: expected.into() }
    }

    /// A file that is not what it should be.
    pub(crate) fn format(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::Format { path: path.into(), problem: problem.into(), source: None }
    }

    /// True where the caller's arguments are at fault rather than the machine or a file.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Argument { .. } | Self::NoDevice { .. } | Self::Tier { .. } | Self::Shape { .. })
    }
}
