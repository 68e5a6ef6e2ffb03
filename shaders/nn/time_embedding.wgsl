// time_embedding: cosines, then sines, of each gamma times each frequency.
//
// Tiling: one thread per angle.
// Bindings: params, gamma [steps], frequencies [half], features [steps, 2 half]. Grid: flat over the angles.
#import lib/grid.wgsl
#import lib/trig.wgsl

struct Params {
    steps: u32,
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> features: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups) * THREADS + thread;
    let row = index / params.half;
    let j = index % params.half;
    if row >= params.steps {
        return;
    }
    let point = cos_sin(gamma[row] * frequencies[j]);
    let out = row * 2u * params.half + j;
    features[out] = point.x;
    features[out + params.half] = point.y;
}
