//! Checks of ops: cases and laws for each, the judge that compares a device with the f64 reference, and the run of all of
//! them that `drdiff verify` is.
//!
//! The library's users never compile this; it depends on them, never the other way round.

mod cases;
mod compare;
mod copy;
mod judge;
mod near_tie;
mod random;
pub mod rearrange;
mod relation;
mod suite;
mod values;
mod verify;

pub use cases::{Case, Wanted, benches, cases, sized};
pub use compare::{Difference, first_difference};
pub use copy::Copy;
pub use judge::{Check, Judged, Rule, exceeds, nmse, trivial};
pub use random::Gen;
pub use relation::{Calls, Claim, Outputs, Relation};
pub use suite::{Suite, suite};
pub use values::Values;
pub use verify::{CaseReport, OpReport, VerifyOptions, Worst, run_case, run_relation, verify};
