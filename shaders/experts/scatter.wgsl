// Lists the entries by expert, and by token within an expert.
//
// A token chooses an expert at most once, so an entry's place in its block is the number of earlier tokens of the
// block that chose the same expert: bits of a mask of the block's tokens, one mask per expert.
// Bindings: params, indices, offsets [experts, blocks], entries.
// Grid: one thread per token, one workgroup per block of tokens, flat.
#import lib/experts.wgsl
#import lib/grid.wgsl

@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> entries: array<u32>;

// Two words per expert: tokens 0 to 31 and 32 to 63 of the block.
var<workgroup> masks: array<atomic<u32>, 2u * MAX_EXPERTS>;

@compute @workgroup_size(BLOCK)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_group(group, groups);
    if block >= params.blocks {
        return;
    }
    for (var m = thread; m < 2u * params.experts; m += BLOCK) {
        atomicStore(&masks[m], 0u);
    }
    workgroupBarrier();
    let token = block * BLOCK + thread;
    let inside = token < params.tokens;
    let chosen = (params.first + token) * params.top_k;
    let bit = 1u << (thread % 32u);
    if inside {
        for (var c = 0u; c < params.top_k; c += 1u) {
            atomicOr(&masks[indices[chosen + c] * 2u + thread / 32u], bit);
        }
    }
    workgroupBarrier();
    if inside {
        for (var c = 0u; c < params.top_k; c += 1u) {
            let expert = indices[chosen + c];
            var rank = countOneBits(atomicLoad(&masks[expert * 2u + thread / 32u]) & (bit - 1u));
            if thread >= 32u {
                rank += countOneBits(atomicLoad(&masks[expert * 2u]));
            }
            entries[offsets[expert * params.blocks + block] + rank] = token * params.top_k + c;
        }
    }
}
