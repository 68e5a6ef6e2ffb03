// attention, dilated: the pairs at distance r m, near <= m <= reach without the holes, of one dilation (r, k) where
// neither is global; what the window or an earlier dilation holds is not among them. It continues from the out and state
// of the kernels before it.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one
// residue class i = residue + r u, flat, tiles of u fastest, then residues, heads, sequences. Within a class the
// dilation is a window: the keys of u .. u + 32 are u - k .. u + 32 + k, so tiles are dense. Tiling:
// lib/attention_tiles.wgsl.
#import lib/attention_tiles.wgsl
#import lib/attention_globals.wgsl
#import lib/attention_holes.wgsl
#import lib/attention_state.wgsl

const MERGE: bool = true;

// 1 where the column is a key of this kernel.
var<workgroup> key_owned: array<u32, TILE>;
// 1 where the difference column - row + 31 of this key tile belongs to this dilation.
var<workgroup> difference_owned: array<u32, 2u * TILE>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let r = params.dilation;
    let tiles = ((params.rows + r - 1u) / r + TILE - 1u) / TILE;
    let index = flat_group(group, groups);
    let batch = index / tiles / r / params.heads;
    if batch >= params.batch {
        return;
    }
    let length = sequence_length(batch);
    let residue = index / tiles % r;
    // Positions of this class.
    let count = select((length - residue + r - 1u) / r, 0u, residue >= length);
    let first = index % tiles * TILE;
    if first >= count {
        return;
    }
    let first_key = max(first, params.reach) - params.reach;
    let end = min(first + TILE + select(params.reach, 0u, params.causal != 0u), count);
    let key_tiles = (end - first_key + TILE - 1u) / TILE;
    attend(Part(batch, index / tiles / r % params.heads, length, first, first_key, residue, key_tiles), thread);
}

// Position of member u of the class, or NONE.
fn member(part: Part, u: u32) -> u32 {
    let count = (part.length - part.other + params.dilation - 1u) / params.dilation;
    return select(NONE, part.other + params.dilation * u, u < count);
}

fn query_position(part: Part, row: u32) -> u32 {
    let position = member(part, part.first_query + row);
    return select(position, NONE, is_global(position));
}

fn key_position(part: Part, tile: u32, column: u32) -> u32 {
    return member(part, part.first_key + tile * TILE + column);
}

fn is_absent(part: Part, tile: u32) -> bool {
    let first = part.first_key + tile * TILE;
    let last_query = part.first_query + TILE - 1u;
    return first + TILE - 1u < part.first_query + params.near && last_query < first + params.near;
}

fn is_whole(part: Part, tile: u32) -> bool {
    return false;
}

fn prepare_tile(part: Part, tile: u32, thread: u32) {
    if thread < TILE {
        let position = key_position(part, tile, thread);
        key_owned[thread] = select(0u, 1u, position != NONE && !is_global(position));
    }
    if thread < 2u * TILE - 1u {
        // Key minus query in steps of r, both sides raised by TILE - 1 to stay positive.
        let a = part.first_key + tile * TILE + thread;
        let b = part.first_query + TILE - 1u;
        let later = a > b && params.causal != 0u;
        difference_owned[thread] = select(0u, 1u, !later && steps_owned(max(a, b) - min(a, b)));
    }
}

fn steps_owned(m: u32) -> bool {
    if m < params.near || m > params.reach {
        return false;
    }
    for (var i = 0u; i < params.hole_count; i += 1u) {
        let h = hole(i);
        if m % h.x == 0u && m <= h.y {
            return false;
        }
    }
    return true;
}

fn owns(part: Part, tile: u32, row: u32, column: u32) -> bool {
    return key_owned[column] != 0u && difference_owned[column + TILE - 1u - row] != 0u;
}

fn output_row(part: Part, row: u32) -> u32 {
    let position = part.other + params.dilation * (part.first_query + row);
    return query_row(part.batch, position, part.head);
}
