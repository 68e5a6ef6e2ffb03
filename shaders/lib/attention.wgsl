// Parameters and lengths shared by the kernels of `attention`. Tensors are [B, N, H, Dh] (k and v [B, N, Hkv, Dh]), `lse`
// [B, N, H].
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
    // This dispatch's dilation r; its distances are r m, near <= m <= reach, without the holes.
    dilation: u32,
    reach: u32,
    near: u32,
    // Key ranges of the global rows, and the keys in each (whole tiles).
    splits: u32,
    split_keys: u32,
    // Heads of k and v.
    key_heads: u32,
    // Whether no query sees a later key.
    causal: u32,
    hole_count: u32,
    // Pairs (p, limit), two in a vector: the multiples of p up to limit belong to an earlier dilation.
    holes: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> lengths: array<u32>;

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

// Row of a position's head in q and out.
fn query_row(batch: u32, position: u32, head: u32) -> u32 {
    return (batch * params.rows + position) * params.heads + head;
}

// Row in k and v of the key head that a query's head reads.
fn key_row(batch: u32, position: u32, head: u32) -> u32 {
    return (batch * params.rows + position) * params.key_heads + head / (params.heads / params.key_heads);
}
