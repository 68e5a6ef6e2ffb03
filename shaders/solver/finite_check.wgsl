// finite_check: counts the rows of an evaluation that hold a value which is not finite, for the first evaluation with
// any: report = [that evaluation, its rows], from [2^32 - 1, 0] at the start of a run.
//
// All values are read as words: WGSL lets a compiler assume floats away that are NaN or infinite, never bits.
// Evaluations come in rising order, so the minimum with an earlier one tells that this one is not the first.
// Tiling: a workgroup looks at one row, its 64 threads at every 64th element.
// Bindings: params, step, x0 and z [batch, rows, embed_dim], lse and entropy [batch, rows], h [batch, rows, dim],
// lengths [batch] (rows of each sequence; padding is not looked at), report [2]. Grid: one workgroup per row, flat.
#import lib/grid.wgsl
#import lib/step.wgsl

struct Params {
    batch: u32,
    rows: u32,
    embed_dim: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> x0: array<u32>;
@group(0) @binding(3) var<storage, read> z: array<u32>;
@group(0) @binding(4) var<storage, read> lse: array<u32>;
@group(0) @binding(5) var<storage, read> entropy: array<u32>;
@group(0) @binding(6) var<storage, read> h: array<u32>;
@group(0) @binding(7) var<storage, read> lengths: array<u32>;
@group(0) @binding(8) var<storage, read_write> report: array<atomic<u32>, 2>;

const THREADS: u32 = 64u;
const EXPONENT: u32 = 0x7f800000u;

var<workgroup> found: atomic<u32>;

fn finite(word: u32) -> bool {
    return (word & EXPONENT) != EXPONENT;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Workgroup memory holds anything at the start.
    if thread == 0u {
        atomicStore(&found, 0u);
    }
    workgroupBarrier();
    let row = flat_group(group, groups);
    let sequence = min(row / params.rows, params.batch - 1u);
    if row < params.batch * params.rows && row % params.rows < lengths[sequence] {
        var all_finite = finite(lse[row]) && finite(entropy[row]);
        for (var d = thread; d < params.embed_dim; d += THREADS) {
            let at = row * params.embed_dim + d;
            all_finite = all_finite && finite(x0[at]) && finite(z[at]);
        }
        for (var d = thread; d < params.dim; d += THREADS) {
            all_finite = all_finite && finite(h[row * params.dim + d]);
        }
        if !all_finite {
            atomicStore(&found, 1u);
        }
    }
    workgroupBarrier();
    if thread == 0u && atomicLoad(&found) != 0u {
        let evaluation = u32(step.evaluation);
        if atomicMin(&report[0], evaluation) >= evaluation {
            atomicAdd(&report[1], 1u);
        }
    }
}
