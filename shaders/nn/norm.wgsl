// norm: each row divided by the root of its mean square (RMS) or, after subtracting its mean, by its standard
// deviation (layer), then y (1 + scale) + shift (adaLN, Peebles and Xie 2023). Layer norm subtracts the row's first
// value from all others before adding them up: beside a large mean they would lose the digits that their differences
// need.
//
// Tiling: a workgroup makes one row; its threads add up every THREADS-th element, then among themselves.
// Bindings: params, x [rows, dim], modulation (dim values at each offset) or nothing, y [rows, dim].
// Grid: one workgroup per row, flat.
#import lib/grid.wgsl
#import lib/overflowing.wgsl
#import lib/row_sum

struct Params {
    rows: u32,
    dim: u32,
    // 0 RMS, 1 layer, as `NormKind` in src/ops/norm/mod.rs counts them.
    kind: u32,
    eps: f32,
    modulation: u32,
    shift_offset: u32,
    scale_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> modulation: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    lane: Lane,
) {
    let thread = lane.thread;
    let row = flat_group(group, groups);
    if row >= params.rows {
        return;
    }
    let begin = row * params.dim;
    let count = f32(params.dim);
    var origin = 0.0;
    var mean = 0.0;
    if params.kind == 1u {
        origin = x[begin];
        var sum = 0.0;
        for (var d = thread; d < params.dim; d += THREADS) {
            sum += x[begin + d] - origin;
        }
        mean = total(lane, sum) / count;
    }
    var squares = 0.0;
    for (var d = thread; d < params.dim; d += THREADS) {
        let centred = x[begin + d] - origin - mean;
        squares += centred * centred;
    }
    let sum_of_squares = total(lane, squares);
    var inverse = 1.0 / sqrt(sum_of_squares / count + params.eps);
    if sum_of_squares > OVERFLOWING {
        // Each thread by itself, for a barrier may not stand here; hardly a row is so large.
        squares = 0.0;
        for (var d = 0u; d < params.dim; d += 1u) {
            let centred = (x[begin + d] - origin - mean) * SHRINK;
            squares += centred * centred;
        }
        inverse = SHRINK / sqrt(squares / count);
    }
    for (var d = thread; d < params.dim; d += THREADS) {
        var value = (x[begin + d] - origin - mean) * inverse;
        if params.modulation != 0u {
            value = value * (1.0 + modulation[params.scale_offset + d]) + modulation[params.shift_offset + d];
        }
        y[begin + d] = value;
    }
}
