//! How a graph is run, and what came of it.

use super::Value;

/// How a graph is run.
#[derive(Clone, Copy, Debug)]
pub struct ExecutorOptions {
    /// Put sentinel words after each buffer, for [`Executor::check_sentinels`](super::Executor::check_sentinels). One slot per value then.
    pub sentinels: bool,
    /// Time each op.
    pub profile: bool,
    /// A run is split into several submits once its ops exceed this many FLOPs, so that no watchdog fires.
    pub flops_per_submit: f64,
    /// On a GPU, which of each op's choices of kernels that the device can run, by its place (the last where there are
    /// fewer); the best of the device's tier where it is not given.
    pub choice: Option<usize>,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self { sentinels: false, profile: false, flops_per_submit: 1e12, choice: None }
    }
}

/// A row of what was staged for a state, which a run begins with.
#[derive(Clone, Copy, Debug)]
pub struct Staged<'a> {
    /// The state.
    pub value: Value,
    /// Which of the rows that [`Executor::stage`](super::Executor::stage) was given.
    pub index: usize,
    /// The same row, for devices that stage nothing.
    pub row: &'a [f32],
}

/// Which ops a run makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ops {
    /// All of them.
    #[default]
    All,
    /// All but those of [`Graph::occasionally`](super::Graph::occasionally).
    Usual,
}

/// Time of one op in one run.
#[derive(Clone, Debug)]
pub struct OpTime {
    /// The op.
    pub name: &'static str,
    /// Start in nanoseconds; only differences are meaningful.
    pub begin: f64,
    /// End in nanoseconds.
    pub end: f64,
}

/// What [`Executor::run`](super::Executor::run) started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Queue submits it took (0 on the CPU).
    pub submits: usize,
}
