// time_embedding: cosines, then sines, of gamma times each frequency.
//
// Tiling: one thread per frequency.
// Bindings: params, step (gamma first), frequencies [half], features [2 half]. Grid: flat over the frequencies.
#import lib/grid.wgsl
#import lib/trig.wgsl

struct Params {
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> features: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let j = flat_group(group, groups) * THREADS + thread;
    if j >= params.half {
        return;
    }
    let point = cos_sin(step[0] * frequencies[j]);
    features[j] = point.x;
    features[params.half + j] = point.y;
}
