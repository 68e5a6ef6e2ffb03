// Attention of one tile of 32 queries over tiles of 32 keys, by online softmax (Milakov & Gimelshein 2018;
// FlashAttention, Dao et al. 2022). What differs between kernels is which positions the rows and columns stand for and
// which pairs are theirs; each kernel that imports this file defines
//
//   MERGE          whether to go on from what an earlier kernel left in out and in its state
//   resume         the (maximum, sum) of that state for a row of out
//   finish         keeps a row's maximum and sum, each row once
//   query_position position of a row of the query tile, or NONE
//   key_position   position of a column of a key tile, or NONE
//   is_absent      whether no pair of a key tile is this kernel's. FXC must see that it is the same for all threads, which
//                  it does not believe of what comes from a storage buffer
//   is_whole       whether all pairs of a key tile are
//   prepare_tile   fills workgroup tables for `owns` (the caller puts a barrier after it)
//   owns           whether the pair (row, column) of this key tile, one that is not whole, belongs to this kernel
//   output_row     row of out and lse for a row of the query tile
//
// A workgroup of 128 threads: thread (row, lane) of 16 x 8 holds queries row and row + 16; of the scores, columns lane,
// lane + 8, lane + 16 and lane + 24; of the output, four dimensions in each chunk of 32. Q, K and V go through
// workgroup memory in chunks of 32 x 32, vectors along Dh, rows 9 vectors apart so that banks do not collide.
#import lib/attention.wgsl
#import lib/four.wgsl load=query_vector buffer=q rows=NONE width=params.head_dim
#import lib/four.wgsl load=key_vector buffer=k rows=NONE width=params.head_dim
#import lib/four.wgsl load=value_vector buffer=v rows=NONE width=params.head_dim
#import lib/four.wgsl load=previous_vector buffer=out rows=NONE width=params.head_dim

@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Queries, and keys, of a tile.
const TILE: u32 = 32u;
const THREADS: u32 = 128u;
// Dimensions that go through workgroup memory at one time.
const CHUNK: u32 = 32u;
// Dh rounded up to whole chunks.
const HEAD_DIM: u32 = 32u;
const CHUNKS: u32 = HEAD_DIM / CHUNK;
const STRIDE: u32 = 9u;

// One workgroup's part; `first_query`, `first_key` and `other` mean what the kernel makes of them.
struct Part {
    batch: u32,
    head: u32,
    length: u32,
    first_query: u32,
    first_key: u32,
    other: u32,
    key_tiles: u32,
}

var<workgroup> query_tile: array<vec4<f32>, TILE * STRIDE>;
// Keys, then values.
var<workgroup> key_tile: array<vec4<f32>, TILE * STRIDE>;
// Vector l of a row holds the weights of columns l, l + 8, l + 16 and l + 24.
var<workgroup> weights: array<vec4<f32>, TILE * STRIDE>;
// Of each thread, for its two queries: maxima, at the end sums.
var<workgroup> partial: array<vec2<f32>, THREADS>;

// Row of a position's head in q, or NONE.
fn row_of_query(part: Part, position: u32) -> u32 {
    return select(query_row(part.batch, position, part.head), NONE, position == NONE);
}

// Row of a position's head in k and v, or NONE.
fn row_of_key(part: Part, position: u32) -> u32 {
    return select(key_row(part.batch, position, part.head), NONE, position == NONE);
}

fn store_vector(row: u32, d: u32, x: vec4<f32>) {
    let at = row * params.head_dim + d;
    if d < params.head_dim {
        out[at] = x.x;
    }
    if d + 1u < params.head_dim {
        out[at + 1u] = x.y;
    }
    if d + 2u < params.head_dim {
        out[at + 2u] = x.z;
    }
    if d + 3u < params.head_dim {
        out[at + 3u] = x.w;
    }
}

fn largest(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

// exp(score - top), 0 for what is masked.
fn weigh(scores: vec4<f32>, top: f32) -> vec4<f32> {
    return select(exp(scores - top), vec4(0.0), scores <= vec4(0.5 * MASKED));
}

// Which of a row's columns lane, lane + 8, lane + 16 and lane + 24 are this kernel's.
fn owned(part: Part, tile: u32, row: u32, lane: u32) -> vec4<bool> {
    return vec4(
        owns(part, tile, row, lane),
        owns(part, tile, row, lane + 8u),
        owns(part, tile, row, lane + 16u),
        owns(part, tile, row, lane + 24u),
    );
}

fn attend(part: Part, thread: u32) {
    let row = thread / 8u;
    let lane = thread % 8u;
    let queries = vec2(query_position(part, row), query_position(part, row + 16u));
    let query_rows = vec2(row_of_query(part, queries.x), row_of_query(part, queries.y));
    var top = vec2(MASKED);
    // Of this thread's columns alone; the eight threads of a row are summed at the end.
    var total = vec2(0.0);
    // Numerators of the two queries.
    var sums0: array<vec4<f32>, CHUNKS>;
    var sums1: array<vec4<f32>, CHUNKS>;
    if MERGE {
        if queries.x != NONE {
            let at = output_row(part, row);
            let previous = resume(at);
            top.x = previous.x;
            total.x = select(0.0, previous.y, lane == 0u);
            for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
                sums0[chunk] = previous_vector(at, chunk * CHUNK + lane * 4u) * previous.y;
            }
        }
        if queries.y != NONE {
            let at = output_row(part, row + 16u);
            let previous = resume(at);
            top.y = previous.x;
            total.y = select(0.0, previous.y, lane == 0u);
            for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
                sums1[chunk] = previous_vector(at, chunk * CHUNK + lane * 4u) * previous.y;
            }
        }
    }
    // A single chunk of the queries stays where it is.
    if CHUNKS == 1u {
        query_tile[row * STRIDE + lane] = query_vector(query_rows.x, lane * 4u);
        query_tile[(row + 16u) * STRIDE + lane] = query_vector(query_rows.y, lane * 4u);
    }
    for (var tile = 0u; tile < part.key_tiles; tile += 1u) {
        if is_absent(part, tile) {
            continue;
        }
        let whole = is_whole(part, tile);
        let keys = vec2(key_position(part, tile, row), key_position(part, tile, row + 16u));
        let key_rows = vec2(row_of_key(part, keys.x), row_of_key(part, keys.y));
        if !whole {
            prepare_tile(part, tile, thread);
        }
        var scores0 = vec4(0.0);
        var scores1 = vec4(0.0);
        for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
            let d = chunk * CHUNK + lane * 4u;
            if CHUNKS > 1u {
                query_tile[row * STRIDE + lane] = query_vector(query_rows.x, d);
                query_tile[(row + 16u) * STRIDE + lane] = query_vector(query_rows.y, d);
            }
            key_tile[row * STRIDE + lane] = key_vector(key_rows.x, d);
            key_tile[(row + 16u) * STRIDE + lane] = key_vector(key_rows.y, d);
            workgroupBarrier();
            for (var i = 0u; i < 8u; i += 1u) {
                let a = query_tile[row * STRIDE + i];
                let b = query_tile[(row + 16u) * STRIDE + i];
                let k0 = key_tile[lane * STRIDE + i];
                let k1 = key_tile[(lane + 8u) * STRIDE + i];
                let k2 = key_tile[(lane + 16u) * STRIDE + i];
                let k3 = key_tile[(lane + 24u) * STRIDE + i];
                scores0 += vec4(dot(a, k0), dot(a, k1), dot(a, k2), dot(a, k3));
                scores1 += vec4(dot(b, k0), dot(b, k1), dot(b, k2), dot(b, k3));
            }
            if chunk + 1u < CHUNKS {
                workgroupBarrier();
            }
        }
        scores0 *= params.scale;
        scores1 *= params.scale;
        if !whole {
            scores0 = select(vec4(MASKED), scores0, owned(part, tile, row, lane));
            scores1 = select(vec4(MASKED), scores1, owned(part, tile, row + 16u, lane));
        }
        partial[thread] = vec2(largest(scores0), largest(scores1));
        workgroupBarrier();

        var best = top;
        for (var i = 0u; i < 8u; i += 1u) {
            best = max(best, partial[row * 8u + i]);
        }
        let weights0 = weigh(scores0, best.x);
        let weights1 = weigh(scores1, best.y);
        let shrink = exp(top - best);
        top = best;
        total = total * shrink + vec2(dot(weights0, vec4(1.0)), dot(weights1, vec4(1.0)));
        weights[row * STRIDE + lane] = weights0;
        weights[(row + 16u) * STRIDE + lane] = weights1;
        for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
            let d = chunk * CHUNK + lane * 4u;
            key_tile[row * STRIDE + lane] = value_vector(key_rows.x, d);
            key_tile[(row + 16u) * STRIDE + lane] = value_vector(key_rows.y, d);
            workgroupBarrier();
            var sum0 = sums0[chunk] * shrink.x;
            var sum1 = sums1[chunk] * shrink.y;
            for (var i = 0u; i < 8u; i += 1u) {
                let a = weights[row * STRIDE + i];
                let b = weights[(row + 16u) * STRIDE + i];
                let v0 = key_tile[i * STRIDE + lane];
                let v1 = key_tile[(i + 8u) * STRIDE + lane];
                let v2 = key_tile[(i + 16u) * STRIDE + lane];
                let v3 = key_tile[(i + 24u) * STRIDE + lane];
                sum0 += a.x * v0 + a.y * v1 + a.z * v2 + a.w * v3;
                sum1 += b.x * v0 + b.y * v1 + b.z * v2 + b.w * v3;
            }
            sums0[chunk] = sum0;
            sums1[chunk] = sum1;
            workgroupBarrier();
        }
    }
    partial[thread] = total;
    workgroupBarrier();
    var whole = vec2(0.0);
    for (var i = 0u; i < 8u; i += 1u) {
        whole += partial[row * 8u + i];
    }
    // A range of keys may hold none of a row's.
    let inverse = select(1.0 / whole, vec2(0.0), whole <= vec2(0.0));
    if queries.x != NONE {
        let at = output_row(part, row);
        for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
            store_vector(at, chunk * CHUNK + lane * 4u, sums0[chunk] * inverse.x);
        }
        if lane == 0u {
            finish(at, top.x, whole.x);
        }
    }
    if queries.y != NONE {
        let at = output_row(part, row + 16u);
        for (var chunk = 0u; chunk < CHUNKS; chunk += 1u) {
            store_vector(at, chunk * CHUNK + lane * 4u, sums1[chunk] * inverse.y);
        }
        if lane == 0u {
            finish(at, top.y, whole.y);
        }
    }
}
