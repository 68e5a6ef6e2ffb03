//! `drdiff denoise`: a whole model on tensors from a safetensors file.

use std::path::PathBuf;

use clap::Args;
use drdiff::files::{read_tensors, write_tensors};
use drdiff::model::{Config, DenoiseInput, Weights, denoise};
use drdiff::{Error, Sampler};

use crate::device::{DeviceArgs, ModelArgs};
use crate::method::MethodArg;
use crate::{Failure, print};

#[derive(Args)]
pub struct Denoise {
    #[command(flatten)]
    model: ModelArgs,
    /// `z` [B,N,De]; with `gamma` [B] (and `self`, the last x0) one evaluation, without it a whole run from z
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where `x0`, `entropy`, `token` and, of a whole run, the `z` that its last evaluation saw go
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Evaluations of a whole run
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// The solver of a whole run
    #[arg(long, value_enum, default_value = "multistep")]
    method: MethodArg,
    #[command(flatten)]
    device: DeviceArgs,
}

impl Denoise {
    pub fn run(self) -> Result<(), Failure> {
        let (mut z, mut last, mut gamma) = (None, None, None);
        for (name, tensor) in read_tensors(&self.input)? {
            let place = match name.as_str() {
                "z" => &mut z,
                "self" => &mut last,
                "gamma" => &mut gamma,
                _ => {
                    return Err(
                        Error::argument("the input", format!("with the tensor `{name}`"), "z, self, gamma").into()
                    );
                }
            };
            *place = Some(tensor);
        }
        let z = z.ok_or_else(|| Error::argument("the input", "without `z`", "a tensor `z` [B, N, De]"))?;
        let (folder, _) = self.model.folder();
        let mut config = Config::read(&folder.join("config.json"))?;
        let weights = Weights::read(&folder, &mut config)?;
        let device = self.device.open()?;
        let sampler = Sampler { steps: self.steps, method: self.method.into(), ..Sampler::default() };
        let denoised = denoise((&config, &weights), &DenoiseInput { z, last, gamma }, &sampler, &device)?;
        let mut outputs = vec![
            ("x0".to_owned(), denoised.x0),
            ("entropy".to_owned(), denoised.entropy),
            ("token".to_owned(), denoised.token),
        ];
        outputs.extend(denoised.z.map(|z| ("z".to_owned(), z)));
        write_tensors(&self.output, &outputs)?;
        let list: Vec<_> = outputs.iter().map(|(name, tensor)| format!("{name} {}", tensor.desc())).collect();
        print(&format!("{}: {}\n", self.output.display(), list.join(", ")))
    }
}
