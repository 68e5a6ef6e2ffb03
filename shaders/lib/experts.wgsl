// Parameters shared by the kernels of `experts` and `routed_experts`.
//
// One pass of the kernels takes `tokens` tokens from `first` on. An entry is a token's c-th choice, token * top_k + c
// with the token counted from `first`; scratch is indexed by entries, inputs and outputs by whole tokens.
//
// Where tokens go is in one buffer, `routes`, for there may be eight: the histogram [experts, blocks], how many entries
// of each expert a block of tokens has; from `entries` on the entries themselves [experts, tokens], those of an expert
// and a block from where the block's tokens begin on, in order; from `choices` on the experts of each token [tokens,
// top_k], most probable first, and from `gates` on their gates, as bits; and where rows are normed first, from
// `inverses` on what each of the tokens is multiplied by, as bits.
struct Params {
    first: u32,
    tokens: u32,
    dim: u32,
    // Hidden units of all experts together.
    units: u32,
    experts: u32,
    top_k: u32,
    // At most MAX_BLOCKS, of `block` tokens each; the last may have fewer.
    blocks: u32,
    block: u32,
    // Not 0: counts are added to what an earlier pass left.
    accumulate: u32,
    cost_bias: u32,
    residual: u32,
    scale: u32,
    // First element of the scale's dim values in its buffer.
    scale_offset: u32,
    entries: u32,
    choices: u32,
    gates: u32,
    // What follows is for rows that are normed first.
    inverses: u32,
    eps: f32,
    // Where the shift and the scale of the norm begin in the modulation, dim values each.
    shift_offset: u32,
    gain_offset: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
    pad3: u32,
    widths: array<vec4<u32>, MAX_EXPERTS / 4u>,
}

@group(0) @binding(0) var<uniform> params: Params;

const MAX_EXPERTS: u32 = 256u;
const MAX_BLOCKS: u32 = 64u;

fn width_of(expert: u32) -> u32 {
    return params.widths[expert / 4u][expert % 4u];
}
