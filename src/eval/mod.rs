//! Evaluation: a bound on the likelihood of a text, gaps that a model fills in again, and statistics of texts.
//!
//! [`Model::likelihood`](crate::Model::likelihood) and [`Model::infill`](crate::Model::infill) read a [`Corpus`].

mod corpus;
mod infill;
mod likelihood;
mod statistics;

pub use corpus::Corpus;
pub use infill::{Infill, InfillOptions};
pub use likelihood::{Estimate, GammaBin, Likelihood, LikelihoodOptions};
pub use statistics::{Statistics, cut_alike};
