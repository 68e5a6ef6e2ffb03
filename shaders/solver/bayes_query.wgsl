// bayes_query: (alpha / sigma^2) (z - (1 - alpha) m), whose products with the embeddings are the exact Bayes term.
//
// Tiling: one thread per element. Bindings: params, step, z [rows, De], absorb [De], query. Grid: flat.
#import lib/grid.wgsl
#import lib/step.wgsl

struct Params {
    size: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> absorb: array<f32>;
@group(0) @binding(4) var<storage, read_write> query: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups) * THREADS + thread;
    if i < params.size {
        query[i] = step.bayes_scale * (z[i] - (1.0 - step.alpha) * absorb[i % params.dim]);
    }
}
