//! Which of an op's choices a device runs.

use super::Graph;
use crate::gpu::{Capabilities, Tier};
use crate::op::{Choice, Op, Shapes};
use crate::{Error, Result};

/// What to choose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Select {
    /// The first of the highest tier up to this one.
    Tier(Tier),
    /// The one at this place among those that run, or the last.
    Nth(usize),
}

/// The choices of an op that a device can run, the one to prefer first.
///
/// # Errors
/// If the op refuses the shapes, or the device runs none: what it lacks.
pub fn runnable(op: &dyn Op, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let mut missing = String::from("kernels, of which the op has none");
    let mut choices = op.choices(shapes, device)?;
    choices.retain(|choice| match choice.missing(device) {
        None => true,
        Some(what) => {
            missing = what;
            false
        }
    });
    match choices.is_empty() {
        true => Err(Error::Tier { tier: Tier::Core.name(), device: op.name().to_owned(), missing }),
        false => Ok(choices),
    }
}

/// The place that `select` takes of choices that a device can run.
pub(super) fn place(choices: &[Choice], select: Select) -> usize {
    match select {
        Select::Nth(place) => place.min(choices.len().saturating_sub(1)),
        Select::Tier(most) => {
            let tiers = choices.iter().map(Choice::tier);
            let highest = tiers.filter(|&tier| tier <= most).max().unwrap_or_default();
            choices.iter().position(|choice| choice.tier() == highest).unwrap_or(0)
        }
    }
}

pub(super) fn choose(op: &dyn Op, shapes: &Shapes, device: &Capabilities, select: Select) -> Result<Choice> {
    let mut choices = runnable(op, shapes, device)?;
    Ok(choices.swap_remove(place(&choices, select)))
}

/// A choice for each op of a graph.
pub(super) fn choose_all(graph: &Graph, device: &Capabilities, select: Select) -> Result<Vec<Choice>> {
    graph.nodes.iter().map(|node| choose(&*node.op, &node.shapes, device, select)).collect()
}
