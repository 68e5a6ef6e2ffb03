//! What an op takes and gives, said once: shape checks, calls by name, files and docs follow from it.

use std::fmt::{self, Display};

use crate::DType;

/// One size of a shape, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A size of this name, at least 1: the same wherever the name stands in a signature.
    Named(&'static str),
    /// The same, and it may be 0.
    MayBeZero(&'static str),
    /// This size.
    Fixed(usize),
    /// Any number of sizes, all at least 1: the same ones wherever it stands. At most once in a shape.
    Front,
    /// The product of what [`Dim::Front`] stands for; in outputs only.
    Rows,
}

impl Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) | Self::MayBeZero(name) => f.write_str(name),
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Front => f.write_str(".."),
            Self::Rows => f.write_str("rows"),
        }
    }
}

/// The shape of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// These sizes.
    Dims(&'static [Dim]),
    /// Any shape; what is read of it depends on settings, which the op checks itself.
    Any,
}

/// What a call does with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It must be there and is read.
    Required,
    /// It may be absent.
    Optional,
    /// It must be there and is updated in place, which makes it an output as well.
    Updated(Accuracy),
}

/// How near an output comes to its f64 value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// Normalised mean squared error, at most this.
    Nmse(f64),
    /// Largest absolute difference, at most this.
    Absolute(f64),
    /// Equal bits.
    Exact,
    /// An index of the largest; it may differ where f64 values differ by less than 1e-5 of the row's largest.
    NearTie,
}

impl Eq for Accuracy {}

/// An input of an op: the op's handle on it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its place among the inputs.
    pub index: usize,
    /// Its name in files, messages and kernels.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub form: Form,
    /// What the op does with it.
    pub role: Role,
}

impl Input {
    /// A required input.
    pub const fn new(index: usize, name: &'static str, dtype: DType, form: Form) -> Self {
        Self { index, name, dtype, form, role: Role::Required }
    }

    /// A required f32 input.
    pub const fn f32(index: usize, name: &'static str, dims: &'static [Dim]) -> Self {
        Self::new(index, name, DType::F32, Form::Dims(dims))
    }

    /// A required u32 input.
    pub const fn u32(index: usize, name: &'static str, dims: &'static [Dim]) -> Self {
        Self::new(index, name, DType::U32, Form::Dims(dims))
    }

    /// A required f32 input of any shape.
    pub const fn any(index: usize, name: &'static str) -> Self {
        Self::new(index, name, DType::F32, Form::Any)
    }

    /// May be absent.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.role = Role::Optional;
        self
    }

    /// Is updated in place.
    #[must_use]
    pub const fn updated(mut self, accuracy: Accuracy) -> Self {
        self.role = Role::Updated(accuracy);
        self
    }
}

/// An output of an op: the op's handle on it, too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// Its place among the outputs.
    pub index: usize,
    /// Its name in files.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub dims: &'static [Dim],
    /// How near it comes to its f64 value.
    pub accuracy: Accuracy,
}

impl Output {
    /// An f32 output.
    pub const fn f32(index: usize, name: &'static str, dims: &'static [Dim], accuracy: Accuracy) -> Self {
        Self { index, name, dtype: DType::F32, dims, accuracy }
    }

    /// A u32 output.
    pub const fn u32(index: usize, name: &'static str, dims: &'static [Dim], accuracy: Accuracy) -> Self {
        Self { index, name, dtype: DType::U32, dims, accuracy }
    }
}

/// A setting of an op, as `drdiff op --set` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it is where it is not given, in words or as it would be written; empty for one that must be given.
    pub default: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// What an op takes and gives.
#[derive(Debug)]
pub struct Signature {
    /// The op's name.
    pub name: &'static str,
    /// What it computes, in a line.
    pub summary: &'static str,
    /// What it reads, and what it updates.
    pub inputs: &'static [Input],
    /// What it makes.
    pub outputs: &'static [Output],
    /// What else a call by name can say.
    pub settings: &'static [Setting],
}

impl Signature {
    /// A signature. It does not compile where a handle's index is not its place.
    pub const fn new(
        name: &'static str,
        summary: &'static str,
        inputs: &'static [Input],
        outputs: &'static [Output],
        settings: &'static [Setting],
    ) -> Self {
        let mut i = 0;
        while i < inputs.len() {
            assert!(inputs[i].index == i, "an input's index is its place");
            i += 1;
        }
        let mut i = 0;
        while i < outputs.len() {
            assert!(outputs[i].index == i, "an output's index is its place");
            i += 1;
        }
        Self { name, summary, inputs, outputs, settings }
    }

    /// The inputs that are updated in place.
    pub fn updates(&self) -> impl Iterator<Item = &'static Input> {
        self.inputs.iter().filter(|input| matches!(input.role, Role::Updated(_)))
    }

    /// Name and accuracy of all that a call writes: the outputs, then the updated inputs.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, Accuracy)> {
        let outputs = self.outputs.iter().map(|output| (output.name, output.accuracy));
        outputs.chain(self.inputs.iter().filter_map(|input| match input.role {
            Role::Updated(accuracy) => Some((input.name, accuracy)),
            _ => None,
        }))
    }
}

/// As in `x f32 [.., K], weight f32 [N, K], bias f32 [N] (optional) -> y f32 [.., N]`.
impl Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |dims: &[Dim]| {
            let dims: Vec<_> = dims.iter().map(Dim::to_string).collect();
            format!("[{}]", dims.join(", "))
        };
        for (index, input) in self.inputs.iter().enumerate() {
            let form = match input.form {
                Form::Dims(dims) => shape(dims),
                Form::Any => "[..]".to_owned(),
            };
            let role = match input.role {
                Role::Required => "",
                Role::Optional => " (optional)",
                Role::Updated(_) => " (updated)",
            };
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {} {form}{role}", input.name, input.dtype.name())?;
        }
        for (index, output) in self.outputs.iter().enumerate() {
            let arrow = if index == 0 { " -> " } else { ", " };
            write!(f, "{arrow}{} {} {}", output.name, output.dtype.name(), shape(output.dims))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: Dim = Dim::Named("K");
    const N: Dim = Dim::Named("N");
    const X: Input = Input::f32(0, "x", &[Dim::Front, K]);
    const WEIGHT: Input = Input::f32(1, "weight", &[N, K]);
    const IDS: Input = Input::u32(2, "ids", &[Dim::Front]).optional();
    const GATE: Input = Input::any(3, "gate").optional();
    const Y: Output = Output::f32(0, "y", &[Dim::Front, N], Accuracy::Nmse(1e-9));
    const PAIRS: Output = Output::u32(1, "pairs", &[Dim::Rows, Dim::Fixed(2)], Accuracy::Exact);
    static SIGNATURE: Signature = Signature::new("mix", "mixes", &[X, WEIGHT, IDS, GATE], &[Y, PAIRS], &[]);

    #[test]
    fn it_reads_as_a_line() {
        let line = "x f32 [.., K], weight f32 [N, K], ids u32 [..] (optional), gate f32 [..] (optional) \
                    -> y f32 [.., N], pairs u32 [rows, 2]";
        assert_eq!(SIGNATURE.to_string(), line);
    }
}
