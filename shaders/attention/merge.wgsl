// attention, merge: combines the partial results of global_rows, each weighted by its sum at the common maximum, and
// writes the global rows of out and lse.
//
// Bindings: params, partial_out [splits, B, G, H, Dh], partial_state [splits, B, G, H, 2], globals, lengths, out, lse.
// Grid: one thread per element of [B, G, H, Dh], 128 a workgroup, flat.
#import lib/attention.wgsl

@group(0) @binding(1) var<storage, read> partial_out: array<f32>;
@group(0) @binding(2) var<storage, read> partial_state: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> globals: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

const THREADS: u32 = 128u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let rows = params.batch * params.globals * params.heads;
    let index = flat_group(group, groups) * THREADS + thread;
    let row = index / params.head_dim;
    let d = index % params.head_dim;
    if row >= rows {
        return;
    }
    let batch = row / params.heads / params.globals;
    let position = globals[row / params.heads % params.globals];
    if position >= sequence_length(batch) {
        return;
    }
    var top = MASKED;
    for (var split = 0u; split < params.splits; split += 1u) {
        top = max(top, partial_state[split * rows + row].x);
    }
    var total = 0.0;
    var sum = 0.0;
    for (var split = 0u; split < params.splits; split += 1u) {
        let part = partial_state[split * rows + row];
        let weight = exp(part.x - top) * part.y;
        total += weight;
        sum += weight * partial_out[(split * rows + row) * params.head_dim + d];
    }
    let at = query_row(batch, position, row % params.heads);
    out[at * params.head_dim + d] = sum / total;
    if d == 0u {
        lse[at] = top + log(total);
    }
}
