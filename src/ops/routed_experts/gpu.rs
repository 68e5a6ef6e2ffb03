//! The dispatches of `routed_experts`: four where one kernel norms and routes, else those of its three ops.

use bytemuck::Zeroable;

use super::{
    COST_BIAS, COUNTS, D, DIFFICULTY, DIFFICULTY_WEIGHT, DOWN, GATE, INDICES, MODULATION, OUT, Parts, ROUTER,
    ROUTER_BIAS, RoutedExperts, UP, X,
};
use crate::Result;
use crate::gpu::{Capabilities, Kernel, shaders};
use crate::op::{Choice, Dispatch, Grid, Op, Place, Shapes};
use crate::ops::experts::gpu::{Call, NORMED, Params};

/// Norms, routes and lists.
const ROUTE: Kernel =
    Kernel::core(shaders::EXPERTS_ROUTE, Params::FIELDS, &[false, false, false, false, false, false, false, true]);
/// Every variant; those of the three ops are theirs.
pub(super) const KERNELS: &[&[Kernel]] = &[&[ROUTE], &NORMED.kernels()];

/// The most experts that [`ROUTE`] has room for.
const MAX_ROUTED: usize = shaders::experts_route::MAX_ROUTED as usize;

pub(super) fn choices(op: &RoutedExperts, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let widths = op.widths.iter().map(|&width| width as usize);
    let sizes = [shapes.size(D), op.shift_offset, op.scale_offset].into_iter().chain(widths);
    let one =
        shapes.has(MODULATION) && op.widths.len() <= MAX_ROUTED && sizes.into_iter().all(|size| size.is_multiple_of(4));
    let mut choices = if one { routed(op, shapes, device)? } else { Vec::new() };
    choices.push(in_turn(op, shapes, device)?);
    Ok(choices)
}

fn routed(op: &RoutedExperts, shapes: &Shapes, device: &Capabilities) -> Result<Vec<Choice>> {
    let experts = op.experts();
    let mut params = Params::zeroed();
    params.cost_bias = shapes.has(COST_BIAS).into();
    params.residual = 1;
    params.scale = 1;
    params.scale_offset = shapes.index32("gate_offset", op.gate_offset)?;
    params.eps = op.eps;
    params.shift_offset = shapes.index32("shift_offset", op.shift_offset)?;
    params.gain_offset = shapes.index32("scale_offset", op.scale_offset)?;
    let route = [X, MODULATION, ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT, COST_BIAS];
    let call = Call {
        op: &experts,
        shapes,
        family: NORMED,
        params,
        router: ROUTE,
        chunk: shaders::experts_route::CHUNK as usize,
        inputs: route.map(Into::into).into(),
        x: X.into(),
        weights: [GATE, UP, DOWN].map(Into::into),
        modulation: Some(MODULATION.into()),
        residual: X.into(),
        scale: MODULATION.into(),
        outputs: [OUT, INDICES, COUNTS].map(Into::into),
    };
    call.choices(device)
}

/// The three ops one after another, each by its first choice.
fn in_turn(op: &RoutedExperts, shapes: &Shapes, device: &Capabilities) -> Result<Choice> {
    let Parts { norm, router, experts } = op.parts(shapes)?;
    let mut choice = Choice::new();
    let h = Place::from(choice.scratch(norm.1.outputs[0].clone()));
    let logits = Place::from(choice.scratch(router.1.outputs[0].clone()));
    let [weight, bias, difficulty, by_difficulty] =
        [ROUTER, ROUTER_BIAS, DIFFICULTY, DIFFICULTY_WEIGHT].map(Place::from);
    append(&mut choice, norm.0.choices(&norm.1, device)?, &[X.into(), MODULATION.into()], &[h]);
    let inputs = [h, weight, bias, difficulty, by_difficulty];
    append(&mut choice, router.0.choices(&router.1, device)?, &inputs, &[logits]);
    let [gate, up, down, cost_bias, scale] = [GATE, UP, DOWN, COST_BIAS, MODULATION].map(Place::from);
    let inputs = [h, logits, gate, up, down, cost_bias, X.into(), scale];
    append(&mut choice, experts.0.choices(&experts.1, device)?, &inputs, &[OUT, INDICES, COUNTS].map(Into::into));
    Ok(choice)
}

/// Appends the first choice of another op, whose values are here at these places.
fn append(choice: &mut Choice, others: Vec<Choice>, inputs: &[Place], outputs: &[Place]) {
    let Some(other) = others.into_iter().next() else { return };
    let first = choice.scratch.len();
    let moved = |place: Place| match place {
        Place::Input(index, offset) => inputs[index].behind(offset as usize / 4),
        Place::Output(index, offset) => outputs[index].behind(offset as usize / 4),
        Place::Scratch(index, offset) => Place::Scratch(first + index, offset),
    };
    choice.scratch.extend(other.scratch);
    choice.dispatches.extend(other.dispatches.into_iter().map(|dispatch| Dispatch {
        buffers: dispatch.buffers.iter().copied().map(moved).collect(),
        grid: match dispatch.grid {
            Grid::Groups(groups) => Grid::Groups(groups),
            Grid::Indirect(place) => Grid::Indirect(moved(place)),
        },
        ..dispatch
    }));
}
