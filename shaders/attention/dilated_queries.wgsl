// attention, dilated, one query a thread: the pairs at distance r m, near <= m <= reach without the holes, of one
// dilation (r, k) where neither is global; what the window or an earlier dilation holds is not among them. It continues
// from the out and state of the kernels before it.
//
// Bindings: params, q, k, v, lengths, out, lse, globals, state. Grid: one workgroup per tile of 32 queries of one residue
// class i = residue + r u, flat, tiles of u fastest, then residues, heads, sequences. Within a class the dilation is a
// band: the keys of u .. u + 32 are u - k .. u + 32 + k. How: lib/attention_queries.wgsl.
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
    let r = params.dilation;
    let tiles = ((params.rows + r - 1u) / r + TILE - 1u) / TILE;
    let index = flat_group(group, groups);
    let batch = index / tiles / r / params.heads;
    if batch >= params.batch {
        return;
    }
    let head = index / tiles / r % params.heads;
    let length = sequence_length(batch);
    let residue = index / tiles % r;
    // Positions of this class.
    let count = select((length - residue + r - 1u) / r, 0u, residue >= length);
    let first = index % tiles * TILE;
    if first >= count {
        return;
    }
    let own = first + thread;
    let position = residue + r * own;
    let row = query_row(batch, position, head);
    let ordinary = own < count && !is_global(position);
    begin(select(NONE, row, ordinary));
    if ordinary {
        resume_row(row, state[row]);
    }
    let base = key_row(batch, residue, head) * VECTORS;
    let first_key = max(first, params.reach) - params.reach;
    let end = min(first + TILE + select(params.reach, 0u, params.causal != 0u), count);
    let keys = Keys(base, r * params.key_heads * VECTORS, residue, r, first_key, end);
    attend(keys, Queries(own, first, first + TILE - 1u), params.near, params.reach);
    if ordinary {
        store(row);
        finish(row, top, total);
    }
}
