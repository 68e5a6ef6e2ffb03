// What both kernels of vocab/rounding do, however they load: see there.
#import lib/grid.wgsl
#import lib/place
#import lib/scores.wgsl

struct Params {
    rows: u32,
    dim: u32,
    vocab: u32,
    // How many workgroups the rows make.
    tiles: u32,
    splits: u32,
    // Tokens of a split, a multiple of 64.
    split: u32,
}

// Of each row, the largest products of its 8 threads and whose they are.
var<workgroup> maxima: array<f32, 8u * ROWS>;
var<workgroup> holders: array<u32, 8u * ROWS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    lane: Lane,
) {
    let thread = lane.thread;
    let place = place_of(lane);
    let index = flat_group(group, groups);
    let row0 = index % params.tiles * ROWS;
    let split = index / params.tiles;
    if split >= params.splits {
        return;
    }
    let quad = thread % 4u;
    let begin = split * params.split;
    let end = min(begin + params.split, params.vocab);
    var best: array<f32, OWN>;
    var holder: array<u32, OWN>;
    for (var i = 0u; i < OWN; i += 1u) {
        best[i] = LOWEST;
        holder[i] = begin;
    }
    for (var token0 = begin; token0 < end; token0 += TOKENS) {
        var low = array<vec4<f32>, OWN>();
        var high = array<vec4<f32>, OWN>();
        for (var k0 = 0u; k0 < params.dim; k0 += DEPTH) {
            workgroupBarrier();
            for (var line = thread / 4u; line < ROWS; line += THREADS / 4u) {
                tile[line * PITCH + quad] = x4(row0 + line, k0 + 4u * quad);
            }
            for (var line = thread / 4u; line < TOKENS; line += THREADS / 4u) {
                tile[token_line(line) * PITCH + quad] = table4(token0 + line, k0 + 4u * quad);
            }
            workgroupBarrier();
            add_slice(&low, &high, place);
        }
        let token = token0 + 4u * place.x;
        for (var i = 0u; i < OWN; i += 1u) {
            // A thread's tokens rise from four to four.
            let of_low = counted(low[i], token, end);
            let at_low = largest(of_low);
            if of_low[at_low] > best[i] {
                best[i] = of_low[at_low];
                holder[i] = token + at_low;
            }
            let of_high = counted(high[i], token + 32u, end);
            let at_high = largest(of_high);
            if of_high[at_high] > best[i] {
                best[i] = of_high[at_high];
                holder[i] = token + 32u + at_high;
            }
        }
    }
    for (var i = 0u; i < OWN; i += 1u) {
        maxima[(place.y + LINES * i) * 8u + place.x] = best[i];
        holders[(place.y + LINES * i) * 8u + place.x] = holder[i];
    }
    workgroupBarrier();
    for (var line = thread; line < ROWS; line += THREADS) {
        if row0 + line < params.rows {
            var highest = maxima[line * 8u];
            var lowest = holders[line * 8u];
            for (var j = 1u; j < 8u; j += 1u) {
                let other = maxima[line * 8u + j];
                let at = holders[line * 8u + j];
                if other > highest || (other == highest && at < lowest) {
                    highest = other;
                    lowest = at;
                }
            }
            state[split * params.rows + row0 + line] = vec2(bitcast<u32>(highest), lowest);
        }
    }
}
