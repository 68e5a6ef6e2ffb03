// RMS norm as kernels fold it in that read rows for something else: what a row is multiplied by. `load` reads rows, as
// lib/load_fours.wgsl does. lib/normed.wgsl makes use of it.
#parameters load
#import lib/overflowing.wgsl

// One over the root of the mean square plus eps, of a row of `width` elements from `start` on.
fn row_inverse(start: u32, width: u32, sum_of_squares: f32, eps: f32) -> f32 {
    var inverse = 1.0 / sqrt(sum_of_squares / f32(width) + eps);
    if sum_of_squares > OVERFLOWING {
        var squares = 0.0;
        for (var four = 0u; four < (width + 3u) / 4u; four += 1u) {
            let small = load(start, four, width) * SHRINK;
            squares += dot(small, small);
        }
        inverse = SHRINK / sqrt(squares / f32(width));
    }
    return inverse;
}
