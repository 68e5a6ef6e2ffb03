// segment_mean: the mean of x0 over the text rows of each segment, floor(i A / n) for position i of a text of n.
//
// Tiling: a workgroup takes one segment of one sequence and 16 dimensions; 4 threads share a dimension's rows.
// Bindings: params, x0 [B, R, De], lengths [B] (anchors included), mean [B, A, De]. Grid: flat, dimensions fastest.
#import lib/grid.wgsl

struct Params {
    batch: u32,
    rows: u32,
    anchors: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;

const DIMS: u32 = 16u;
// Threads of a dimension.
const SHARES: u32 = 4u;
const THREADS: u32 = DIMS * SHARES;

var<workgroup> partial: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (params.dim + DIMS - 1u) / DIMS;
    let index = flat_group(group, groups);
    let sequence = min(index / blocks / params.anchors, params.batch - 1u);
    let segment = index / blocks % params.anchors;
    let d = index % blocks * DIMS + thread % DIMS;
    let inside = index / blocks / params.anchors < params.batch && d < params.dim;
    // The first position of segment s is ceil(s n / A).
    let n = max(min(lengths[sequence], params.rows), params.anchors) - params.anchors;
    let first = (segment * n + params.anchors - 1u) / params.anchors;
    let end = ((segment + 1u) * n + params.anchors - 1u) / params.anchors;
    var sum = 0.0;
    if inside {
        for (var i = first + thread / DIMS; i < end; i += SHARES) {
            sum += x0[(sequence * params.rows + params.anchors + i) * params.dim + d];
        }
    }
    partial[thread] = sum;
    workgroupBarrier();
    if inside && thread < DIMS {
        let total =
            partial[thread] + partial[thread + DIMS] + partial[thread + 2u * DIMS] + partial[thread + 3u * DIMS];
        mean[(sequence * params.anchors + segment) * params.dim + d] = total / f32(max(end - first, 1u));
    }
}
