// router: logits[n, e] = x[n] . weight[e] + bias[e] + difficulty[n] * difficulty_weight[e], for few experts e.
//
// Tiling: a workgroup computes 32 tokens x 8 experts, dim in slices of 32 through workgroup memory; each of its 64
// threads keeps the sums of 4 tokens for one expert. x is most of the memory traffic and is read once for every 8
// experts.
// Bindings: params, x, weight, bias, difficulty, difficulty_weight, logits.
// Grid: one workgroup per tile, flat, experts fastest.
#import lib/grid.wgsl

struct Params {
    tokens: u32,
    dim: u32,
    experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> difficulty: array<f32>;
@group(0) @binding(5) var<storage, read> difficulty_weight: array<f32>;
@group(0) @binding(6) var<storage, read_write> logits: array<f32>;

const TOKENS: u32 = 32u;
const EXPERTS: u32 = 8u;
const DEPTH: u32 = 32u;
const THREADS: u32 = TOKENS / 4u * EXPERTS;
// From one place of dim to the next; one more than there are, against bank conflicts.
const TOKEN_STRIDE: u32 = TOKENS / 4u + 1u;
const EXPERT_STRIDE: u32 = EXPERTS + 1u;

// Vectors of 4 tokens at one place of dim.
var<workgroup> x_tile: array<vec4<f32>, DEPTH * TOKEN_STRIDE>;
var<workgroup> weight_tile: array<f32, DEPTH * EXPERT_STRIDE>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (params.experts + EXPERTS - 1u) / EXPERTS;
    let tile = flat_group(group, groups);
    let token0 = tile / columns * TOKENS;
    let expert0 = tile % columns * EXPERTS;
    if token0 >= params.tokens {
        return;
    }
    let depth = thread % DEPTH;
    var sums = vec4(0.0);
    for (var k0 = 0u; k0 < params.dim; k0 += DEPTH) {
        let k = k0 + depth;
        let inside = k < params.dim;
        // Tokens and experts past the end repeat the last.
        for (var line = thread / DEPTH; line < TOKENS / 4u; line += THREADS / DEPTH) {
            let four = min(vec4(token0 + line * 4u) + vec4(0u, 1u, 2u, 3u), vec4(params.tokens - 1u));
            let at = four * params.dim + k;
            var a = vec4(0.0);
            if inside {
                a = vec4(x[at.x], x[at.y], x[at.z], x[at.w]);
            }
            x_tile[depth * TOKEN_STRIDE + line] = a;
        }
        for (var line = thread / DEPTH; line < EXPERTS; line += THREADS / DEPTH) {
            var b = 0.0;
            if inside {
                b = weight[min(expert0 + line, params.experts - 1u) * params.dim + k];
            }
            weight_tile[depth * EXPERT_STRIDE + line] = b;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d += 1u) {
            sums += x_tile[d * TOKEN_STRIDE + thread / EXPERTS] * weight_tile[d * EXPERT_STRIDE + thread % EXPERTS];
        }
        workgroupBarrier();
    }
    let expert = expert0 + thread % EXPERTS;
    if expert >= params.experts {
        return;
    }
    for (var i = 0u; i < 4u; i += 1u) {
        let token = token0 + thread / EXPERTS * 4u + i;
        if token < params.tokens {
            let shift = bias[expert] + difficulty[token] * difficulty_weight[expert];
            logits[token * params.experts + expert] = sums[i] + shift;
        }
    }
}
