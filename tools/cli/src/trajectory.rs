//! A whole run of a model on a device, held against the reference at every step.

use std::ops::ControlFlow;
use std::path::Path;

use drdiff::{Device, Method, Model, Prompt, Result, Sampler, SessionOptions, Tensor};
use drdiff_check::{exceeds, nmse};

/// Largest NMSE of the state z at any step. Single steps stay near 1e-12; the bound leaves room for an expert or a token
/// that rounding decides the other way.
const BOUND: f64 = 1e-4;

/// What came of it.
pub struct Trajectory {
    pub method: Method,
    pub worst: f64,
}

impl Trajectory {
    pub fn within(&self) -> bool {
        !exceeds(self.worst, BOUND)
    }

    pub fn line(&self) -> String {
        let Self { method, worst } = self;
        format!("whole run, {method:?}: worst NMSE of z {worst:.1e} against the reference, bound {BOUND:.0e}\n")
    }
}

/// Runs the model of `folder` with each method.
pub fn trajectories(folder: &Path, device: &Device, seed: u64) -> Result<Vec<Trajectory>> {
    let states = |device: &Device, method| -> Result<Vec<Tensor>> {
        let model = Model::load(folder, device)?;
        let mut session = model.session(SessionOptions { length: 24, ..Default::default() })?;
        let sampler = Sampler { steps: 6, seed, method, ..Sampler::default() };
        let mut states = Vec::new();
        session.generate(&Prompt::none(), &sampler, |progress| {
            states.push(progress.state());
            ControlFlow::Continue(())
        })?;
        states.into_iter().collect()
    };
    let methods = [Method::Multistep, Method::FirstOrder, Method::Ancestral];
    let run = |method| {
        let (got, want) = (states(device, method)?, states(&Device::Reference, method)?);
        let errors = got.iter().zip(&want).map(error);
        let worst = errors.fold(0.0, |worst, error| if exceeds(error, worst) { error } else { worst });
        Ok(Trajectory { method, worst })
    };
    methods.into_iter().map(run).collect()
}

fn error((got, want): (&Tensor, &Tensor)) -> f64 {
    let wide = |tensor: &Tensor| tensor.as_f32().unwrap_or(&[]).iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    nmse(got.as_f32().unwrap_or(&[]), &wide(want))
}
