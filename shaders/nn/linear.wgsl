// linear: y[m, n] = residual + gate * activation(x[m, k] weight[n, k]^T + bias).
//
// Tiling: a workgroup computes a 64 x 64 tile of y, K in slices of 16 through workgroup memory; each of its
// 16 x 16 threads keeps 4 x 4 sums, rows and columns 16 apart so that reads of workgroup memory do not collide.
// Bindings: params, x, weight, bias, residual, gate, y. Grid: one workgroup per tile, flat, columns fastest.
#import lib/linear.wgsl

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;
const STRIDE: u32 = TILE + 1u;

var<workgroup> x_tile: array<f32, DEPTH * STRIDE>;
var<workgroup> weight_tile: array<f32, DEPTH * STRIDE>;

@compute @workgroup_size(TILE / 4u, TILE / 4u)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (params.n + TILE - 1u) / TILE;
    let tile = flat_group(group, groups);
    let row0 = tile / columns * TILE;
    let column0 = tile % columns * TILE;
    if row0 >= params.m {
        return;
    }
    var sums: array<vec4<f32>, 4>;
    for (var k0 = 0u; k0 < params.k; k0 += DEPTH) {
        for (var i = 0u; i < 4u; i += 1u) {
            let line = thread / DEPTH + i * 16u;
            let k = k0 + thread % DEPTH;
            let slot = thread % DEPTH * STRIDE + line;
            var a = 0.0;
            var b = 0.0;
            if k < params.k {
                if row0 + line < params.m {
                    a = x[(row0 + line) * params.k + k];
                }
                if column0 + line < params.n {
                    b = weight[(column0 + line) * params.k + k];
                }
            }
            x_tile[slot] = a;
            weight_tile[slot] = b;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 1u) {
            let at = k * STRIDE;
            let b = vec4(
                weight_tile[at + local.x],
                weight_tile[at + local.x + 16u],
                weight_tile[at + local.x + 32u],
                weight_tile[at + local.x + 48u],
            );
            sums[0] += x_tile[at + local.y] * b;
            sums[1] += x_tile[at + local.y + 16u] * b;
            sums[2] += x_tile[at + local.y + 32u] * b;
            sums[3] += x_tile[at + local.y + 48u] * b;
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i += 1u) {
        let row = row0 + local.y + i * 16u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = column0 + local.x + j * 16u;
            if row < params.m && column < params.n {
                store(row, column, sums[i][j]);
            }
        }
    }
}
