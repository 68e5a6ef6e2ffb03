// Attention of one query a thread, by online softmax (Milakov & Gimelshein 2018), for heads of HEAD_DIM exactly.
//
// A thread keeps its query and its sums in registers. Keys and values are read from storage in blocks of 4, at addresses
// that are the same for all threads of the workgroup, so that one read serves a whole subgroup (on the scalar unit, where
// there is one): no workgroup memory, no barriers, and a quarter of a load per multiply-add. Only blocks that are partly
// seen have a mask, and blocks that no query sees are not read.
//
// Each kernel that imports this file defines
//
//   is_excluded    whether a position is no key of the blocks that `attend` walks
//   excluded_end   position after the last of those
#import lib/attention.wgsl
#import lib/attention_holes.wgsl

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

// Queries of a workgroup, one a thread.
const TILE: u32 = 32u;
// Keys of a block.
const BLOCK: u32 = 4u;
const HEAD_DIM: u32 = 32u;
const VECTORS: u32 = HEAD_DIM / 4u;

// Keys at equal steps: member m is at position residue + step m.
struct Keys {
    // Of member 0, and from one member to the next, in vectors of k and v.
    base: u32,
    stride: u32,
    residue: u32,
    step: u32,
    // The members to look at.
    begin: u32,
    end: u32,
}

// The queries of a workgroup, as members of the same class.
struct Queries {
    // This thread's.
    own: u32,
    // The first and the last.
    first: u32,
    last: u32,
}

var<private> query: array<vec4<f32>, VECTORS>;
// Numerators, the largest score, and the sum of exp(score - top).
var<private> sums: array<vec4<f32>, VECTORS>;
var<private> top: f32;
var<private> total: f32;

// Starts with nothing seen; row NONE is a query of zeros.
fn begin(row: u32) {
    top = MASKED;
    total = 0.0;
    for (var i = 0u; i < VECTORS; i += 1u) {
        query[i] = vec4(0.0);
        sums[i] = vec4(0.0);
    }
    if row != NONE {
        for (var i = 0u; i < VECTORS; i += 1u) {
            query[i] = q[row * VECTORS + i] * params.scale;
        }
    }
}

// Goes on from a row of out and its (maximum, sum).
fn resume_row(row: u32, state: vec2<f32>) {
    top = state.x;
    total = state.y;
    for (var i = 0u; i < VECTORS; i += 1u) {
        sums[i] = out[row * VECTORS + i] * total;
    }
}

fn store(row: u32) {
    // A range of keys may hold none of a row's.
    let inverse = select(1.0 / total, 0.0, total <= 0.0);
    for (var i = 0u; i < VECTORS; i += 1u) {
        out[row * VECTORS + i] = sums[i] * inverse;
    }
}

fn store_zeros(row: u32) {
    for (var i = 0u; i < VECTORS; i += 1u) {
        out[row * VECTORS + i] = vec4(0.0);
    }
}

// Takes in the keys that are `at`, in vectors of k and v; where the block is masked, those of them that are seen.
fn fold(at: vec4<u32>, masked: bool, seen: vec4<bool>) {
    var scores = vec4(0.0);
    for (var i = 0u; i < VECTORS; i += 1u) {
        let x = query[i];
        scores += vec4(dot(x, k[at.x + i]), dot(x, k[at.y + i]), dot(x, k[at.z + i]), dot(x, k[at.w + i]));
    }
    if masked {
        scores = select(vec4(MASKED), scores, seen);
    }
    let best = max(max(scores.x, scores.y), max(scores.z, scores.w));
    if best > top {
        let shrink = exp(top - best);
        top = best;
        total *= shrink;
        for (var i = 0u; i < VECTORS; i += 1u) {
            sums[i] *= shrink;
        }
    }
    var weights = exp(scores - top);
    if masked {
        weights = select(vec4(0.0), weights, seen);
    }
    total += dot(weights, vec4(1.0));
    for (var i = 0u; i < VECTORS; i += 1u) {
        var sum = sums[i];
        sum += weights.x * v[at.x + i];
        sum += weights.y * v[at.y + i];
        sum += weights.z * v[at.z + i];
        sum += weights.w * v[at.w + i];
        sums[i] = sum;
    }
}

// Which of four members are seen by a query at a distance of `near` to `reach`.
fn within(members: vec4<u32>, keys: Keys, own: u32, near: u32, reach: u32) -> vec4<bool> {
    let distance = max(members, vec4(own)) - min(members, vec4(own));
    var seen = (members < vec4(keys.end)) & (distance >= vec4(near)) & (distance <= vec4(reach));
    if params.causal != 0u {
        seen = seen & (members <= vec4(own));
    }
    if near > 0u {
        for (var i = 0u; i < params.hole_count; i += 1u) {
            let h = hole(i);
            seen = seen & ((distance % vec4(h.x) != vec4(0u)) | (distance > vec4(h.y)));
        }
    }
    return seen;
}

fn not_excluded(positions: vec4<u32>) -> vec4<bool> {
    return !vec4(
        is_excluded(positions.x),
        is_excluded(positions.y),
        is_excluded(positions.z),
        is_excluded(positions.w),
    );
}

// Takes in the members of `keys` at a distance of `near` to `reach` from each query.
fn attend(keys: Keys, queries: Queries, near: u32, reach: u32) {
    let excluded = excluded_end();
    for (var key = keys.begin; key < keys.end; key += BLOCK) {
        let last = key + BLOCK - 1u;
        // Nearer than that to every query.
        if last < queries.first + near && queries.last < key + near {
            continue;
        }
        let members = key + vec4(0u, 1u, 2u, 3u);
        let ahead = select(reach, 0u, params.causal != 0u);
        let plain = keys.residue + keys.step * key >= excluded;
        let whole = near == 0u && last < keys.end && queries.last <= key + reach && last <= queries.first + ahead;
        let masked = !(whole && plain);
        var seen = vec4(true);
        if masked {
            seen = within(members, keys, queries.own, near, reach);
            if !plain {
                seen = seen & not_excluded(keys.residue + keys.step * members);
            }
        }
        fold(keys.base + keys.stride * min(members, vec4(keys.end - 1u)), masked, seen);
    }
}
