// qkv: h = norm(x) (1 + scale) + shift; [q, k, v] = h weight^T + bias; then the pairs at the start of each head of q and
// k turned by the row's place (rope).
//
// Tiling: a tile of lib/product or lib/product_direct.wgsl a workgroup, which a kernel imports with this file. Columns
// are counted with each head filled up to a multiple of 4, so that a thread's four are of one head. The rows of a tile
// are read once ahead, for what the norm takes of them. Buffers hold elements as `held`; `loads` and `saves` are the
// files that load and save such.
// Bindings: params, x [rows, dim], weight [(heads + 2 kv_heads) head_dim, dim], bias or nothing, modulation or nothing,
// table [table_rows, rotary_dim / 2] of (cos, sin), q, k, v. Grid: one workgroup per tile, flat, columns fastest.
#parameters held loads saves
#import lib/grid.wgsl
#import lib/normed.wgsl
#import lib/stored.wgsl

struct Params {
    rows: u32,
    dim: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    rotary_dim: u32,
    table_rows: u32,
    // 0 RMS, 1 layer, as `NormKind` in src/ops/norm/mod.rs counts them.
    kind: u32,
    eps: f32,
    modulation: u32,
    shift_offset: u32,
    scale_offset: u32,
    bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<held>;
@group(0) @binding(2) var<storage, read> weight: array<held>;
@group(0) @binding(3) var<storage, read> bias: array<held>;
@group(0) @binding(4) var<storage, read> modulation: array<held>;
@group(0) @binding(5) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> q: array<held>;
@group(0) @binding(7) var<storage, read_write> k: array<held>;
@group(0) @binding(8) var<storage, read_write> v: array<held>;

#import lib/loads.wgsl load=load_x buffer=x
#import lib/loads.wgsl load=load_weight buffer=weight
#import lib/loads.wgsl load=load_bias buffer=bias
#import lib/loads.wgsl load=load_modulation buffer=modulation
#import lib/saves.wgsl save=save_q buffer=q
#import lib/saves.wgsl save=save_k buffer=k
#import lib/saves.wgsl save=save_v buffer=v
#import lib/row_statistics.wgsl load=load_x

// Of the tile's rows.
var<workgroup> statistics: array<Statistics, TILE_M>;
var<private> tile_row: u32;

// Where it begins, and what its norm takes of it.
struct Row {
    start: u32,
    own: Statistics,
}

// Rows past the end repeat the last.
fn row_of(row: u32) -> Row {
    return Row(min(row, params.rows - 1u) * params.dim, statistics[row - tile_row]);
}

// Past the end of a row it gives anything, where the weight gives zeros.
fn left(row: Row, four: u32) -> vec4<Element> {
    var gain = vec4(0.0);
    var shift = vec4(0.0);
    if params.modulation != 0u {
        gain = load_modulation(params.scale_offset, four, params.dim);
        shift = load_modulation(params.shift_offset, four, params.dim);
    }
    let elements = load_x(row.start, four, params.dim) - row.own.origin - row.own.mean;
    return normed(elements, row.own.inverse, gain, shift);
}

// Columns of a head, with those that fill it up.
fn wide_head() -> u32 {
    return (params.head_dim + 3u) / 4u * 4u;
}

fn all_heads() -> u32 {
    return params.heads + 2u * params.kv_heads;
}

// Where a row of the weight begins.
alias Column = u32;

// Columns past the end repeat the last of their head, or of all.
fn column_of(group: u32, column: u32) -> Column {
    let wide = wide_head();
    let at = min(column + group * SPAN, all_heads() * wide - 1u);
    return (at / wide * params.head_dim + min(at % wide, params.head_dim - 1u)) * params.dim;
}

fn right(group: u32, column: Column, four: u32) -> vec4<Element> {
    return load_weight(column, four, params.dim);
}

// Four columns of a head from `within` on, which is even, turned by the row's place.
fn rotated(row: u32, within: u32, value: vec4<f32>) -> vec4<f32> {
    let first = row % params.table_rows * (params.rotary_dim / 2u) + within / 2u;
    var turned = value;
    if within < params.rotary_dim {
        let turn = table[first];
        turned.x = value.x * turn.x - value.y * turn.y;
        turned.y = value.x * turn.y + value.y * turn.x;
    }
    if within + 2u < params.rotary_dim {
        let turn = table[first + 1u];
        turned.z = value.z * turn.x - value.w * turn.y;
        turned.w = value.z * turn.y + value.w * turn.x;
    }
    return turned;
}

fn emit(row: u32, column: u32, sums: array<vec4<f32>, GROUPS>) {
    for (var g = 0u; g < GROUPS; g += 1u) {
        finish(row, column + g * SPAN, sums[g]);
    }
}

fn finish(row: u32, column: u32, sums: vec4<f32>) {
    let wide = wide_head();
    let head = column / wide;
    let within = column % wide;
    if row >= params.rows || head >= all_heads() {
        return;
    }
    var value = sums;
    if params.bias != 0u {
        value += load_bias(head * params.head_dim, within / 4u, params.head_dim);
    }
    if head < params.heads {
        save_q((row * params.heads + head) * params.head_dim, within / 4u, params.head_dim, rotated(row, within, value));
    } else if head < params.heads + params.kv_heads {
        let start = (row * params.kv_heads + head - params.heads) * params.head_dim;
        save_k(start, within / 4u, params.head_dim, rotated(row, within, value));
    } else {
        let start = (row * params.kv_heads + head - params.heads - params.kv_heads) * params.head_dim;
        save_v(start, within / 4u, params.head_dim, value);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (all_heads() * wide_head() + TILE_N - 1u) / TILE_N;
    let tile = flat_group(group, groups);
    let row0 = tile / columns * TILE_M;
    if row0 >= params.rows {
        return;
    }
    tile_row = row0;
    for (var first = 0u; first < TILE_M; first += THREADS) {
        let i = first + thread;
        // Of every thread: FXC takes what is computed in some of them for different in all.
        let start = min(row0 + i, params.rows - 1u) * params.dim;
        let own = row_statistics(params.kind, start, params.dim, params.eps);
        if i < TILE_M {
            statistics[i] = own;
        }
    }
    workgroupBarrier();
    product(row0, tile % columns * TILE_N, params.dim, thread);
}
