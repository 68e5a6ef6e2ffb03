// softcap: y = cap tanh(x / cap), which keeps scores within (-cap, cap) and changes small ones little (Gemma 2, 2024).
//
// Tiling: one thread an element. Bindings: params, x [..], y like x. Grid: elements, flat, folded into two dimensions.
struct Params {
    count: u32,
    cap: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * THREADS + thread;
    if i >= params.count {
        return;
    }
    let u = x[i] / params.cap;
    // Below this tanh u is u to the last digit, and above it the quotient has lost none. e^-2|u| never overflows.
    let e = exp(-2.0 * abs(u));
    let large = sign(u) * (1.0 - e) / (1.0 + e);
    let square = u * u;
    let small = u * (1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 + square * (-17.0 / 315.0))));
    y[i] = params.cap * select(large, small, abs(u) < 0.1);
}
