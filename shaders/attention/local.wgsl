// attention, local: the pairs with |i - j| <= w where neither is global. It runs first: it starts out, lse and
// state, and clears padding. Rows that are global are left to global_rows.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one
// head, flat, tiles fastest, then heads, then sequences. Tiling: lib/attention_tiles.wgsl; the keys of queries i..i +
// 32 are i - w .. i + 32 + w.
#import lib/attention_tiles.wgsl
#import lib/attention_globals.wgsl
#import lib/attention_lse.wgsl
#import lib/attention_state.wgsl

const MERGE: bool = false;

// 1 where the column is a key of this kernel.
var<workgroup> key_owned: array<u32, TILE>;

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
    let end = min(first + TILE + select(params.window, 0u, params.causal != 0u), length);
    let key_tiles = select((end - first_key + TILE - 1u) / TILE, 0u, first >= length);
    let part = Part(batch, index / tiles % params.heads, length, first, first_key, 0u, key_tiles);
    attend(part, thread);
    clear_padding(part, thread);
}

fn query_position(part: Part, row: u32) -> u32 {
    let position = part.first_query + row;
    return select(NONE, position, position < part.length && !is_global(position));
}

fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    let position = part.first_key + tile * TILE + column;
    return select(NONE, position, position < part.length);
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {
    if thread < TILE {
        let position = key_position(part, tile, thread);
        key_owned[thread] = select(0u, 1u, position != NONE && !is_global(position));
    }
}

fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    let i = part.first_query + row;
    let j = part.first_key + tile * TILE + column;
    let ahead = select(params.window, 0u, params.causal != 0u);
    return key_owned[column] != 0u && j + params.window >= i && j <= i + ahead;
}

fn output_row(part: Part, row: u32) -> u32 {
    return (part.batch * params.rows + part.first_query + row) * params.heads + part.head;
}
