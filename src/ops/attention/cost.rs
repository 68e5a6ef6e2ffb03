//! How many pairs a pattern has.

use super::{Attention, Pattern};

/// At least as many as [`dilated_distances`] lists.
pub(super) fn most_distances(pattern: &Pattern, rows: usize) -> usize {
    let Pattern::Hsa { dilations, .. } = pattern else { return 0 };
    dilations.iter().map(|&(r, k)| k.min(rows.saturating_sub(1) / r)).sum()
}

/// The distances above the window that dilations reach within `rows` positions, ascending.
pub(super) fn dilated_distances(window: usize, dilations: &[(usize, usize)], rows: usize) -> Vec<usize> {
    let mut distances = Vec::new();
    for &(r, k) in dilations {
        let first = (window / r).saturating_add(1);
        let last = k.min(rows.saturating_sub(1) / r);
        distances.extend((first..=last).map(|m| r * m));
    }
    distances.sort_unstable();
    distances.dedup();
    distances
}

/// Pairs (query, key) of one sequence of `rows` whose first `globals` positions are global.
pub(super) fn pairs(op: &Attention, rows: usize, globals: usize) -> f64 {
    let n = rows as f64;
    let pairs = related(&op.pattern, rows, globals);
    // Each position sees itself, and of two that are related the later one sees the earlier.
    if op.causal { (pairs + n) / 2.0 } else { pairs }
}

/// The same without a causal mask.
fn related(pattern: &Pattern, rows: usize, globals: usize) -> f64 {
    let n = rows as f64;
    let Pattern::Hsa { window, dilations } = pattern else { return n * n };
    let ordinary = rows - globals;
    // Both directions of each distance; distance 0 once.
    let at = |distance: usize| 2.0 * ordinary.saturating_sub(distance) as f64;
    let width = (*window).min(ordinary.saturating_sub(1)) as f64;
    let rest = ordinary as f64;
    let local = rest + width * (2.0 * rest - width - 1.0);
    let dilated: f64 = dilated_distances(*window, dilations, ordinary).into_iter().map(at).sum();
    local + dilated + globals as f64 * (n + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drdiff_reference::attention::{Pattern as Oracle, sees};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_what_the_reference_sees(
            (rows, globals) in (1_usize..60).prop_flat_map(|rows| (Just(rows), 0..=rows)),
            window in 0_usize..70,
            dilations in proptest::collection::vec((1_usize..70, 0_usize..20), 0..4),
            (dense, causal) in proptest::bool::ANY.prop_flat_map(|dense| (Just(dense), proptest::bool::ANY)),
        ) {
            let list: Vec<u32> = (0..globals as u32).collect();
            let oracle = Oracle { dense, window, dilations: dilations.clone(), causal };
            let all = (0..rows).flat_map(|i| (0..rows).map(move |j| (i, j)));
            let seen = all.filter(|&(i, j)| sees(&oracle, &list, i, j)).count();
            let pattern = if dense { Pattern::Dense } else { Pattern::Hsa { window, dilations } };
            prop_assert_eq!(pairs(&Attention { pattern, causal, ..Default::default() }, rows, globals), seen as f64);
        }
    }
}
