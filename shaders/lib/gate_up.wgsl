// First grouped product: hidden = silu(x gate_e^T) * (x up_e^T) for the tokens of each expert e.
//
// Tiling: TILE_M entries x SPAN hidden units of one expert, of both products at once: groups 0 and 1 of a tile of
// lib/product or lib/product_direct.wgsl, which a kernel imports with this file. Buffers hold elements as `held`;
// `loads` and `saves` are the files that load and save such; `rows` is the file that reads rows of x.
// Bindings: params, x, gate, up, routes, hidden, then what `rows` needs. Grid: flat, as many as there can be tiles.
#parameters held loads saves rows
#import lib/activation.wgsl
#import lib/grid.wgsl
#import lib/experts_tile.wgsl
#import lib/stored.wgsl

@group(0) @binding(2) var<storage, read> gate: array<held>;
@group(0) @binding(3) var<storage, read> up: array<held>;
@group(0) @binding(4) var<storage, read> routes: array<u32>;
@group(0) @binding(5) var<storage, read_write> hidden: array<held>;

#import lib/rows.wgsl kept=held reads=loads
#import lib/loads.wgsl load=load_gate buffer=gate
#import lib/loads.wgsl load=load_up buffer=up
#import lib/saves.wgsl save=save_hidden buffer=hidden

// Where a row of gate and of up begins.
alias Column = u32;

fn columns_of(width: u32) -> u32 {
    return (width + SPAN - 1u) / SPAN;
}

// Units past the end repeat the last.
fn column_of(group: u32, column: u32) -> Column {
    return (tile.unit + min(column, tile.width - 1u)) * params.dim;
}

fn right(group: u32, column: Column, four: u32) -> vec4<Element> {
    if group == 0u {
        return load_gate(column, four, params.dim);
    }
    return load_up(column, four, params.dim);
}

fn emit(row: u32, column: u32, sums: array<vec4<f32>, GROUPS>) {
    if row < tile.count {
        let start = tile.hidden + row * tile.width;
        save_hidden(start, column / 4u, tile.width, silu(sums[0]) * sums[1]);
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
    product(found.row, found.column * SPAN, params.dim, thread);
}
