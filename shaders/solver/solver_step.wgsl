// solver_step: one update of the state [B, R, De] in place, with SAS guidance, prompt and soft absorption fused in.
//
//   noisy row:  g = x0 + omega (anchor state - segment mean);  history = g
//               z = c_x z + c_x0 g + c_prev history + (1 - c_x - c_x0 - c_prev) m + c_noise noise
//   clean row:  z stays the embedding it was set to;  history = x0
//   anchor row: z = prediction at a refresh, else z;  history = x0
//
// Tiling: one thread per element of `count` rows from `first` on. With guidance, anchor rows are a dispatch behind the
// text's, which reads the anchor states of before the refresh. The coefficients serve DPM-Solver++ 1 and 2M, and
// ancestral steps.
// Bindings: params, step, z, x0, history, info [B, R] = flag + 4 segment, absorb, prediction, mean [B, A, De], seeds.
#import lib/grid.wgsl
#import lib/step.wgsl
#import lib/trig.wgsl
#import lib/philox.wgsl

struct Params {
    batch: u32,
    rows: u32,
    anchors: u32,
    dim: u32,
    first: u32,
    count: u32,
    // Whether there are a mean and anchors, and seeds: without them omega and c_noise count as 0.
    guided: u32,
    noisy: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@group(0) @binding(3) var<storage, read> x0: array<f32>;
@group(0) @binding(4) var<storage, read_write> history: array<f32>;
@group(0) @binding(5) var<storage, read> info: array<u32>;
@group(0) @binding(6) var<storage, read> absorb: array<f32>;
@group(0) @binding(7) var<storage, read> prediction: array<f32>;
@group(0) @binding(8) var<storage, read> mean: array<f32>;
@group(0) @binding(9) var<storage, read> seeds: array<vec2<u32>>;

const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let count = params.count * params.dim;
    let index = flat_group(group, groups) * THREADS + thread;
    let sequence = index / max(count, 1u);
    if sequence >= params.batch {
        return;
    }
    let within = params.first * params.dim + index % count;
    let at = sequence * params.rows * params.dim + within;
    let row_info = info[sequence * params.rows + within / params.dim];
    let d = within % params.dim;
    let flag = row_info & 3u;
    var guided = x0[at];
    if flag == 0u {
        if params.guided != 0u && step.omega != 0.0 {
            let segment = min(row_info >> 2u, params.anchors - 1u);
            let state = z[(sequence * params.rows + segment) * params.dim + d];
            guided += step.omega * (state - mean[(sequence * params.anchors + segment) * params.dim + d]);
        }
        var noise = 0.0;
        if params.noisy != 0u && step.c_noise != 0.0 {
            let words = philox(vec4(within / 4u, u32(step.stream), 0u, 0u), seeds[sequence]);
            let pair = select(words.xy, words.zw, (within & 2u) != 0u);
            noise = box_muller(pair.x, pair.y)[within & 1u];
        }
        let m = absorb[d];
        z[at] = m + step.c_x * (z[at] - m) + step.c_x0 * (guided - m) + step.c_prev * (history[at] - m)
            + step.c_noise * noise;
    } else if flag == 2u && step.refresh != 0.0 {
        z[at] = prediction[at];
    }
    history[at] = guided;
}
