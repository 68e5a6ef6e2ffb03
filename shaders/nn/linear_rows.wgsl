// linear for few rows (a time embedding, its modulation), where a tile would be mostly empty.
//
// Tiling: a workgroup computes 64 columns of one row, one a thread. Neighbouring threads read neighbouring elements of
// the weight; workgroup memory hands each thread those of its own column, k in slices of 32. Rows lie at an odd
// distance there, so that threads read from different banks. Sums are those of nn/linear bit by bit.
// Bindings: as nn/linear. Grid: one workgroup for each row and 64 columns, flat, columns fastest.
#import lib/linear.wgsl held=One loads=load_ones saves=save_ones

const THREADS: u32 = 64u;
const DEPTH: u32 = 32u;
const PITCH: u32 = DEPTH + 1u;
const LINES: u32 = THREADS / DEPTH;

var<workgroup> tile: array<f32, THREADS * PITCH>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (params.n + THREADS - 1u) / THREADS;
    let index = flat_group(group, groups);
    let row = index / blocks;
    let column0 = index % blocks * THREADS;
    if row >= params.m {
        return;
    }
    let last = params.n - 1u;
    var sum = 0.0;
    for (var k0 = 0u; k0 < params.k; k0 += DEPTH) {
        let k = min(k0 + thread % DEPTH, params.k - 1u);
        for (var line = thread / DEPTH; line < THREADS; line += LINES) {
            tile[line * PITCH + thread % DEPTH] = weight[min(column0 + line, last) * params.k + k];
        }
        workgroupBarrier();
        let end = min(DEPTH, params.k - k0);
        for (var d = 0u; d < end; d += 1u) {
            sum = fma(x[row * params.k + k0 + d], tile[thread * PITCH + d], sum);
        }
        workgroupBarrier();
    }
    tile[thread] = sum;
    workgroupBarrier();
    if thread % 4u == 0u {
        let sums = vec4(tile[thread], tile[thread + 1u], tile[thread + 2u], tile[thread + 3u]);
        finish(row, column0 + thread, sums);
    }
}
