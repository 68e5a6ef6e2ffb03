//! The sampler's arithmetic: the noise schedule, DPM-Solver++ and its baselines, and one fused update of the state
//! with the semantic anchors (SAS) and the prompt.

mod coefficients;
mod finite;
mod posterior;
mod segments;
mod step;

pub use coefficients::{Coefficients, Point, alpha_sigma, multistep, solver, step_coefficients};
pub use finite::{report_not_finite, rows_not_finite};
pub use posterior::{ancestral_coefficients, bayes_query};
pub use segments::{segment_mean, segments};
pub use step::{StepDims, StepInputs, StepSettings, Stepped, solver_step};
