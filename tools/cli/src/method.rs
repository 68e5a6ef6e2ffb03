//! `--method`.

use drdiff::Method;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum MethodArg {
    /// DPM-Solver++ 2M
    Multistep,
    /// DPM-Solver++ of first order (DDIM)
    FirstOrder,
    /// Ancestral sampling
    Ancestral,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Multistep => Self::Multistep,
            MethodArg::FirstOrder => Self::FirstOrder,
            MethodArg::Ancestral => Self::Ancestral,
        }
    }
}
