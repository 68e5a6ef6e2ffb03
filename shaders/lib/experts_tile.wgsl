// Finds out which tile of the grouped products a workgroup computes: rows of one expert's list by some columns.
//
// Workgroups are numbered through the experts' tiles one after another; how many there are depends on the data, so as
// many as there can be are started, and those behind the last tile leave. The kernel binds `routes`, imports
// lib/product or lib/product_direct.wgsl, and says how many tiles lie beside one another for an expert of some width:
// columns_of(width) -> u32.
#import lib/experts.wgsl

struct Tile {
    expert: u32,
    // First row of the tile in the expert's list, and how many the list has; none where there is no tile.
    row: u32,
    count: u32,
    // The how manieth of the tiles beside one another it is.
    column: u32,
    // First hidden unit of the expert, and how many it has.
    unit: u32,
    width: u32,
    // Where the hidden values of the expert's rows begin; rows follow one another at a distance of `width`.
    hidden: u32,
}

var<workgroup> expert_counts: array<atomic<u32>, MAX_EXPERTS>;
// Of the tile's expert.
var<workgroup> block_counts: array<u32, MAX_BLOCKS>;
// By row of the tile.
var<workgroup> tile_entries: array<u32, TILE_M>;
var<workgroup> shared_tile: Tile;

// What the functions of the product read; the entry point sets it.
var<private> tile: Tile;

fn find_tile(number: u32, thread: u32) -> Tile {
    for (var e = thread; e < params.experts; e += THREADS) {
        atomicStore(&expert_counts[e], 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < params.experts * params.blocks; i += THREADS) {
        atomicAdd(&expert_counts[i / params.blocks], routes[i]);
    }
    workgroupBarrier();
    if thread == 0u {
        var found = Tile(0u, 0u, 0u, 0u, 0u, 0u, 0u);
        var before = 0u;
        var unit = 0u;
        var hidden = 0u;
        for (var e = 0u; e < params.experts; e += 1u) {
            let count = atomicLoad(&expert_counts[e]);
            let width = width_of(e);
            let columns = columns_of(width);
            let tiles = (count + TILE_M - 1u) / TILE_M * columns;
            if number >= before && number - before < tiles {
                let own = number - before;
                found = Tile(e, own / columns * TILE_M, count, own % columns, unit, width, hidden);
            }
            before += tiles;
            unit += width;
            hidden += count * width;
        }
        shared_tile = found;
    }
    let found = workgroupUniformLoad(&shared_tile);
    for (var b = thread; b < params.blocks; b += THREADS) {
        block_counts[b] = routes[found.expert * params.blocks + b];
    }
    workgroupBarrier();
    for (var row = thread; row < min(TILE_M, found.count - found.row); row += THREADS) {
        var place = found.row + row;
        var block = 0u;
        while block + 1u < params.blocks && place >= block_counts[block] {
            place -= block_counts[block];
            block += 1u;
        }
        tile_entries[row] = routes[params.entries + found.expert * params.tokens + block * params.block + place];
    }
    workgroupBarrier();
    return found;
}

// The entry in a row of the tile; rows past the end of the expert's list repeat the last.
fn entry_of(row: u32) -> u32 {
    return tile_entries[min(row, tile.count - 1u) - tile.row];
}
