//! What every comparison of drdiff with another library shares: the cases, runs in turn, and the table.

mod cases;
mod contest;
mod ours;

pub use cases::{Case, Kind, cases};
pub use contest::{Contestant, Options, Running, contest, heading};
pub use ours::ours;

/// Ends of what may go wrong in here: another library's error, or drdiff's.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
