//! `drdiff op`: one op on tensors from a safetensors file.

use std::path::PathBuf;

use clap::Args;
use drdiff::files::{read_tensors, write_tensors};
use drdiff::graph::Call;
use drdiff::op::Arguments;

use crate::device::DeviceArgs;
use crate::verify::entries;
use crate::{Failure, print};

#[derive(Args)]
pub struct OpCommand {
    /// The op's name; `drdiff verify` lists them
    name: String,
    /// Input tensors, a safetensors file
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where to write the outputs
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// A setting of the op, NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
}

impl OpCommand {
    pub fn run(self) -> Result<(), Failure> {
        let entry = entries(Some(&self.name))?[0];
        let mut arguments = Arguments::new();
        for setting in &self.settings {
            arguments.assign(setting)?;
        }
        if let Some(path) = &self.input {
            for (name, tensor) in read_tensors(path)? {
                arguments = arguments.with(&name, tensor);
            }
        }
        let device = self.device.open()?;
        let mut prepared = Call::by_name(entry, arguments)?.prepare(&device, Default::default())?;
        prepared.executor.run()?;
        let mut outputs = Vec::new();
        for ((name, _), &value) in prepared.outputs.iter().zip(&prepared.values) {
            outputs.push(((*name).to_owned(), prepared.executor.read(value)?));
        }
        write_tensors(&self.output, &outputs)?;
        let list: Vec<_> = outputs.iter().map(|(name, tensor)| format!("{name} {}", tensor.desc())).collect();
        print(&format!("{}: {}\n", self.output.display(), list.join(", ")))
    }
}
