// rounding: the token whose table row has the largest inner product with each row of x, the lower index on a tie.
//
// Tiling: a workgroup takes 32 rows through the whole table, 32 tokens at a time (lib/scores); the 8 threads of a
// row keep their own best until the end.
// Bindings: params, x [rows, dim], table [vocab, dim], token [rows]. Grid: one workgroup for each 32 rows, flat.
#import lib/four.wgsl load=x4 buffer=x rows=params.rows width=params.dim
#import lib/four.wgsl load=table4 buffer=table rows=params.vocab width=params.dim
#import lib/grid.wgsl
#import lib/scores.wgsl

struct Params {
    rows: u32,
    dim: u32,
    vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> token: array<u32>;

var<workgroup> maxima: array<f32, 8u * ROWS>;
var<workgroup> holders: array<u32, 8u * ROWS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row0 = flat_group(group, groups) * ROWS;
    if row0 >= params.rows {
        return;
    }
    let place = vec2(thread % 8u, thread / 8u);
    var best = array<f32, 2>(LOWEST, LOWEST);
    var holder = array<u32, 2>(0u, 0u);
    for (var key0 = 0u; key0 < params.vocab; key0 += KEYS) {
        var products = array<vec4<f32>, 8>();
        for (var k0 = 0u; k0 < params.dim; k0 += DEPTH) {
            workgroupBarrier();
            for (var i = thread; i < 8u * ROWS; i += THREADS) {
                row_tile[i / 8u * PITCH + i % 8u] = x4(row0 + i / 8u, k0 + i % 8u * 4u);
                key_tile[key_slot(i / 8u, i % 8u)] = table4(key0 + i / 8u, k0 + i % 8u * 4u);
            }
            workgroupBarrier();
            add_products(&products, place);
        }
        let key = key0 + 4u * place.x;
        for (var i = 0u; i < 2u; i += 1u) {
            let p = 4u * i;
            let scores =
                four_scores(products[p], products[p + 1u], products[p + 2u], products[p + 3u], key, params.vocab);
            let at = largest(scores);
            if scores[at] > best[i] {
                best[i] = scores[at];
                holder[i] = key + at;
            }
        }
    }
    for (var i = 0u; i < 2u; i += 1u) {
        maxima[(place.y + 16u * i) * 8u + place.x] = best[i];
        holders[(place.y + 16u * i) * 8u + place.x] = holder[i];
    }
    workgroupBarrier();
    if thread < ROWS && row0 + thread < params.rows {
        var highest = maxima[thread * 8u];
        var lowest = holders[thread * 8u];
        for (var j = 1u; j < 8u; j += 1u) {
            let other = maxima[thread * 8u + j];
            let at = holders[thread * 8u + j];
            if other > highest || (other == highest && at < lowest) {
                highest = other;
                lowest = at;
            }
        }
        token[row0 + thread] = lowest;
    }
}
