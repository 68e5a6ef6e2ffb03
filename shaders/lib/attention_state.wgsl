// What the kernels of a sparse pattern pass on besides `out`: the maximum of a row's scores so far and the sum of
// exp(score - maximum). Both, because a log-sum-exp alone is rounded to its own size: at scores of a million a merge
// over it would be off by several percent.
#import lib/attention_lse.wgsl

@group(0) @binding(8) var<storage, read_write> state: array<vec2<f32>>;

fn resume(at: u32) -> vec2<f32> {
    return state[at];
}

fn finish(at: u32, top: f32, total: f32) {
    state[at] = vec2(top, total);
    lse[at] = top + log(total);
}
