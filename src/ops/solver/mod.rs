//! The solver: trajectories for given predictions, the sampler's fused step, and what feeds it.

mod bayes_query;
mod finite_check;
mod row;
mod segment_mean;
mod step;
mod trajectory;

pub use bayes_query::{BAYES_QUERY, BayesQuery, ENTRY as BAYES_QUERY_ENTRY};
pub use finite_check::{ENTRY as FINITE_CHECK_ENTRY, FINITE_CHECK, FiniteCheck};
pub use row::StepRow;
pub use segment_mean::{ENTRY as SEGMENT_MEAN_ENTRY, SEGMENT_MEAN, SegmentMean};
pub use step::{ENTRY as SOLVER_STEP_ENTRY, SOLVER_STEP, SolverStep};
pub use trajectory::{ENTRY as SOLVER_ENTRY, Solver, TRAJECTORY};
