// attention, dense: every query of a sequence over every key of it.
//
// Bindings: params, q, k, v, lengths, out, lse. Grid: one workgroup per tile of 32 queries of one head, flat, tiles
// fastest, then heads, then sequences. Tiling: lib/attention_tiles.wgsl.
#import lib/attention_tiles.wgsl
#import lib/attention_padding.wgsl

const MERGE: bool = false;

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
    let end = select(length, min(first + TILE, length), params.causal != 0u);
    let key_tiles = select((end + TILE - 1u) / TILE, 0u, first >= length);
    let part = Part(batch, index / tiles % params.heads, length, first, 0u, 0u, key_tiles);
    attend(part, thread);
    clear_padding(part, thread);
}

fn resume(at: u32) -> vec2<f32> {
    return vec2(MASKED, 0.0);
}

fn finish(at: u32, top: f32, total: f32) {
    lse[at] = top + log(total);
}

fn query_position(part: Part, row: u32) -> u32 {
    let position = part.first_query + row;
    return select(NONE, position, position < part.length);
}

fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    let position = tile * TILE + column;
    return select(NONE, position, position < part.length);
}

fn is_absent(part: Part, tile: u32) -> bool {
    return false;
}

fn is_whole(part: Part, tile: u32) -> bool {
    let end = tile * TILE + TILE;
    return end <= part.length && (params.causal == 0u || end <= part.first_query + 1u);
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {}

fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    let key = tile * TILE + column;
    return key < part.length && (params.causal == 0u || key <= part.first_query + row);
}

fn output_row(part: Part, row: u32) -> u32 {
    return query_row(part.batch, part.first_query + row, part.head);
}
