// out = residual + scale * (sum over a token's choices of gate * expert output), most probable first; and, out of
// `routes`, the choices and the counts of the experts' tokens.
//
// A gate of 0 (an expert of width 0) has no output to read; compared as bits, so that a gate of NaN comes through.
// Buffers hold elements as `held`; `loads` and `saves` are the files that load and save such.
// Bindings: params, y, residual, scale, routes, out, indices, counts.
// Grid: one thread per four of a token's values, 256 a workgroup, flat.
#parameters held loads saves
#import lib/experts.wgsl
#import lib/grid.wgsl
#import lib/scale.wgsl
#import lib/stored.wgsl

@group(0) @binding(1) var<storage, read> y: array<held>;
@group(0) @binding(2) var<storage, read> residual: array<held>;
@group(0) @binding(4) var<storage, read> routes: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<held>;
@group(0) @binding(6) var<storage, read_write> indices: array<u32>;
@group(0) @binding(7) var<storage, read_write> counts: array<u32>;

#import lib/loads.wgsl load=load_y buffer=y
#import lib/loads.wgsl load=load_residual buffer=residual
#import lib/saves.wgsl save=save_out buffer=out

const THREADS: u32 = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups) * THREADS + thread;
    // A workgroup has as many threads as there can be experts.
    if index < params.experts {
        var count = 0u;
        if params.accumulate != 0u {
            count = counts[index];
        }
        for (var b = 0u; b < params.blocks; b += 1u) {
            count += routes[index * params.blocks + b];
        }
        counts[index] = count;
    }
    let threads = groups.x * groups.y * THREADS;
    for (var entry = index; entry < params.tokens * params.top_k; entry += threads) {
        indices[params.first * params.top_k + entry] = routes[params.choices + entry];
    }
    let fours = (params.dim + 3u) / 4u;
    let token = index / fours;
    let four = index % fours;
    if token >= params.tokens {
        return;
    }
    var sum = vec4(0.0);
    for (var entry = token * params.top_k; entry < (token + 1u) * params.top_k; entry += 1u) {
        let gate = routes[params.gates + entry];
        if gate != 0u {
            sum += bitcast<f32>(gate) * load_y(entry * params.dim, four, params.dim);
        }
    }
    if params.scale != 0u {
        sum *= load_scale(params.scale_offset, four, params.dim);
    }
    let start = (params.first + token) * params.dim;
    if params.residual != 0u {
        sum += load_residual(start, four, params.dim);
    }
    save_out(start, four, params.dim, sum);
}
