// Second grouped product: y[entry] = hidden down_e^T, the output of each chosen expert for each token.
//
// Tiling: as experts/gate_up, with the expert's hidden units as the inner dimension and 64 values of dim as columns;
// a thread reads two vectors for 16 multiply-adds.
// Bindings: params, hidden, down, entries, tiles, y. Grid: indirect, tiles in x, 64 values of dim in y.
#import lib/experts.wgsl

@group(0) @binding(1) var<storage, read> hidden: array<f32>;
@group(0) @binding(2) var<storage, read> down: array<f32>;
@group(0) @binding(3) var<storage, read> entries: array<u32>;
@group(0) @binding(4) var<storage, read> tiles: array<Tile>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const ROWS: u32 = 64u;
const THREADS: u32 = COLUMNS / 16u * ROWS;
const DEPTH: u32 = 16u;
const ROW_STRIDE: u32 = ROWS / 4u + 1u;
const COLUMN_STRIDE: u32 = COLUMNS / 4u + 1u;

var<workgroup> shared_tile: Tile;
var<workgroup> hidden_tile: array<vec4<f32>, DEPTH * ROW_STRIDE>;
var<workgroup> down_tile: array<vec4<f32>, DEPTH * COLUMN_STRIDE>;

fn store(tile: Tile, row: u32, column: u32, sums: vec4<f32>) {
    if row >= tile.rows {
        return;
    }
    let at = entries[tile.first + row] * params.dim + column;
    for (var j = 0u; j < 4u; j += 1u) {
        if column + j < params.dim {
            y[at + j] = sums[j];
        }
    }
}

@compute @workgroup_size(COLUMNS / 4u, ROWS / 4u)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if thread == 0u {
        shared_tile = tiles[group.x];
    }
    let tile = workgroupUniformLoad(&shared_tile);
    let column0 = group.y * COLUMNS;
    let depth = thread % DEPTH;
    // Rows and columns past the end repeat the last.
    let lines = min(vec4(thread / DEPTH * 4u) + vec4(0u, 1u, 2u, 3u), vec4(tile.rows - 1u));
    let starts = tile.hidden + lines * tile.width;
    var sums: array<vec4<f32>, 4>;
    for (var k0 = 0u; k0 < tile.width; k0 += DEPTH) {
        let k = k0 + depth;
        let inside = k < tile.width;
        var a = vec4(0.0);
        if inside {
            a = vec4(hidden[starts.x + k], hidden[starts.y + k], hidden[starts.z + k], hidden[starts.w + k]);
        }
        hidden_tile[depth * ROW_STRIDE + thread / DEPTH] = a;
        for (var i = thread; i < COLUMNS / 4u * DEPTH; i += THREADS) {
            let four = min(vec4(column0 + i / DEPTH * 4u) + vec4(0u, 1u, 2u, 3u), vec4(params.dim - 1u));
            let at = four * params.units + tile.unit + k;
            var b = vec4(0.0);
            if inside {
                b = vec4(down[at.x], down[at.y], down[at.z], down[at.w]);
            }
            down_tile[depth * COLUMN_STRIDE + i / DEPTH] = b;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d += 1u) {
            let rows = hidden_tile[d * ROW_STRIDE + local.y];
            let b = down_tile[d * COLUMN_STRIDE + local.x];
            sums[0] += rows.x * b;
            sums[1] += rows.y * b;
            sums[2] += rows.z * b;
            sums[3] += rows.w * b;
        }
        workgroupBarrier();
    }
    let row = local.y * 4u;
    let column = column0 + local.x * 4u;
    store(tile, row, column, sums[0]);
    store(tile, row + 1u, column, sums[1]);
    store(tile, row + 2u, column, sums[2]);
    store(tile, row + 3u, column, sums[3]);
}
