// Second grouped product: y[entry] = hidden down_e^T, the output of each chosen expert for each token.
//
// Tiling: TILE_M entries of one expert x TILE_N values of dim, the expert's hidden units as the inner dimension: a tile
// of lib/product or lib/product_direct.wgsl, which a kernel imports with this file. Buffers hold elements as `held`;
// `loads` and `saves` are the files that load and save such.
// Bindings: params, hidden, down, routes, y. Grid: flat, as many as there can be tiles.
#parameters held loads saves
#import lib/grid.wgsl
#import lib/experts_tile.wgsl
#import lib/stored.wgsl

@group(0) @binding(1) var<storage, read> hidden: array<held>;
@group(0) @binding(2) var<storage, read> down: array<held>;
@group(0) @binding(3) var<storage, read> routes: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<held>;

#import lib/loads.wgsl load=load_hidden buffer=hidden
#import lib/loads.wgsl load=load_down buffer=down
#import lib/saves.wgsl save=save_y buffer=y

// Where the expert's part of a row of hidden, and of down, begins; those past the end repeat the last.
alias Row = u32;
alias Column = u32;

// Experts of width 0 have no output.
fn columns_of(width: u32) -> u32 {
    return select((params.dim + TILE_N - 1u) / TILE_N, 0u, width == 0u);
}

fn row_of(row: u32) -> Row {
    return tile.hidden + min(row, tile.count - 1u) * tile.width;
}

fn column_of(group: u32, column: u32) -> Column {
    return min(column + group * SPAN, params.dim - 1u) * params.units + tile.unit;
}

fn left(row: Row, four: u32) -> vec4<Element> {
    return load_hidden(row, four, tile.width);
}

fn right(group: u32, column: Column, four: u32) -> vec4<Element> {
    return load_down(column, four, tile.width);
}

fn emit(row: u32, column: u32, sums: array<vec4<f32>, GROUPS>) {
    if row < tile.count {
        let start = entry_of(row) * params.dim;
        for (var g = 0u; g < GROUPS; g += 1u) {
            save_y(start, (column + g * SPAN) / 4u, params.dim, sums[g]);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let found = find_tile(flat_group(group, groups), thread);
    if found.count == 0u {
        return;
    }
    tile = found;
    product(found.row, found.column * TILE_N, found.width, thread);
}
