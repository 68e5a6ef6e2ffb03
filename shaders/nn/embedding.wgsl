// embedding: the rows of a table that ids name; zeros for an id the table does not have.
//
// Tiling: one thread per element.
// Bindings: params, table [vocab, dim], ids [rows], y [rows, dim]. Grid: flat over the elements of y.
#import lib/grid.wgsl

struct Params {
    // Elements of y.
    count: u32,
    dim: u32,
    vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
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
    let id = ids[index / params.dim];
    var value = 0.0;
    if id < params.vocab {
        value = table[id * params.dim + index % params.dim];
    }
    y[index] = value;
}
