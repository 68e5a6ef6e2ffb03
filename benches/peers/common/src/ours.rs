//! drdiff's side.

use drdiff::Device;
use drdiff::graph::{Call, ExecutorOptions, Prepared};
use drdiff::ops::REGISTRY;

use crate::{Case, Contestant, Outcome, Running};

/// drdiff's op on `device`, by the kernels that it chooses itself.
pub fn ours(case: &Case, device: &Device) -> Contestant {
    let (case, device) = (case.clone(), device.clone());
    let prepare = move || -> Outcome<Box<dyn Running>> {
        let entry = REGISTRY.iter().find(|entry| entry.name() == case.op()).ok_or("an op that is not there")?;
        let call = Call::by_name(entry, case.arguments()?)?;
        Ok(Box::new(call.prepare(&device, ExecutorOptions::default())?))
    };
    Contestant { name: "drdiff".to_owned(), prepare: Box::new(prepare) }
}

impl Running for Prepared {
    fn start(&mut self) -> Outcome<()> {
        self.executor.run()?;
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        Ok(self.executor.wait()?)
    }

    fn result(&mut self) -> Outcome<Vec<f32>> {
        let first = *self.values.first().ok_or("an op without outputs")?;
        let tensor = self.executor.read(first)?;
        Ok(tensor.as_f32().ok_or("its first output is not of f32")?.to_vec())
    }
}
