// Parameters, lengths and output shared by the kernels of `attention`. Tensors are [B, N, H, Dh] (k and v [B, N,
// Hkv, Dh]), `lse` [B, N, H].
#import lib/grid.wgsl

struct Params {
    batch: u32,
    rows: u32,
    heads: u32,
    head_dim: u32,
    // Multiplies the scores.
    scale: f32,
    // What `lse` holds in padding: minus infinity, which WGSL cannot spell.
    padding_lse: f32,
    has_lengths: u32,
    // Global positions; 0 where there are none.
    globals: u32,
    // Half-window w.
    window: u32,
    // This dispatch's dilation: distances r m, 1 <= m <= reach.
    dilation: u32,
    reach: u32,
    // Dilations before this one.
    earlier: u32,
    // Key ranges of the global rows, and the keys in each (whole tiles).
    splits: u32,
    split_keys: u32,
    // Heads of k and v.
    key_heads: u32,
    // Whether no query sees a later key.
    causal: u32,
    // Pairs (r, k) of all dilations, two in a vector.
    dilations: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// What a score no query sees is set to; far below any score, and finite so that differences are too.
const MASKED: f32 = -3.0e38;
// No position.
const NONE: u32 = 0xffffffffu;

// Rows of a sequence that are in use.
fn sequence_length(batch: u32) -> u32 {
    var length = params.rows;
    if params.has_lengths != 0u {
        length = min(lengths[batch], length);
    }
    return length;
}
