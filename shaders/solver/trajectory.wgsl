// solver: one step of DPM-Solver++ on a given sequence of predictions, within a buffer that holds the whole trajectory.
//
//   trajectory[s + 1] = c_x trajectory[s] + c_x0 x0[s] + c_prev x0[s - 1];  with `start`, trajectory[0] = x.
//
// Tiling: one thread per element; one dispatch per step. Bindings: params, x, x0, trajectory. Grid: flat.
#import lib/grid.wgsl

struct Params {
    size: u32,
    step: u32,
    start: u32,
    c_x: f32,
    c_x0: f32,
    c_prev: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> x0: array<f32>;
@group(0) @binding(3) var<storage, read_write> trajectory: array<f32>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups) * THREADS + thread;
    if i >= params.size {
        return;
    }
    if params.start != 0u {
        trajectory[i] = x[i];
        return;
    }
    let at = params.step * params.size + i;
    var next = params.c_x * trajectory[at] + params.c_x0 * x0[at];
    if params.step > 0u {
        next += params.c_prev * x0[at - params.size];
    }
    trajectory[at + params.size] = next;
}
