// Chooses the top_k experts of each token, their gates (softmax of the chosen logits), and counts the choices.
//
// The choice goes by logit - cost_bias, the listing and the gates by the logit alone; the lower index first where
// values tie. Values are compared as integers of the same order, which no handling of NaN or subnormals can upset:
// k scans over the experts, each for the best after the one taken last. WGSL lets the subtraction flush
// subnormals, so differences below 2^-126 may tie. Experts of width 0 get the gate 0.
// Bindings: params, router_logits, cost_bias, indices, gates, histogram [experts, blocks].
// Grid: one thread per token, one workgroup per block of tokens, flat.
#import lib/experts.wgsl
#import lib/grid.wgsl

@group(0) @binding(1) var<storage, read> router_logits: array<f32>;
@group(0) @binding(2) var<storage, read> cost_bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;
@group(0) @binding(4) var<storage, read_write> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> histogram: array<u32>;

const LARGEST: f32 = 3.4028234e38;

struct Candidate {
    key: u32,
    expert: u32,
}

var<workgroup> block_counts: array<atomic<u32>, MAX_EXPERTS>;

// Integers that compare as the floats do: NaN below all, both zeros alike.
fn sort_key(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return 0u;
    }
    if magnitude == 0u {
        return 0x80000000u;
    }
    return select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
}

fn shifted_key(base: u32, expert: u32) -> u32 {
    return sort_key(router_logits[base + expert] - cost_bias[expert]);
}

fn comes_after(key: u32, expert: u32, last: Candidate) -> bool {
    return key < last.key || (key == last.key && expert > last.expert);
}

// The last of the top_k by shifted logit.
fn last_chosen(base: u32) -> Candidate {
    var last = Candidate(0xffffffffu, 0u);
    for (var c = 0u; c < params.top_k; c += 1u) {
        var best = Candidate(0u, params.experts);
        for (var e = 0u; e < params.experts; e += 1u) {
            let key = shifted_key(base, e);
            if comes_after(key, e, last) && (best.expert == params.experts || key > best.key) {
                best = Candidate(key, e);
            }
        }
        last = best;
    }
    return last;
}

fn choose(token: u32) {
    let row = params.first + token;
    let base = row * params.experts;
    var limit = Candidate(0u, params.experts);
    if params.cost_bias != 0u {
        limit = last_chosen(base);
    }
    var last = Candidate(0xffffffffu, 0u);
    var most = 0.0;
    var sum = 0.0;
    for (var c = 0u; c < params.top_k; c += 1u) {
        var best = Candidate(0u, params.experts);
        for (var e = 0u; e < params.experts; e += 1u) {
            let key = sort_key(router_logits[base + e]);
            var eligible = comes_after(key, e, last) && (best.expert == params.experts || key > best.key);
            if eligible && params.cost_bias != 0u {
                eligible = !comes_after(shifted_key(base, e), e, limit);
            }
            if eligible {
                best = Candidate(key, e);
            }
        }
        last = best;
        let expert = min(best.expert, params.experts - 1u);
        let logit = clamp(router_logits[base + expert], -LARGEST, LARGEST);
        if c == 0u {
            most = logit;
        }
        // Below exp(-200) nothing is left in f32; the bound keeps overflow of the difference out of exp.
        // NaN stays NaN, which neither clamp nor max promises.
        let weight = select(exp(max(logit - most, -200.0)), router_logits[base + expert], best.key == 0u);
        sum += weight;
        indices[row * params.top_k + c] = expert;
        gates[token * params.top_k + c] = weight;
        atomicAdd(&block_counts[expert], 1u);
    }
    for (var c = 0u; c < params.top_k; c += 1u) {
        let at = token * params.top_k + c;
        let empty = width_of(indices[row * params.top_k + c]) == 0u;
        gates[at] = select(gates[at] / sum, 0.0, empty);
    }
}

@compute @workgroup_size(BLOCK)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_group(group, groups);
    if block >= params.blocks {
        return;
    }
    for (var e = thread; e < params.experts; e += BLOCK) {
        atomicStore(&block_counts[e], 0u);
    }
    workgroupBarrier();
    let token = block * BLOCK + thread;
    if token < params.tokens {
        choose(token);
    }
    workgroupBarrier();
    for (var e = thread; e < params.experts; e += BLOCK) {
        histogram[e * params.blocks + block] = atomicLoad(&block_counts[e]);
    }
}
