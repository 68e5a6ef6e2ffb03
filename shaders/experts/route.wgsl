// First kernel of `routed_experts`: norms each token's row, logits[e] = row . weight[e] + bias[e] + difficulty *
// difficulty_weight[e], then chooses the token's experts and lists their entries as lib/top_k.wgsl says.
//
// Tiling: a workgroup takes a block of tokens, 32 at a time, eight threads a token, which read its row side by side, once
// for the norm and once for every four experts. The rows' factors are left for the first product.
// Bindings: params, x, modulation, weight, bias, difficulty, difficulty_weight, cost_bias, routes.
// Grid: one workgroup per block, flat.
#import lib/top_k.wgsl
#import lib/grid.wgsl
#import lib/normed.wgsl

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> modulation: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> difficulty: array<f32>;
@group(0) @binding(6) var<storage, read> difficulty_weight: array<f32>;
@group(0) @binding(7) var<storage, read> cost_bias: array<f32>;
@group(0) @binding(8) var<storage, read_write> routes: array<u32>;

#import lib/load_fours.wgsl load=load_x buffer=x
#import lib/load_fours.wgsl load=load_modulation buffer=modulation
#import lib/load_fours.wgsl load=load_weight buffer=weight
#import lib/row_inverse.wgsl load=load_x

const THREADS: u32 = 256u;
// Of a token.
const LANES: u32 = 8u;
const CHUNK: u32 = THREADS / LANES;
// The most experts that workgroup memory has room for.
const MAX_ROUTED: u32 = 64u;

var<workgroup> partial: array<vec4<f32>, THREADS>;
// [CHUNK, experts]
var<workgroup> logits: array<f32, CHUNK * MAX_ROUTED>;

fn logit_of(row: u32, expert: u32) -> f32 {
    return logits[row + expert];
}

// The sums of what a token's threads have, for each of them.
fn total(thread: u32, value: vec4<f32>) -> vec4<f32> {
    workgroupBarrier();
    partial[thread] = value;
    workgroupBarrier();
    var sum = vec4(0.0);
    for (var i = 0u; i < LANES; i += 1u) {
        sum += partial[thread / LANES * LANES + i];
    }
    return sum;
}

// Of the expert's weight with a token's four.
fn product_of(expert: u32, four: u32, row: vec4<f32>) -> f32 {
    return dot(load_weight(min(expert, params.experts - 1u) * params.dim, four, params.dim), row);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_group(group, groups);
    if block >= params.blocks {
        return;
    }
    let experts = params.experts;
    begin_lists(thread, experts);
    let lane = thread % LANES;
    let fours = params.dim / 4u;
    let end = min((block + 1u) * params.block, params.tokens);
    for (var first = block * params.block; first < end; first += CHUNK) {
        // Tokens past the end repeat the last.
        let token = min(first + thread / LANES, end - 1u);
        let start = (params.first + token) * params.dim;
        var squares = vec4(0.0);
        // All threads go round as often: FXC takes what differs between them for different behind the loop, too.
        for (var k = 0u; k < fours; k += LANES) {
            let elements = load_x(start, min(k + lane, fours - 1u), params.dim);
            squares += select(vec4(0.0), elements * elements, k + lane < fours);
        }
        let sums = total(thread, squares);
        let inverse = row_inverse(start, params.dim, sums.x + sums.y + sums.z + sums.w, params.eps);
        if lane == 0u {
            routes[params.inverses + token] = bitcast<u32>(inverse);
        }
        for (var e = 0u; e < experts; e += 4u) {
            var products = vec4(0.0);
            for (var k = 0u; k < fours; k += LANES) {
                let four = min(k + lane, fours - 1u);
                let gain = load_modulation(params.gain_offset, four, params.dim);
                let shift = load_modulation(params.shift_offset, four, params.dim);
                let element = normed(load_x(start, four, params.dim), inverse, gain, shift);
                let row = select(vec4(0.0), element, k + lane < fours);
                products += vec4(
                    product_of(e, four, row),
                    product_of(e + 1u, four, row),
                    product_of(e + 2u, four, row),
                    product_of(e + 3u, four, row),
                );
            }
            let sum = total(thread, products);
            let expert = e + lane;
            if lane < 4u && expert < params.experts {
                let shift = bias[expert] + difficulty[params.first + token] * difficulty_weight[expert];
                logits[thread / LANES * params.experts + expert] = sum[lane] + shift;
            }
        }
        begin_chunk(thread, experts);
        let chosen = first + thread;
        if thread < CHUNK && chosen < end {
            choose(thread * params.experts, chosen, thread);
        }
        workgroupBarrier();
        if thread < CHUNK && chosen < end {
            list(block, chosen, thread);
        }
        end_chunk(thread, experts);
    }
    end_lists(block, thread, experts);
}
