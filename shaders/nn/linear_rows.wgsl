// linear for few rows (a time embedding, its modulation), where a 64 x 64 tile would be mostly empty.
//
// Tiling: a workgroup computes 8 columns of one row; 8 threads share a column's K and add up in workgroup memory.
// Bindings: as nn/linear. Grid: one workgroup for each row and 8 columns, flat, columns fastest.
#import lib/linear.wgsl

const COLUMNS: u32 = 8u;
// Threads of a column.
const SHARES: u32 = 8u;
const THREADS: u32 = COLUMNS * SHARES;

var<workgroup> partial: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (params.n + COLUMNS - 1u) / COLUMNS;
    let index = flat_group(group, groups);
    let row = index / blocks;
    let column = index % blocks * COLUMNS + thread / SHARES;
    let inside = row < params.m && column < params.n;
    var sum = 0.0;
    if inside {
        for (var k = thread % SHARES; k < params.k; k += SHARES) {
            sum += x[row * params.k + k] * weight[column * params.k + k];
        }
    }
    partial[thread] = sum;
    workgroupBarrier();
    if inside && thread % SHARES == 0u {
        var total = 0.0;
        for (var i = 0u; i < SHARES; i += 1u) {
            total += partial[thread + i];
        }
        store(row, column, total);
    }
}
