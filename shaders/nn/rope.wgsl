// rope: rotary positions (Su et al. 2021) on neighbouring pairs of the first dims of each head.
//
// Tiling: one thread per element, which reads its pair and the pair's cosine and sine; everything is read once, so
// there is nothing to share.
// Bindings: params, x [rows, dim], table [table_rows, rotary_dim / 2] of (cos, sin), y [rows, dim]; row r of x turns
// by row r % table_rows of the table. Grid: flat over the elements.
#import lib/grid.wgsl

struct Params {
    // Elements of x.
    count: u32,
    dim: u32,
    head_dim: u32,
    rotary_dim: u32,
    table_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const THREADS: u32 = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups) * THREADS + thread;
    if index >= params.count {
        return;
    }
    let within = index % params.dim % params.head_dim;
    var value = x[index];
    if within < params.rotary_dim {
        let row = index / params.dim % params.table_rows;
        let turn = table[row * (params.rotary_dim / 2u) + within / 2u];
        if within % 2u == 0u {
            value = value * turn.x - x[index + 1u] * turn.y;
        } else {
            value = x[index - 1u] * turn.y + value * turn.x;
        }
    }
    y[index] = value;
}
