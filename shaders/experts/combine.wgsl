// out = residual + scale * (sum over a token's choices of gate * expert output), most probable first.
//
// A gate of 0 (an expert of width 0) has no output to read; compared as bits, so that a gate of NaN comes through.
// Bindings: params, y, gates, residual, scale, out. Grid: one thread per element, 256 a workgroup, flat.
#import lib/experts.wgsl
#import lib/grid.wgsl

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const THREADS: u32 = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups) * THREADS + thread;
    if index >= params.tokens * params.dim {
        return;
    }
    let token = index / params.dim;
    let column = index % params.dim;
    var sum = 0.0;
    for (var entry = token * params.top_k; entry < (token + 1u) * params.top_k; entry += 1u) {
        let gate = gates[entry];
        if bitcast<u32>(gate) != 0u {
            sum += gate * y[entry * params.dim + column];
        }
    }
    if params.scale != 0u {
        sum *= scale[params.scale_offset + column];
    }
    let at = params.first * params.dim + index;
    if params.residual != 0u {
        sum += residual[at];
    }
    out[at] = sum;
}
