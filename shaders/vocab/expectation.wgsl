// vocab_expectation: x0 = softmax(h unembed^T + skip embed^T) embed, with lse, entropy and arg-max of each row: an
// attention whose keys are the vocabulary, in one pass that never holds more than 64 x 64 scores. This part makes sums
// over a part of the vocabulary (a split); vocab/merge adds them up.
//
// Tiling: a workgroup takes ROWS rows, a split and VALUE_DIM columns of x0. For each 64 tokens it makes the scores
// (lib/scores), rescales what it has to the new maximum (online softmax, Milakov and Gimelshein 2018) and adds p embed, 32
// tokens and 32 columns of embed at a time. Besides the maximum a row keeps
//   tail = sum of e^(l - max) over all tokens but the arg-max, so that a confident row loses no digits beside the 1;
//   t    = sum of e^(l - max) (l - max).
// Results do not depend on ROWS and THREADS. While rows are loaded, h may be divided by the root of its mean square and
// modulated (as nn/norm does), and z taken for skip (as solver/bayes_query does).
// Bindings: params, step or nothing, h [rows, dim], unembed [vocab, dim], embed [vocab, embed_dim], skip
// [rows, embed_dim] or nothing, absorb [embed_dim] or nothing, modulation (dim values at each offset) or nothing, x0
// [splits, rows, embed_dim], not yet divided, state [splits, rows]: bits of max, tail and t, and the arg-max.
// Grid: one workgroup for each ROWS rows, split and VALUE_DIM columns, flat, columns fastest, then rows.
#import lib/four.wgsl load=h4 buffer=h rows=params.rows width=params.dim
#import lib/four.wgsl load=unembed4 buffer=unembed rows=params.vocab width=params.dim
#import lib/four.wgsl load=embed4 buffer=embed rows=params.vocab width=params.embed_dim
#import lib/four.wgsl load=skip4 buffer=skip rows=params.rows width=params.embed_dim
#import lib/four.wgsl load=absorb4 buffer=absorb rows=params.rows width=params.embed_dim
#import lib/expectation.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> unembed: array<f32>;
@group(0) @binding(4) var<storage, read> embed: array<f32>;
@group(0) @binding(5) var<storage, read> skip: array<f32>;
@group(0) @binding(6) var<storage, read> absorb: array<f32>;
@group(0) @binding(7) var<storage, read> modulation: array<f32>;
@group(0) @binding(8) var<storage, read_write> x0: array<f32>;
@group(0) @binding(9) var<storage, read_write> state: array<vec4<u32>>;

fn store_x0(row: u32, column: u32, sums: vec4<f32>) {
    for (var c = 0u; c < 4u; c += 1u) {
        if column + c < params.embed_dim {
            x0[row * params.embed_dim + column + c] = sums[c];
        }
    }
}

fn modulated(four: vec4<f32>, k: u32) -> vec4<f32> {
    return vec4(element(four.x, k), element(four.y, k + 1u), element(four.z, k + 2u), element(four.w, k + 3u));
}

fn element(value: f32, k: u32) -> f32 {
    var result = 0.0;
    if k < params.dim {
        result = value * (1.0 + modulation[params.scale_offset + k]) + modulation[params.shift_offset + k];
    }
    return result;
}
