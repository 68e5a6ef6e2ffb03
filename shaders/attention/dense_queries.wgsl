// attention, dense, one query a thread: every query of a sequence over every key of it.
//
// Bindings: params, q, k, v, lengths, out, lse. Grid: one workgroup per tile of 32 queries of one head, flat, tiles
// fastest, then heads, then sequences. How: lib/attention_queries.wgsl.
#import lib/attention_queries.wgsl
#import lib/attention_lse.wgsl

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
    begin(select(NONE, row, position < length));
    if first < length {
        let base = key_row(batch, 0u, head) * VECTORS;
        let end = select(length, min(first + TILE, length), params.causal != 0u);
        let keys = Keys(base, params.key_heads * VECTORS, 0u, 1u, 0u, end);
        attend(keys, Queries(position, first, first + TILE - 1u), 0u, params.rows);
    }
    if position < length {
        store(row);
        lse[row] = top + log(total);
    } else if position < params.rows {
        store_zeros(row);
        lse[row] = params.padding_lse;
    }
}

fn is_excluded(position: u32) -> bool {
    return false;
}

fn excluded_end() -> u32 {
    return 0u;
}
