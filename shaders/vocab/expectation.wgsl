// vocab_expectation: x0 = softmax(h unembed^T + skip embed^T) embed, with lse, entropy and arg-max of each row: an
// attention whose keys are the vocabulary, in one pass that never holds more than 32 x 32 scores.
//
// Tiling: a workgroup takes 32 rows, a part of the vocabulary (a split) and VALUE_DIM columns of x0. For each 32
// tokens it makes the scores (lib/scores), rescales what it has to the new maximum (online softmax, Milakov and
// Gimelshein 2018) and adds p embed, 32 columns of embed at a time. Besides the maximum a row keeps
//   tail = sum of e^(l - max) over all tokens but the arg-max, so that a confident row loses no digits beside the 1;
//   t    = sum of e^(l - max) (l - max);   entropy = log1p(tail) - t / (1 + tail), both terms positive.
// Bindings: params, h [rows, dim], unembed [vocab, dim], embed [vocab, embed_dim], skip [rows, embed_dim] or nothing,
// x0 [splits, rows, embed_dim], first and second [splits, rows] (lse and entropy of a single split, else max and
// (tail, t) for vocab/merge, and x0 not yet divided), token [splits, rows].
// Grid: one workgroup for each 32 rows, split and VALUE_DIM columns, flat, columns fastest.
#import lib/four.wgsl load=h4 buffer=h rows=params.rows width=params.dim
#import lib/four.wgsl load=unembed4 buffer=unembed rows=params.vocab width=params.dim
#import lib/four.wgsl load=embed4 buffer=embed rows=params.vocab width=params.embed_dim
#import lib/four.wgsl load=skip4 buffer=skip rows=params.rows width=params.embed_dim
#import lib/grid.wgsl
#import lib/log.wgsl
#import lib/scores.wgsl

const VALUE_DIM: u32 = 32u;
const SLICES: u32 = VALUE_DIM / 32u;
const SUMS: u32 = VALUE_DIM / 16u;

struct Params {
    rows: u32,
    dim: u32,
    vocab: u32,
    embed_dim: u32,
    skip: u32,
    splits: u32,
    // Tokens of a split, a multiple of 32.
    split: u32,
    // How many VALUE_DIM columns make embed_dim.
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read> unembed: array<f32>;
@group(0) @binding(3) var<storage, read> embed: array<f32>;
@group(0) @binding(4) var<storage, read> skip: array<f32>;
@group(0) @binding(5) var<storage, read_write> x0: array<f32>;
@group(0) @binding(6) var<storage, read_write> first: array<f32>;
@group(0) @binding(7) var<storage, read_write> second: array<f32>;
@group(0) @binding(8) var<storage, read_write> token: array<u32>;

// Probabilities (not yet divided) of 32 rows; in the end each thread's share of (tail, t).
var<workgroup> p_tile: array<vec4<f32>, ROWS * PITCH>;
// Of each row, the largest scores of its 8 threads and whose they are.
var<workgroup> maxima: array<f32, 8u * ROWS>;
var<workgroup> holders: array<u32, 8u * ROWS>;

struct Row {
    best: f32,
    token: u32,
    // This thread's share.
    tail: f32,
    t: f32,
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups);
    let chunk = index % params.chunks;
    let split = index / params.chunks % params.splits;
    let row0 = index / params.chunks / params.splits * ROWS;
    if row0 >= params.rows {
        return;
    }
    let place = vec2(thread % 8u, thread / 8u);
    let value0 = chunk * VALUE_DIM;
    let begin = split * params.split;
    let end = min(begin + params.split, params.vocab);
    // The thread that speaks for the arg-max of its rows.
    let speaker = select(0.0, 1.0, place.x == 0u);

    var state = array<Row, 2>(Row(LOWEST, begin, 0.0, 0.0), Row(LOWEST, begin, 0.0, 0.0));
    // Columns value0 + 32 s + 4 place.x of row place.y + 16 i at 2 s + i.
    var sums = array<vec4<f32>, SUMS>();

    for (var key0 = begin; key0 < end; key0 += KEYS) {
        var products = array<vec4<f32>, 8>();
        for (var k0 = 0u; k0 < params.dim; k0 += DEPTH) {
            workgroupBarrier();
            for (var i = thread; i < 8u * ROWS; i += THREADS) {
                row_tile[i / 8u * PITCH + i % 8u] = h4(row0 + i / 8u, k0 + i % 8u * 4u);
                key_tile[key_slot(i / 8u, i % 8u)] = unembed4(key0 + i / 8u, k0 + i % 8u * 4u);
            }
            workgroupBarrier();
            add_products(&products, place);
        }
        if params.skip != 0u {
            for (var k0 = 0u; k0 < params.embed_dim; k0 += DEPTH) {
                workgroupBarrier();
                for (var i = thread; i < 8u * ROWS; i += THREADS) {
                    row_tile[i / 8u * PITCH + i % 8u] = skip4(row0 + i / 8u, k0 + i % 8u * 4u);
                    key_tile[key_slot(i / 8u, i % 8u)] = embed4(key0 + i / 8u, k0 + i % 8u * 4u);
                }
                workgroupBarrier();
                add_products(&products, place);
            }
        }

        let key = key0 + 4u * place.x;
        var scores: array<vec4<f32>, 2>;
        for (var i = 0u; i < 2u; i += 1u) {
            let p = 4u * i;
            scores[i] = four_scores(products[p], products[p + 1u], products[p + 2u], products[p + 3u], key, end);
            let at = largest(scores[i]);
            maxima[(place.y + 16u * i) * 8u + place.x] = scores[i][at];
            holders[(place.y + 16u * i) * 8u + place.x] = key + at;
        }
        workgroupBarrier();
        for (var i = 0u; i < 2u; i += 1u) {
            let line = place.y + 16u * i;
            let old = state[i];
            var best = old.best;
            var best_token = old.token;
            for (var j = 0u; j < 8u; j += 1u) {
                if maxima[line * 8u + j] > best {
                    best = maxima[line * 8u + j];
                    best_token = holders[line * 8u + j];
                }
            }
            // At -200 exp is 0 in f32: bounded, so that 0 times infinity does not arise.
            let shift = max(old.best - best, -200.0);
            var factor = 1.0;
            var tail = old.tail;
            if best > old.best {
                factor = exp(shift);
                tail = (tail + speaker) * factor;
            }
            var t = (old.t + (old.tail + speaker) * shift) * factor;
            let distance = scores[i] - best;
            let is_best = vec4(key) + vec4(0u, 1u, 2u, 3u) == vec4(best_token);
            let p = select(exp(distance), vec4(1.0), is_best);
            let others = select(p, vec4(0.0), is_best);
            tail += lanes(others);
            t += lanes(others * max(distance, vec4(-200.0)));
            state[i] = Row(best, best_token, tail, t);
            p_tile[line * PITCH + place.x] = p;
            for (var s = 0u; s < SLICES; s += 1u) {
                sums[2u * s + i] *= factor;
            }
        }

        for (var s = 0u; s < SLICES; s += 1u) {
            let column0 = value0 + 32u * s;
            if column0 < params.embed_dim {
                workgroupBarrier();
                for (var i = thread; i < 8u * ROWS; i += THREADS) {
                    key_tile[i / 8u * PITCH + i % 8u] = embed4(key0 + i / 8u, column0 + i % 8u * 4u);
                }
                workgroupBarrier();
                for (var k = 0u; k < KEYS / 4u; k += 1u) {
                    let a = p_tile[place.y * PITCH + k];
                    let b = p_tile[(place.y + 16u) * PITCH + k];
                    let at = 4u * k * PITCH + place.x;
                    let v0 = key_tile[at];
                    let v1 = key_tile[at + PITCH];
                    let v2 = key_tile[at + 2u * PITCH];
                    let v3 = key_tile[at + 3u * PITCH];
                    sums[2u * s] += a.x * v0 + a.y * v1 + a.z * v2 + a.w * v3;
                    sums[2u * s + 1u] += b.x * v0 + b.y * v1 + b.z * v2 + b.w * v3;
                }
            }
        }
    }

    workgroupBarrier();
    for (var i = 0u; i < 2u; i += 1u) {
        p_tile[(place.y + 16u * i) * PITCH + place.x] = vec4(state[i].tail, state[i].t, 0.0, 0.0);
    }
    workgroupBarrier();
    for (var i = 0u; i < 2u; i += 1u) {
        let line = place.y + 16u * i;
        var share = vec4(0.0);
        for (var j = 0u; j < 8u; j += 1u) {
            share += p_tile[line * PITCH + j];
        }
        let row = row0 + line;
        if row < params.rows {
            let out = split * params.rows + row;
            let tail = share.x;
            let t = share.y;
            var divisor = 1.0;
            if params.splits == 1u {
                divisor = 1.0 + tail;
            }
            for (var s = 0u; s < SLICES; s += 1u) {
                let values = sums[2u * s + i] / divisor;
                for (var c = 0u; c < 4u; c += 1u) {
                    let column = value0 + 32u * s + 4u * place.x + c;
                    if column < params.embed_dim {
                        x0[out * params.embed_dim + column] = values[c];
                    }
                }
            }
            if place.x == 0u && chunk == 0u {
                token[out] = state[i].token;
                if params.splits == 1u {
                    first[out] = state[i].best + log1p(tail);
                    second[out] = row_entropy(tail, t);
                } else {
                    first[out] = state[i].best;
                    second[2u * out] = tail;
                    second[2u * out + 1u] = t;
                }
            }
        }
    }
}
