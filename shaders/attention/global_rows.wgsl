// attention, global rows: the global queries over every key. They are few and their keys many, so the keys are split
// into ranges whose partial results go to scratch: out [splits, B, G, H, Dh], normalised, and state [splits, B, G, H, 2],
// the maximum of the scores and the sum of exp(score - maximum). The kernel merge puts them together.
//
// Bindings: params, q, k, v, lengths, out, state, globals. Grid: one workgroup per tile of 32 entries of the list of
// globals for one head and range, flat, tiles fastest, then ranges, heads, sequences. Tiling:
// lib/attention_tiles.wgsl.
#import lib/attention_tiles.wgsl
#import lib/attention_globals.wgsl

const MERGE: bool = false;

@group(0) @binding(6) var<storage, read_write> state: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = (params.globals + TILE - 1u) / TILE;
    let index = flat_group(group, groups);
    let batch = index / tiles / params.splits / params.heads;
    if batch >= params.batch {
        return;
    }
    let length = sequence_length(batch);
    let split = index / tiles % params.splits;
    let first_key = split * params.split_keys;
    let first = index % tiles * TILE;
    var end = min(first_key + params.split_keys, length);
    if params.causal != 0u {
        end = min(end, min(globals[min(first + TILE, params.globals) - 1u], length) + 1u);
    }
    let key_tiles = select((end - first_key + TILE - 1u) / TILE, 0u, first_key >= end);
    let head = index / tiles / params.splits % params.heads;
    attend(Part(batch, head, length, first, first_key, split, key_tiles), thread);
}

fn resume(at: u32) -> vec2<f32> {
    return vec2(MASKED, 0.0);
}

fn finish(at: u32, top: f32, total: f32) {
    state[at] = vec2(top, total);
}

fn query_position(part: Part, row: u32) -> u32 {
    let entry = part.first_query + row;
    var position = NONE;
    if entry < params.globals {
        position = globals[entry];
    }
    return select(NONE, position, position < part.length);
}

fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    let position = part.first_key + tile * TILE + column;
    return select(NONE, position, position < part.length);
}

fn is_absent(part: Part, tile: u32) -> bool {
    return false;
}

fn is_whole(part: Part, tile: u32) -> bool {
    let end = part.first_key + tile * TILE + TILE;
    let seen = params.causal == 0u || end <= globals[part.first_query];
    return end <= part.length && seen;
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {}

// A range is whole tiles long, so no column of its last tile belongs to the next range.
fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    let key = part.first_key + tile * TILE + column;
    return key < part.length && (params.causal == 0u || key <= query_position(part, row));
}

fn output_row(part: Part, row: u32) -> u32 {
    let entry = (part.other * params.batch + part.batch) * params.globals + part.first_query + row;
    return entry * params.heads + part.head;
}
