// Chooses the top_k experts of each token, and lists each expert's entries. lib/top_k.wgsl says how.
//
// A workgroup takes a block of tokens, 64 at a time, one a thread.
// Bindings: params, router_logits, cost_bias, routes. Grid: one workgroup per block, flat.
#import lib/top_k.wgsl
#import lib/grid.wgsl

@group(0) @binding(1) var<storage, read> router_logits: array<f32>;
@group(0) @binding(2) var<storage, read> cost_bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> routes: array<u32>;

const THREADS: u32 = 64u;
// Tokens taken at a time.
const CHUNK: u32 = 64u;

fn logit_of(row: u32, expert: u32) -> f32 {
    return router_logits[row + expert];
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_group(group, groups);
    if block >= params.blocks {
        return;
    }
    let experts = params.experts;
    begin_lists(thread, experts);
    let end = min((block + 1u) * params.block, params.tokens);
    for (var first = block * params.block; first < end; first += CHUNK) {
        let token = first + thread;
        begin_chunk(thread, experts);
        if token < end {
            choose((params.first + token) * params.experts, token, thread);
        }
        workgroupBarrier();
        if token < end {
            list(block, token, thread);
        }
        end_chunk(thread, experts);
    }
    end_lists(block, thread, experts);
}
