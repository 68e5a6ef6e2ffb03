// First grouped product: hidden = silu(x gate_e^T) * (x up_e^T) for the tokens of each expert e.
//
// Tiling: a workgroup computes ROWS entries x 64 hidden units of one expert, both products at once, dim in slices of
// 16 through workgroup memory; each of its 16 x ROWS/4 threads keeps 2 x 4 x 4 sums. Workgroup memory holds vectors
// of 4 rows (or units) at one place of dim, so a thread reads three vectors for 32 multiply-adds.
// Bindings: params, x, gate, up, entries, tiles, hidden.
// Grid: indirect, tiles in x, 64 units in y; workgroups beyond their expert's width return at once.
#import lib/experts.wgsl
#import lib/activation.wgsl

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> up: array<f32>;
@group(0) @binding(4) var<storage, read> entries: array<u32>;
@group(0) @binding(5) var<storage, read> tiles: array<Tile>;
@group(0) @binding(6) var<storage, read_write> hidden: array<f32>;

const ROWS: u32 = 64u;
const THREADS: u32 = COLUMNS / 16u * ROWS;
const DEPTH: u32 = 16u;
// Vectors from one place of dim to the next; one more than there are, against bank conflicts.
const ROW_STRIDE: u32 = ROWS / 4u + 1u;
const UNIT_STRIDE: u32 = COLUMNS / 4u + 1u;

var<workgroup> shared_tile: Tile;
var<workgroup> x_tile: array<vec4<f32>, DEPTH * ROW_STRIDE>;
var<workgroup> gate_tile: array<vec4<f32>, DEPTH * UNIT_STRIDE>;
var<workgroup> up_tile: array<vec4<f32>, DEPTH * UNIT_STRIDE>;

// Where the values of a row's token begin in x; rows past the end repeat the last.
fn row_start(tile: Tile, row: u32) -> u32 {
    let entry = entries[tile.first + min(row, tile.rows - 1u)];
    return (params.first + entry / params.top_k) * params.dim;
}

fn store(tile: Tile, row: u32, unit: u32, gate_sums: vec4<f32>, up_sums: vec4<f32>) {
    if row >= tile.rows {
        return;
    }
    let at = tile.hidden + row * tile.width + unit;
    for (var j = 0u; j < 4u; j += 1u) {
        if unit + j < tile.width {
            hidden[at + j] = silu(gate_sums[j]) * up_sums[j];
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
    let unit0 = group.y * COLUMNS;
    if unit0 >= tile.width {
        return;
    }
    let depth = thread % DEPTH;
    let line = thread / DEPTH * 4u;
    let starts = vec4(
        row_start(tile, line),
        row_start(tile, line + 1u),
        row_start(tile, line + 2u),
        row_start(tile, line + 3u),
    );
    var gate_sums: array<vec4<f32>, 4>;
    var up_sums: array<vec4<f32>, 4>;
    for (var k0 = 0u; k0 < params.dim; k0 += DEPTH) {
        let k = k0 + depth;
        let inside = k < params.dim;
        var a = vec4(0.0);
        if inside {
            a = vec4(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
        }
        x_tile[depth * ROW_STRIDE + thread / DEPTH] = a;
        for (var i = thread; i < COLUMNS / 4u * DEPTH; i += THREADS) {
            let four = min(vec4(unit0 + i / DEPTH * 4u) + vec4(0u, 1u, 2u, 3u), vec4(tile.width - 1u));
            let at = (tile.unit + four) * params.dim + k;
            var g = vec4(0.0);
            var u = vec4(0.0);
            if inside {
                g = vec4(gate[at.x], gate[at.y], gate[at.z], gate[at.w]);
                u = vec4(up[at.x], up[at.y], up[at.z], up[at.w]);
            }
            gate_tile[depth * UNIT_STRIDE + i / DEPTH] = g;
            up_tile[depth * UNIT_STRIDE + i / DEPTH] = u;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d += 1u) {
            let rows = x_tile[d * ROW_STRIDE + local.y];
            let g = gate_tile[d * UNIT_STRIDE + local.x];
            let u = up_tile[d * UNIT_STRIDE + local.x];
            gate_sums[0] += rows.x * g;
            gate_sums[1] += rows.y * g;
            gate_sums[2] += rows.z * g;
            gate_sums[3] += rows.w * g;
            up_sums[0] += rows.x * u;
            up_sums[1] += rows.y * u;
            up_sums[2] += rows.z * u;
            up_sums[3] += rows.w * u;
        }
        workgroupBarrier();
    }
    let row = local.y * 4u;
    let unit = unit0 + local.x * 4u;
    store(tile, row, unit, gate_sums[0], up_sums[0]);
    store(tile, row + 1u, unit, gate_sums[1], up_sums[1]);
    store(tile, row + 2u, unit, gate_sums[2], up_sums[2]);
    store(tile, row + 3u, unit, gate_sums[3], up_sums[3]);
}
