//! Laws that the outputs of an op meet whatever its inputs are. No oracle is asked, so they check the oracle as well.

use super::Check;
use super::verify::broken_sentinels;
use drdiff::graph::{Call, ExecutorOptions};
use drdiff::op::{Accuracy, Arguments, Entry, ReferenceData};
use drdiff::{Data, Device, Error, Result, Tensor};

type Law = dyn Fn(&mut Calls<'_>) -> Result<Vec<Claim>> + Send + Sync;

/// A law with the calls that show it.
pub struct Relation {
    /// The law, and what is particular about these calls.
    pub label: String,
    law: Box<Law>,
}

impl std::fmt::Debug for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relation").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Relation {
    /// A law; `law` makes the calls and claims what their outputs have to do with each other.
    pub fn new(
        label: impl Into<String>,
        law: impl Fn(&mut Calls<'_>) -> Result<Vec<Claim>> + Send + Sync + 'static,
    ) -> Self {
        Self { label: label.into(), law: Box::new(law) }
    }

    /// Makes the calls.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn claims(&self, calls: &mut Calls<'_>) -> Result<Vec<Claim>> {
        (self.law)(calls)
    }
}

/// Calls of one op on one device.
#[derive(Debug)]
pub struct Calls<'a> {
    entry: &'a Entry,
    device: &'a Device,
    sentinels: bool,
    pub(super) failures: Vec<String>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(entry: &'a Entry, device: &'a Device, sentinels: bool) -> Self {
        Self { entry, device, sentinels, failures: Vec::new() }
    }

    /// Calls the op.
    ///
    /// # Errors
    /// If it refuses the arguments or the device fails.
    pub fn run(&mut self, arguments: &Arguments) -> Result<Outputs> {
        let options = ExecutorOptions { sentinels: self.sentinels, ..Default::default() };
        let mut prepared = Call::by_name(self.entry, arguments.try_clone()?)?.prepare(self.device, options)?;
        prepared.executor.run()?;
        self.failures.extend(broken_sentinels(&prepared)?);
        let read = |(&(name, accuracy), &value): (&(&'static str, Accuracy), _)| {
            Ok((name, Check::of(self.entry.name(), accuracy), prepared.executor.read(value)?))
        };
        Ok(Outputs(prepared.outputs.iter().zip(&prepared.values).map(read).collect::<Result<_>>()?))
    }
}

/// What a call gave.
#[derive(Debug)]
pub struct Outputs(Vec<(&'static str, Check, Tensor)>);

impl Outputs {
    fn find(&self, name: &str) -> Result<&(&'static str, Check, Tensor)> {
        let found = self.0.iter().find(|(output, ..)| *output == name);
        found.ok_or_else(|| Error::argument("an output", name, "one that the op has"))
    }

    /// An output.
    ///
    /// # Errors
    /// If the op has none of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        Ok(&self.find(name)?.2)
    }

    /// The elements of an output in f64.
    ///
    /// # Errors
    /// If the op has none of this name.
    pub fn wide(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.get(name)?.as_f32().unwrap_or(&[]).iter().map(|&x| f64::from(x)).collect())
    }

    /// Claims that an output equals `want`, value for value.
    ///
    /// # Errors
    /// If the op has none of this name.
    pub fn same(&self, name: &'static str, want: &Tensor) -> Result<Claim> {
        Ok(Claim::same(name, self.get(name)?, want))
    }

    /// Claims that an output is `want` up to rounding: within what the op's own check allows each of two sides.
    ///
    /// # Errors
    /// If the op has none of this name.
    pub fn close(&self, name: &'static str, want: Vec<f64>) -> Result<Claim> {
        self.close_by(name, self.get(name)?, want)
    }

    /// Claims the same of `got`, which was made of outputs of this name.
    ///
    /// # Errors
    /// If the op has none of this name.
    pub fn close_by(&self, name: &'static str, got: &Tensor, want: Vec<f64>) -> Result<Claim> {
        let check = match self.find(name)?.1 {
            // Errors add up, and NMSE is a square.
            Check::Nmse(limit) => Check::Nmse(4.0 * limit),
            Check::Absolute(limit) => Check::Absolute(2.0 * limit),
            other => other,
        };
        Ok(Claim { output: name, got: got.clone(), want: ReferenceData::F64(want), check })
    }
}

/// What an output has to be.
#[derive(Debug)]
pub struct Claim {
    output: &'static str,
    got: Tensor,
    pub(super) want: ReferenceData,
    check: Check,
}

impl Claim {
    /// `got` equals `want`, value for value.
    pub fn same(output: &'static str, got: &Tensor, want: &Tensor) -> Self {
        match want.data() {
            Data::U32(words) => {
                Self { output, got: got.clone(), want: ReferenceData::U32(words.clone()), check: Check::Exact }
            }
            Data::F32(values) => {
                let want = ReferenceData::F64(values.iter().map(|&x| f64::from(x)).collect());
                Self { output, got: got.clone(), want, check: Check::Absolute(0.0) }
            }
        }
    }

    pub(super) fn failure(&self) -> Option<String> {
        let judged = self.check.judge(&[], &self.got, &self.want);
        judged.failure.map(|failure| format!("{}: {failure}", self.output))
    }
}
