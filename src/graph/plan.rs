//! Memory of a graph: which temporary values may share a slot.
//!
//! WebGPU forbids one buffer to be read and written in the same dispatch, even in disjoint ranges, so an arena
//! here is a set of slots, each a buffer of its own, rather than ranges of one buffer.

use super::choose::{Select, choose_all};
use super::{Graph, Source};
use crate::Result;
use crate::gpu::Capabilities;
use crate::op::Choice;

/// A temporary: a value that an op writes, or an op's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Bytes it takes.
    pub bytes: u64,
    /// The op that writes it.
    pub first: usize,
    /// The last op that reads it.
    pub last: usize,
}

impl Lifetime {
    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Slots for the temporaries of a graph.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Temporaries, values first (in order of value), then scratch (in order of op).
    pub lifetimes: Vec<Lifetime>,
    /// The slot of each temporary.
    pub assignment: Vec<usize>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
    /// Index into `lifetimes` of each value, where it is temporary.
    pub(crate) value: Vec<Option<usize>>,
    /// Index into `lifetimes` of the first scratch of each op.
    pub(crate) scratch: Vec<usize>,
    /// Bytes of states and kept values.
    pub persistent: u64,
    /// Bytes of constants.
    pub constants: u64,
}

impl Plan {
    /// Plans `graph` and the working memory of `choices`, one for each op; none on the host, where ops allocate their own.
    pub fn new(graph: &Graph, choices: &[Choice]) -> Self {
        let mut last = vec![0; graph.values.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            for value in node.inputs.iter().flatten().chain(&node.outputs) {
                last[value.index()] = index;
            }
        }
        let mut plan = Self::default();
        for (info, &last) in graph.values.iter().zip(&last) {
            match &info.source {
                Source::Op(first) if !info.kept => {
                    plan.value.push(Some(plan.lifetimes.len()));
                    plan.lifetimes.push(Lifetime { bytes: info.desc.bytes(), first: *first, last });
                }
                Source::Constant(_) => {
                    plan.constants = plan.constants.saturating_add(info.desc.bytes());
                    plan.value.push(None);
                }
                _ => {
                    plan.persistent = plan.persistent.saturating_add(info.desc.bytes());
                    plan.value.push(None);
                }
            }
        }
        for (index, choice) in choices.iter().enumerate() {
            plan.scratch.push(plan.lifetimes.len());
            for desc in &choice.scratch {
                let bytes = desc.bytes();
                plan.lifetimes.push(Lifetime { bytes, first: index, last: index });
            }
        }
        (plan.assignment, plan.slots) = assign(&plan.lifetimes);
        plan
    }

    /// The plan of a graph on a GPU that takes the first choice of kernels of each op.
    ///
    /// # Errors
    /// If an op has no kernels for its shapes.
    pub fn on(graph: &Graph, device: &Capabilities) -> Result<Self> {
        Ok(Self::new(graph, &choose_all(graph, device, Select::Nth(0))?))
    }

    /// Bytes of all slots: what the temporaries take.
    pub fn peak(&self) -> u64 {
        self.slots.iter().fold(0, |sum: u64, &bytes| sum.saturating_add(bytes))
    }

    /// The largest sum of temporaries alive at one op: no plan can take less.
    pub fn lower_bound(&self) -> u64 {
        let ops = self.lifetimes.iter().map(|lifetime| lifetime.last + 1).max().unwrap_or(0);
        let mut change = vec![0_i128; ops + 1];
        for lifetime in &self.lifetimes {
            change[lifetime.first] += i128::from(lifetime.bytes);
            change[lifetime.last + 1] -= i128::from(lifetime.bytes);
        }
        let sums = change.iter().scan(0_i128, |sum, change| {
            *sum += change;
            Some(*sum)
        });
        sums.max().and_then(|most| u64::try_from(most).ok()).unwrap_or(0)
    }
}

/// Greedy by size: the largest temporary first, each into the smallest slot that is free for its whole life.
fn assign(lifetimes: &[Lifetime]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(lifetimes[index].bytes), index));
    let mut assignment = vec![0; lifetimes.len()];
    let mut slots: Vec<(u64, Vec<usize>)> = Vec::new();
    for index in order {
        let lifetime = &lifetimes[index];
        let free = |held: &Vec<usize>| held.iter().all(|&other| !lifetimes[other].overlaps(lifetime));
        let best = (0..slots.len()).filter(|&slot| free(&slots[slot].1)).min_by_key(|&slot| slots[slot].0);
        let slot = best.unwrap_or_else(|| {
            slots.push((lifetime.bytes, Vec::new()));
            slots.len() - 1
        });
        slots[slot].1.push(index);
        assignment[index] = slot;
    }
    (assignment, slots.into_iter().map(|(bytes, _)| bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lifetimes() -> impl Strategy<Value = Vec<Lifetime>> {
        let one = (1_u64..5000, 0_usize..40, 0_usize..12);
        proptest::collection::vec(one, 1..80).prop_map(|all| {
            all.into_iter().map(|(bytes, first, more)| Lifetime { bytes, first, last: first + more }).collect()
        })
    }

    proptest! {
        #[test]
        fn no_two_live_values_share_a_slot(lifetimes in lifetimes()) {
            let (assignment, slots) = assign(&lifetimes);
            for (a, left) in lifetimes.iter().enumerate() {
                prop_assert!(left.bytes <= slots[assignment[a]]);
                for (b, right) in lifetimes.iter().enumerate().skip(a + 1) {
                    prop_assert!(assignment[a] != assignment[b] || !left.overlaps(right));
                }
            }
        }

        #[test]
        fn the_peak_is_between_the_bound_and_no_sharing(lifetimes in lifetimes()) {
            let (assignment, slots) = assign(&lifetimes);
            let plan = Plan { lifetimes, assignment, slots, ..Plan::default() };
            let unshared: u64 = plan.lifetimes.iter().map(|lifetime| lifetime.bytes).sum();
            prop_assert!(plan.lower_bound() <= plan.peak() && plan.peak() <= unshared);
        }
    }

    #[test]
    fn a_chain_needs_two_slots() {
        let chain: Vec<_> = (0..6).map(|i| Lifetime { bytes: 8, first: i, last: i + 1 }).collect();
        assert_eq!(assign(&chain).1.len(), 2);
    }
}
