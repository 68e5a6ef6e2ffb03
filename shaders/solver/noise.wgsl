// noise: Philox4x32-10 words and the normals made of them, for sequences with a seed each.
//
// Tiling: one thread makes one block of 4 elements of one sequence.
// Bindings: params, seeds [B, 2] (low, high), bits [B, count], normal [B, count]. Grid: flat over B x blocks.
#import lib/grid.wgsl
#import lib/trig.wgsl
#import lib/philox.wgsl

struct Params {
    batch: u32,
    count: u32,
    stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seeds: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> bits: array<u32>;
@group(0) @binding(3) var<storage, read_write> normal: array<f32>;

// Elements of a thread.
const BLOCK: u32 = 4u;
const THREADS: u32 = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (params.count + BLOCK - 1u) / BLOCK;
    let index = flat_group(group, groups) * THREADS + thread;
    let sequence = index / blocks;
    if sequence >= params.batch {
        return;
    }
    let block = index % blocks;
    let words = philox(vec4(block, params.stream, 0u, 0u), seeds[sequence]);
    let normals = vec4(box_muller(words.x, words.y), box_muller(words.z, words.w));
    for (var i = 0u; i < BLOCK; i += 1u) {
        let element = block * BLOCK + i;
        if element < params.count {
            bits[sequence * params.count + element] = words[i];
            normal[sequence * params.count + element] = normals[i];
        }
    }
}
