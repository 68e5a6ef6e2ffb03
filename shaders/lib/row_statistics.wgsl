// What RMS or layer norm takes of a row, for kernels that fold the norm in: (x - origin - mean) inverse is its norm, as
// nn/norm has it. `load` reads rows, as lib/load_fours.wgsl does.
#parameters load
#import lib/overflowing.wgsl

struct Statistics {
    origin: f32,
    mean: f32,
    inverse: f32,
}

// Four elements less `origin` and `mean`; zeros where the row has ended.
fn centred(start: u32, four: u32, width: u32, origin: f32, mean: f32) -> vec4<f32> {
    let place = vec4(4u * four) + vec4(0u, 1u, 2u, 3u);
    return select(vec4(0.0), load(start, four, width) - origin - mean, place < vec4(width));
}

// Of a row of `width` elements from `start` on; `kind` is 0 for RMS and 1 for layer norm.
fn row_statistics(kind: u32, start: u32, width: u32, eps: f32) -> Statistics {
    let fours = (width + 3u) / 4u;
    let count = f32(width);
    var own = Statistics(0.0, 0.0, 0.0);
    if kind == 1u {
        own.origin = load(start, 0u, width).x;
        var sums = vec4(0.0);
        for (var four = 0u; four < fours; four += 1u) {
            sums += centred(start, four, width, own.origin, 0.0);
        }
        own.mean = (sums.x + sums.y + sums.z + sums.w) / count;
    }
    var squares = vec4(0.0);
    for (var four = 0u; four < fours; four += 1u) {
        let value = centred(start, four, width, own.origin, own.mean);
        squares += value * value;
    }
    let sum = squares.x + squares.y + squares.z + squares.w;
    own.inverse = 1.0 / sqrt(sum / count + eps);
    if sum > OVERFLOWING {
        squares = vec4(0.0);
        for (var four = 0u; four < fours; four += 1u) {
            let value = centred(start, four, width, own.origin, own.mean) * SHRINK;
            squares += value * value;
        }
        own.inverse = SHRINK / sqrt((squares.x + squares.y + squares.z + squares.w) / count);
    }
    return own;
}
