// attention, global keys: every query that is not global over the global keys. It continues from the out and state of
// the kernels before it.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one
// head, flat, tiles fastest, then heads, then sequences. Key tiles are gathered: 32 entries of the list of globals
// each. Tiling: lib/attention_tiles.wgsl.
#import lib/attention_tiles.wgsl
#import lib/attention_globals.wgsl
#import lib/attention_lse.wgsl
#import lib/attention_state.wgsl

const MERGE: bool = true;

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
    if first >= length {
        return;
    }
    // Sorted, so that entry i is at position i at the earliest.
    let end = select(params.globals, min(first + TILE, params.globals), params.causal != 0u);
    let key_tiles = (end + TILE - 1u) / TILE;
    attend(Part(batch, index / tiles % params.heads, length, first, 0u, 0u, key_tiles), thread);
}

fn query_position(part: Part, row: u32) -> u32 {
    let position = part.first_query + row;
    return select(NONE, position, position < part.length && !is_global(position));
}

fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    let entry = tile * TILE + column;
    var position = NONE;
    if entry < params.globals {
        position = globals[entry];
    }
    return select(NONE, position, position < part.length);
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {}

fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    let key = key_position(part, tile, column);
    return key != NONE && (params.causal == 0u || key <= part.first_query + row);
}

fn output_row(part: Part, row: u32) -> u32 {
    return (part.batch * params.rows + part.first_query + row) * params.heads + part.head;
}
