// attention, local and global keys: the pairs with |i - j| <= w or where j is global, of every i that is not. It runs
// first: it starts out, lse and state, and clears padding. Rows that are global are left to global_rows.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one
// head, flat, tiles fastest, then heads, then sequences. Tiling: lib/attention_tiles.wgsl; the keys of queries i..i +
// 32 are i - w .. i + 32 + w, and in further tiles, so many entries of the list of globals each.
#import lib/attention_tiles.wgsl
#import lib/attention_globals.wgsl
#import lib/attention_apart.wgsl
#import lib/attention_padding.wgsl
#import lib/attention_state.wgsl

const MERGE: bool = false;

// Positions of this tile's keys, NONE where a column is no key.
var<workgroup> key_at: array<u32, TILE>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = (params.rows + TILE - 1u) / TILE;
    let index = flat_group(group, groups);
    let batch = index / tiles / params.heads;
    if batch >= params.batch {
        return;
    }
    let length = sequence_length(batch);
    let first = index % tiles * TILE;
    let first_key = max(first, params.window) - params.window;
    var local_tiles = 0u;
    var global_tiles = 0u;
    if first < length {
        let end = min(first + TILE + select(params.window, 0u, params.causal != 0u), length);
        local_tiles = (end - first_key + TILE - 1u) / TILE;
        // Sorted, so that entry i is at position i at the earliest.
        let entries = select(params.globals, min(first + TILE, params.globals), params.causal != 0u);
        global_tiles = (entries + TILE - 1u) / TILE;
    }
    let head = index / tiles % params.heads;
    let part = Part(batch, head, length, first, first_key, local_tiles, local_tiles + global_tiles);
    attend(part, thread);
    clear_padding(part, thread);
}

fn query_position(part: Part, row: u32) -> u32 {
    let position = part.first_query + row;
    return select(NONE, position, position < part.length && !is_global(position));
}

// Tiles from `part.other` on are of the list.
fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    var position = part.first_key + tile * TILE + column;
    if tile >= part.other {
        let entry = (tile - part.other) * TILE + column;
        position = NONE;
        if entry < params.globals {
            position = globals[entry];
        }
    }
    return select(NONE, position, position < part.length);
}

fn is_absent(part: Part, tile: u32) -> bool {
    return false;
}

fn is_whole(part: Part, tile: u32) -> bool {
    let first = part.first_key + tile * TILE;
    let ahead = select(params.window, 0u, params.causal != 0u);
    let near = part.first_query + TILE - 1u <= first + params.window && first + TILE - 1u <= part.first_query + ahead;
    let plain = first >= excluded_end() && first + TILE <= part.length;
    return tile < part.other && near && plain;
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {
    if thread < TILE {
        let position = key_position(part, tile, thread);
        key_at[thread] = select(position, NONE, tile < part.other && is_excluded(position));
    }
}

fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    let i = part.first_query + row;
    let j = key_at[column];
    let near = j + params.window >= i && j <= i + params.window;
    return j != NONE && (tile >= part.other || near) && (params.causal == 0u || j <= i);
}

fn output_row(part: Part, row: u32) -> u32 {
    return query_row(part.batch, part.first_query + row, part.head);
}
