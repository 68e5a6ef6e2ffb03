// The pair (p, limit) of a hole: a dilation does not own the multiples of p up to limit.
fn hole(index: u32) -> vec2<u32> {
    let pairs = params.holes[index / 2u];
    return select(pairs.xy, pairs.zw, index % 2u == 1u);
}
