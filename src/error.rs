//! One error type: what went wrong, where, and what was expected.

use std::path::PathBuf;

/// The result of every fallible call of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong; each says where it happened and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter matches the device that was asked for.
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
        /// What wgpu said.
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
    /// wgpu reported an error: a bug in drdiff or in the driver.
    #[error("the GPU refused {what}")]
    Gpu {
        /// What was being done.
        what: String,
        /// What wgpu said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device was lost; every handle to it is invalid.
    #[error("the device {device} was lost ({reason}): open it again")]
    DeviceLost {
        /// The device.
        device: String,
        /// The driver's reason.
        reason: String,
    },
    /// Something exceeds a limit of the device.
    #[error("{what} needs {needed}, the limit of {device} is {limit} {unit}{}", fitting(*fits))]
    Limit {
        /// What is too large.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there is.
        limit: u64,
        /// The device.
        device: String,
        /// What the two numbers count.
        unit: &'static str,
        /// The largest length of a text that fits, in tokens, where that would help; 0 where none fits.
        fits: Option<usize>,
    },
    /// An op has no code for a device.
    #[error("{op} does not run on {device}: it has no code for it")]
    Unsupported {
        /// The op.
        op: &'static str,
        /// The kind of device.
        device: &'static str,
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
    /// A run met a prediction that is NaN or infinite, so that nothing after it means anything: mostly weights that
    /// overflow.
    #[error(
        "step {step} of {steps}: the prediction is not finite at {positions} of {of} positions, anchors included{}",
        named(.op)
    )]
    NotFinite {
        /// The first step that met one, from 1.
        step: usize,
        /// Steps of the run.
        steps: usize,
        /// Positions of the batch where it is not finite, anchors included.
        positions: usize,
        /// Positions of the batch, anchors included, padding not.
        of: usize,
        /// Place and name of the first op of that step whose output is not finite, where it was found.
        op: Option<(usize, &'static str)>,
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

fn fitting(length: Option<usize>) -> String {
    length.map_or_else(String::new, |length| format!("; the largest length that fits is {length}"))
}

fn named(op: &Option<(usize, &'static str)>) -> String {
    op.map_or_else(String::new, |(index, name)| format!("; the first op with such an output is op {index}, `{name}`"))
}

/// An error and what caused it, in one line: what breaks a line or a terminal is replaced, what is endless is cut.
pub fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let said: Vec<_> = causes.map(|cause| short(&cause.to_string(), 1000)).collect();
    let mut line = String::new();
    for c in said.join(": ").chars() {
        match c {
            '\n' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// Text as a message repeats it: of text longer than `most` characters the beginning and the end, where messages say
/// what was expected.
pub(crate) fn short(text: &str, most: usize) -> String {
    let place = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
    if place(most) == text.len() {
        return text.to_owned();
    }
    let (begin, end) = (place(most - most / 4), text.char_indices().rev().take(most / 4).last());
    let end = end.map_or(text.len(), |(at, _)| at);
    format!("{}... ({} bytes) ...{}", &text[..begin], text.len(), &text[end..])
}

/// Names as a message lists them: the first few, and how many more there are.
pub(crate) fn list(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    const SHOWN: usize = 8;
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(SHOWN).map(|name| short(&name.to_string(), 80)).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// The most characters of one part of a message.
const PART: usize = 400;

impl Error {
    /// A shape error of `op`.
    pub(crate) fn shape(
        op: &'static str,
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Shape { op, what: what.into(), found: short(&found.into(), PART), expected: expected.into() }
    }

    /// An argument outside what is accepted.
    pub fn argument(what: impl Into<String>, found: impl std::fmt::Display, expected: impl Into<String>) -> Self {
        let (what, found) = (short(&what.into(), PART), short(&found.to_string(), PART));
        Self::Argument { what, found, expected: expected.into() }
    }

    /// A file that is not what it should be.
    pub(crate) fn format(path: impl Into<PathBuf>, problem: impl AsRef<str>) -> Self {
        Self::Format { path: path.into(), problem: short(problem.as_ref(), PART), source: None }
    }

    /// True where the caller's arguments are at fault rather than the machine or a file.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Argument { .. } | Self::NoDevice { .. } | Self::Tier { .. } | Self::Shape { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_short_and_on_one_line() {
        let names = (0..300_000).map(|i| format!("layer.{i}"));
        assert!(list(names).ends_with("layer.7, and 299992 more"));
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(Vec::<String>::new()), "");
        assert_eq!(short("abcdefgh", 8), "abcdefgh");
        assert_eq!(short("abcd\u{e9}fghi", 8), "abcd\u{e9}f... (10 bytes) ...hi");
        let error = Error::argument("a name", "\u{e9}".repeat(1 << 20), "a short one");
        assert!(error.to_string().len() < 1000 && error.to_string().contains("(2097152 bytes)"));
        let error = Error::format("some file", "the tensor `a\nb\u{1b}[2J`");
        assert_eq!(explain(&error), "some file: the tensor `a b\\u{1b}[2J`");
        let limit = |fits| Error::Limit {
            what: "a value".to_owned(),
            needed: 9,
            limit: 8,
            device: "it".to_owned(),
            unit: "bytes",
            fits,
        };
        assert_eq!(limit(None).to_string(), "a value needs 9, the limit of it is 8 bytes");
        let fitting = "a value needs 9, the limit of it is 8 bytes; the largest length that fits is 3";
        assert_eq!(limit(Some(3)).to_string(), fitting);
        let source = std::io::Error::other("x".repeat(1 << 20));
        let error = Error::File { path: "f".into(), doing: "read", source };
        assert!(explain(&error).len() < 2000);
    }
}
