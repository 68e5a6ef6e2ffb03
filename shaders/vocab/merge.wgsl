// vocab_expectation, second part: adds up what vocab/expectation left for each split of the vocabulary.
//
// Tiling: a workgroup makes one row; its threads share the splits, then the columns.
// Bindings: params, partial_x0 [splits, rows, embed_dim], partial_best [splits, rows], partial_sums
// [splits, rows, 2] (tail, t), partial_token [splits, rows], x0 [rows, embed_dim], lse, entropy, token [rows].
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
@group(0) @binding(2) var<storage, read> partial_best: array<f32>;
@group(0) @binding(3) var<storage, read> partial_sums: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> partial_token: array<u32>;
@group(0) @binding(5) var<storage, read_write> x0: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<storage, read_write> entropy: array<f32>;
@group(0) @binding(8) var<storage, read_write> token: array<u32>;

const THREADS: u32 = 64u;
const MAX_SPLITS: u32 = THREADS;

// e^(maximum of the split - maximum of the row).
var<workgroup> factors: array<f32, MAX_SPLITS>;

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
    // Token ids rise from split to split, so the first of several equal ones is the lowest.
    var winner = 0u;
    var best = partial_best[row];
    for (var s = 1u; s < params.splits; s += 1u) {
        let other = partial_best[s * params.rows + row];
        if other > best {
            best = other;
            winner = s;
        }
    }
    if thread < params.splits {
        factors[thread] = exp(max(partial_best[thread * params.rows + row] - best, -200.0));
    }
    workgroupBarrier();
    var tail = partial_sums[winner * params.rows + row].x;
    var t = partial_sums[winner * params.rows + row].y;
    for (var s = 0u; s < params.splits; s += 1u) {
        if s != winner {
            let sums = partial_sums[s * params.rows + row];
            let shift = max(partial_best[s * params.rows + row] - best, -200.0);
            tail += factors[s] * (1.0 + sums.x);
            t += factors[s] * (sums.y + (1.0 + sums.x) * shift);
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
        token[row] = partial_token[winner * params.rows + row];
    }
}
