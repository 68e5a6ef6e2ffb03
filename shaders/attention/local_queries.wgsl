// attention, local and global keys, one query a thread: the pairs with |i - j| <= w or where j is global, of every i that
// is not. It runs first: it starts out, lse and state, and clears padding. Rows that are global are left to global_rows.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one head,
// flat, tiles fastest, then heads, then sequences. How: lib/attention_queries.wgsl.
#import lib/attention_queries.wgsl
#import lib/attention_globals.wgsl
#import lib/attention_apart.wgsl
#import lib/attention_state.wgsl

@compute @workgroup_size(TILE)
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
    let head = index / tiles % params.heads;
    let length = sequence_length(batch);
    let first = index % tiles * TILE;
    let position = first + thread;
    let row = query_row(batch, position, head);
    let ordinary = position < length && !is_global(position);
    begin(select(NONE, row, ordinary));
    if first < length {
        let base = key_row(batch, 0u, head) * VECTORS;
        let stride = params.key_heads * VECTORS;
        let first_key = max(first, params.window) - params.window;
        let end = min(first + TILE + select(params.window, 0u, params.causal != 0u), length);
        attend(Keys(base, stride, 0u, 1u, first_key, end), Queries(position, first, first + TILE - 1u), 0u, params.window);
        attend_globals(base, stride, length, position, first);
    }
    if ordinary {
        store(row);
        finish(row, top, total);
    } else if position >= length && position < params.rows {
        store_zeros(row);
        lse[row] = params.padding_lse;
    }
}

fn attend_globals(base: u32, stride: u32, length: u32, position: u32, first: u32) {
    let causal = params.causal != 0u;
    // Sorted, so that entry i is at position i at the earliest.
    let end = select(params.globals, min(first + TILE, params.globals), causal);
    for (var entry = 0u; entry < end; entry += BLOCK) {
        let positions = global_positions(entry, length);
        let seen = (positions < vec4(length)) & (vec4(!causal) | (positions <= vec4(position)));
        // The last of them tells.
        let masked = positions.w >= length || (causal && positions.w > first);
        fold(base + stride * min(positions, vec4(length - 1u)), masked, seen);
    }
}

// Four entries of the list; past its end the sequence's own.
fn global_positions(entry: u32, length: u32) -> vec4<u32> {
    var positions = vec4(length);
    if entry < params.globals {
        positions.x = globals[entry];
    }
    if entry + 1u < params.globals {
        positions.y = globals[entry + 1u];
    }
    if entry + 2u < params.globals {
        positions.z = globals[entry + 2u];
    }
    if entry + 3u < params.globals {
        positions.w = globals[entry + 3u];
    }
    return positions;
}
