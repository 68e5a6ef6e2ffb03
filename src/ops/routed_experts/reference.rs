//! `routed_experts` in f64: its three ops in turn.

use super::{
    COST_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT, DOWN, GATE, MODULATION, Parts, ROUTER, ROUTER_BIAS, RoutedExperts, UP, X,
};
use crate::Result;
use crate::op::{Input, Op, ReferenceData, ReferenceIo, Shapes};

pub(super) fn run(op: &RoutedExperts, shapes: &Shapes, io: &ReferenceIo<'_>) -> Result<Vec<ReferenceData>> {
    let Parts { norm, router, experts } = op.parts(shapes)?;
    let input = |input: Input| io.0[input.index];
    let h = norm.0.run_reference(&norm.1, &ReferenceIo(vec![input(X), input(MODULATION)]))?;
    let h = h.first();
    let [weight, bias, difficulty, by_difficulty] = [ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT].map(input);
    let logits = router.0.run_reference(&router.1, &ReferenceIo(vec![h, weight, bias, difficulty, by_difficulty]))?;
    let [gate, up, down, cost_bias, scale] = [GATE, UP, DOWN, COST_BIAS, MODULATION].map(input);
    let all = vec![h, logits.first(), gate, up, down, cost_bias, input(X), scale];
    experts.0.run_reference(&experts.1, &ReferenceIo(all))
}
