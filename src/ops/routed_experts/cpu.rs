//! `routed_experts` on the CPU: its three ops in turn.

use super::{
    COST_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT, DOWN, GATE, MODULATION, Parts, ROUTER, ROUTER_BIAS, RoutedExperts, UP, X,
};
use crate::host::prepared::Prepared;
use crate::op::{CpuIo, Input, Inputs, Op, Outputs, Shapes};
use crate::{Result, memory};

pub(super) fn run(op: &RoutedExperts, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
    let Parts { norm, router, experts } = op.parts(shapes)?;
    let inputs = &io.inputs;
    let input = |input: Input| (inputs.words[input.index], inputs.prepared(input));
    let own = |words| (Some(words), None);
    let mut h: Vec<u32> = memory::zeroed("the normed rows", norm.1.outputs[0].len())?;
    let mut logits: Vec<u32> = memory::zeroed("the router's logits", router.1.outputs[0].len())?;
    run_part(&norm.0, &norm.1, vec![input(X), input(MODULATION)], vec![&mut h])?;
    let [weight, bias, difficulty, by_difficulty] = [ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT].map(input);
    let routed = vec![own(h.as_slice()), weight, bias, difficulty, by_difficulty];
    run_part(&router.0, &router.1, routed, vec![&mut logits])?;
    let [gate, up, down, cost_bias, scale] = [GATE, UP, DOWN, COST_BIAS, MODULATION].map(input);
    let all = vec![own(h.as_slice()), own(logits.as_slice()), gate, up, down, cost_bias, input(X), scale];
    run_part(&experts.0, &experts.1, all, io.outputs.split::<3>().into())
}

/// An input, and what is kept with it if it is a constant.
type Part<'a> = (Option<&'a [u32]>, Option<&'a Prepared>);

fn run_part(op: &impl Op, shapes: &Shapes, inputs: Vec<Part<'_>>, outputs: Vec<&mut [u32]>) -> Result<()> {
    let (words, prepared) = inputs.into_iter().unzip();
    let inputs = Inputs { words, prepared };
    op.run_cpu(shapes, &mut CpuIo { inputs, outputs: Outputs(outputs), updates: Outputs(Vec::new()) })
}
