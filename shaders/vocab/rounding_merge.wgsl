// rounding, second part: the best of what vocab/rounding left for each split of the vocabulary.
//
// Tiling: one thread per row. Bindings: params, state [splits, rows]: bits of the largest product, and whose it is,
// token [rows]. Grid: flat.
#import lib/grid.wgsl

struct Params {
    rows: u32,
    splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> token: array<u32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups) * THREADS + thread;
    if row >= params.rows {
        return;
    }
    // Token ids rise from split to split, so the first of several equal ones is the lowest.
    var best = state[row];
    for (var s = 1u; s < params.splits; s += 1u) {
        let other = state[s * params.rows + row];
        if bitcast<f32>(other.x) > bitcast<f32>(best.x) {
            best = other;
        }
    }
    token[row] = best.y;
}
