// Parameters and the tile table shared by the kernels of `experts`.
//
// One pass of the kernels takes `tokens` tokens from `first` on. An entry is a token's c-th choice, token * top_k + c
// with the token counted from `first`; scratch is indexed by entries, inputs and outputs by whole tokens.
struct Params {
    first: u32,
    tokens: u32,
    dim: u32,
    // Hidden units of all experts together.
    units: u32,
    experts: u32,
    top_k: u32,
    // Workgroups of `top_k` and `scatter`, BLOCK tokens each.
    blocks: u32,
    // Rows of a tile of the grouped products.
    tile_rows: u32,
    // Column tiles of the widest expert, and of dim.
    unit_columns: u32,
    dim_columns: u32,
    // Not 0: counts are added to what an earlier pass left.
    accumulate: u32,
    cost_bias: u32,
    residual: u32,
    scale: u32,
    // First element of the scale's dim values in its buffer.
    scale_offset: u32,
    pad: u32,
    widths: array<vec4<u32>, MAX_EXPERTS / 4u>,
}

// Up to tile_rows entries of one expert.
struct Tile {
    // Place of the first row in the sorted entries.
    first: u32,
    rows: u32,
    // First hidden unit of the expert, and how many it has.
    unit: u32,
    width: u32,
    // Where the first row's hidden values begin; rows follow one another at a distance of `width`.
    hidden: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

const MAX_EXPERTS: u32 = 256u;
// Tokens of a workgroup of `top_k` and `scatter`.
const BLOCK: u32 = 64u;
// Hidden units, or values of dim, of a tile.
const COLUMNS: u32 = 64u;
// Words of a `Tile`.
const TILE_WORDS: u32 = 5u;

fn width_of(expert: u32) -> u32 {
    return params.widths[expert / 4u][expert % 4u];
}
