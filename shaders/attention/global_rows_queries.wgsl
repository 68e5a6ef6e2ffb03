// attention, global rows, one query a thread: the global queries over every key. They are few and their keys many, so the
// keys are split into ranges whose partial results go to scratch: out [splits, B, G, H, Dh], normalised, and state
// [splits, B, G, H, 2], the maximum of the scores and the sum of exp(score - maximum). The kernel merge puts them together.
//
// Bindings: params, q, k, v, lengths, out, state, globals. Grid: one workgroup per tile of 32 entries of the list of
// globals for one head and range, flat, tiles fastest, then ranges, heads, sequences. How: lib/attention_queries.wgsl.
#import lib/attention_queries.wgsl
#import lib/attention_globals.wgsl

@group(0) @binding(6) var<storage, read_write> state: array<vec2<f32>>;

@compute @workgroup_size(TILE)
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
    let head = index / tiles / params.splits % params.heads;
    let entry = index % tiles * TILE + thread;
    let position = entry_position(entry);
    begin(select(NONE, query_row(batch, position, head), position < length));

    let first = entry_position(entry - thread);
    let last = entry_position(min(entry - thread + TILE, params.globals) - 1u);
    let first_key = split * params.split_keys;
    // Past the last position there may be anything in the list.
    let end = min(first_key + params.split_keys, select(length, min(last, length - 1u) + 1u, params.causal != 0u));
    let base = key_row(batch, 0u, head) * VECTORS;
    let keys = Keys(base, params.key_heads * VECTORS, 0u, 1u, first_key, min(end, length));
    attend(keys, Queries(position, first, last), 0u, params.rows);
    if entry < params.globals {
        let row = ((split * params.batch + batch) * params.globals + entry) * params.heads + head;
        store(row);
        state[row] = vec2(top, total);
    }
}

// The position of an entry of the list, at most N.
fn entry_position(entry: u32) -> u32 {
    var position = params.rows;
    if entry < params.globals {
        position = min(globals[entry], params.rows);
    }
    return position;
}

fn is_excluded(position: u32) -> bool {
    return false;
}

fn excluded_end() -> u32 {
    return 0u;
}
