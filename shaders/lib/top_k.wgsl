// The choice of experts, and the lists of their entries.
//
// Chosen are the top_k experts of each token, with gates (softmax of the chosen logits). The choice goes by logit -
// cost_bias, the listing and the gates by the logit alone; the lower index first where values tie. Values are
// compared as integers of the same order, which no handling of NaN or subnormals can upset: k scans over the experts,
// each for the best after the one taken last. WGSL lets the subtraction flush subnormals, so differences below 2^-126
// may tie. Experts of width 0 get the gate 0.
//
// A workgroup takes a block of tokens, CHUNK (32 or 64) at a time. A token chooses an expert at most once, so a place
// in the list is the number of earlier tokens that chose the same expert: bits of a mask of the chunk's tokens, one
// mask an expert. The kernel binds `cost_bias` and `routes`, and has the logits: logit_of(row, expert) -> f32.
#import lib/experts.wgsl

const LARGEST: f32 = 3.4028234e38;

struct Candidate {
    key: u32,
    expert: u32,
}

// Two words per expert: tokens 0 to 31 and 32 to 63 of the chunk.
var<workgroup> masks: array<atomic<u32>, 2u * MAX_EXPERTS>;
// Entries listed of the tokens before.
var<workgroup> listed: array<u32, MAX_EXPERTS>;

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

fn shifted_key(row: u32, expert: u32) -> u32 {
    return sort_key(logit_of(row, expert) - cost_bias[expert]);
}

fn comes_after(key: u32, expert: u32, last: Candidate) -> bool {
    return key < last.key || (key == last.key && expert > last.expert);
}

// The last of the top_k by shifted logit.
fn last_chosen(row: u32) -> Candidate {
    var last = Candidate(0xffffffffu, 0u);
    for (var c = 0u; c < params.top_k; c += 1u) {
        var best = Candidate(0u, params.experts);
        for (var e = 0u; e < params.experts; e += 1u) {
            let key = shifted_key(row, e);
            if comes_after(key, e, last) && (best.expert == params.experts || key > best.key) {
                best = Candidate(key, e);
            }
        }
        last = best;
    }
    return last;
}

// For the token at `place` of the chunk, whose logits are in a row.
fn choose(row: u32, token: u32, place: u32) {
    let choices = params.choices + token * params.top_k;
    let gates = params.gates + token * params.top_k;
    var limit = Candidate(0u, params.experts);
    if params.cost_bias != 0u {
        limit = last_chosen(row);
    }
    var last = Candidate(0xffffffffu, 0u);
    var most = 0.0;
    var sum = 0.0;
    for (var c = 0u; c < params.top_k; c += 1u) {
        var best = Candidate(0u, params.experts);
        for (var e = 0u; e < params.experts; e += 1u) {
            let key = sort_key(logit_of(row, e));
            var eligible = comes_after(key, e, last) && (best.expert == params.experts || key > best.key);
            if eligible && params.cost_bias != 0u {
                eligible = !comes_after(shifted_key(row, e), e, limit);
            }
            if eligible {
                best = Candidate(key, e);
            }
        }
        last = best;
        let expert = min(best.expert, params.experts - 1u);
        let logit = clamp(logit_of(row, expert), -LARGEST, LARGEST);
        if c == 0u {
            most = logit;
        }
        // Below exp(-200) nothing is left in f32; the bound keeps overflow of the difference out of exp.
        // NaN stays NaN, which neither clamp nor max promises.
        let weight = select(exp(max(logit - most, -200.0)), logit_of(row, expert), best.key == 0u);
        sum += weight;
        routes[choices + c] = expert;
        routes[gates + c] = bitcast<u32>(weight);
        atomicOr(&masks[expert * 2u + place / 32u], 1u << (place % 32u));
    }
    for (var c = 0u; c < params.top_k; c += 1u) {
        let empty = width_of(routes[choices + c]) == 0u;
        routes[gates + c] = select(bitcast<u32>(bitcast<f32>(routes[gates + c]) / sum), 0u, empty);
    }
}

// Lists the entries of the token at `place` of the chunk behind those of the tokens before.
fn list(block: u32, token: u32, place: u32) {
    let before = (1u << (place % 32u)) - 1u;
    for (var c = 0u; c < params.top_k; c += 1u) {
        let expert = routes[params.choices + token * params.top_k + c];
        var rank = listed[expert] + countOneBits(atomicLoad(&masks[expert * 2u + place / 32u]) & before);
        if place >= 32u {
            rank += countOneBits(atomicLoad(&masks[expert * 2u]));
        }
        let entry = token * params.top_k + c;
        routes[params.entries + expert * params.tokens + block * params.block + rank] = entry;
    }
}

// Loops count alike in all threads, up to an `experts` that the kernel read ahead of all branches: FXC takes a barrier
// behind others for one that not all threads reach.
fn begin_lists(thread: u32, experts: u32) {
    for (var first = 0u; first < experts; first += THREADS) {
        let e = first + thread;
        if e < experts {
            listed[e] = 0u;
        }
    }
}

// Before a chunk's choices; `list` comes behind a barrier after all of them.
fn begin_chunk(thread: u32, experts: u32) {
    for (var first = 0u; first < 2u * experts; first += THREADS) {
        let m = first + thread;
        if m < 2u * experts {
            atomicStore(&masks[m], 0u);
        }
    }
    workgroupBarrier();
}

fn end_chunk(thread: u32, experts: u32) {
    workgroupBarrier();
    for (var first = 0u; first < experts; first += THREADS) {
        let e = first + thread;
        if e < experts {
            listed[e] += countOneBits(atomicLoad(&masks[2u * e])) + countOneBits(atomicLoad(&masks[2u * e + 1u]));
        }
    }
    workgroupBarrier();
}

fn end_lists(block: u32, thread: u32, experts: u32) {
    for (var first = 0u; first < experts; first += THREADS) {
        let e = first + thread;
        if e < experts {
            routes[e * params.blocks + block] = listed[e];
        }
    }
}
