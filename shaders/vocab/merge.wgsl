// vocab_expectation, second part: adds up what vocab/expectation left for each split of the vocabulary.
//   entropy = log1p(tail) - t / (1 + tail), both terms positive.
//
// Tiling: a workgroup makes one row; its threads share the splits, then the columns.
// Bindings: params, partial_x0 [splits, rows, embed_dim], state [splits, rows]: bits of max, tail and t, and the arg-max,
// x0 [rows, embed_dim], lse, entropy, token [rows].
// Grid: one workgroup per row, flat. At most MAX_SPLITS splits.
#import lib/grid.wgsl
#import lib/log.wgsl

struct Params {
    rows: u32,
    embed_dim: u32,
    splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial_x0: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x0: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> entropy: array<f32>;
@group(0) @binding(6) var<storage, read_write> token: array<u32>;

const THREADS: u32 = 64u;
const MAX_SPLITS: u32 = 256u;

// Maximum, tail and t of each split.
var<workgroup> parts: array<vec3<f32>, MAX_SPLITS>;
// e^(maximum of the split - maximum of the row).
var<workgroup> factors: array<f32, MAX_SPLITS>;

// How far the maximum of a split is below that of the row. At -200 exp is 0 in f32: bounded, so that 0 times infinity
// does not arise.
fn shift(split: u32, best: f32) -> f32 {
    return max(parts[split].x - best, -200.0);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.rows {
        return;
    }
    for (var s = thread; s < params.splits; s += THREADS) {
        parts[s] = bitcast<vec3<f32>>(state[s * params.rows + row].xyz);
    }
    workgroupBarrier();
    // Token ids rise from split to split, so the first of several equal ones is the lowest.
    var winner = 0u;
    var best = parts[0].x;
    for (var s = 1u; s < params.splits; s += 1u) {
        if parts[s].x > best {
            best = parts[s].x;
            winner = s;
        }
    }
    for (var s = thread; s < params.splits; s += THREADS) {
        factors[s] = exp(shift(s, best));
    }
    workgroupBarrier();
    var tail = parts[winner].y;
    var t = parts[winner].z;
    for (var s = 0u; s < params.splits; s += 1u) {
        if s != winner {
            tail += factors[s] * (1.0 + parts[s].y);
            t += factors[s] * (parts[s].z + (1.0 + parts[s].y) * shift(s, best));
        }
    }
    for (var column = thread; column < params.embed_dim; column += THREADS) {
        var sum = 0.0;
        for (var s = 0u; s < params.splits; s += 1u) {
            sum += factors[s] * partial_x0[(s * params.rows + row) * params.embed_dim + column];
        }
        x0[row * params.embed_dim + column] = sum / (1.0 + tail);
    }
    if thread == 0u {
        lse[row] = best + log1p(tail);
        entropy[row] = row_entropy(tail, t);
        token[row] = state[winner * params.rows + row].w;
    }
}
