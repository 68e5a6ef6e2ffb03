// From how often each block of tokens chose each expert: where their entries go, the experts' counts, and the tiles
// and grids of the grouped products.
//
// An exclusive sum over the histogram in the order [experts, blocks], in place, each thread a contiguous part of it;
// then a sum over experts of widths, tiles and hidden values; then every thread fills tiles, whose expert it finds by
// bisection. Experts of width 0 have no tiles.
// Bindings: params, offsets (the histogram), counts, tiles, gate_up_grid, down_grid. Grid: one workgroup.
#import lib/experts.wgsl

@group(0) @binding(1) var<storage, read_write> offsets: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read_write> gate_up_grid: array<u32>;
@group(0) @binding(5) var<storage, read_write> down_grid: array<u32>;

const THREADS: u32 = MAX_EXPERTS;

// Running sums of up to three numbers per thread.
var<workgroup> sums: array<vec3<u32>, THREADS>;
// Place of each expert's first entry; the one after the last expert is the number of entries.
var<workgroup> starts: array<u32, MAX_EXPERTS + 1u>;

// Sums of `value` over the threads up to and including this one.
fn inclusive_sum(thread: u32, value: vec3<u32>) {
    sums[thread] = value;
    workgroupBarrier();
    for (var step = 1u; step < THREADS; step *= 2u) {
        var before = vec3(0u);
        if thread >= step {
            before = sums[thread - step];
        }
        workgroupBarrier();
        sums[thread] += before;
        workgroupBarrier();
    }
}

fn tiles_of(expert: u32) -> u32 {
    let count = starts[expert + 1u] - starts[expert];
    return select((count + params.tile_rows - 1u) / params.tile_rows, 0u, width_of(expert) == 0u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    let length = params.experts * params.blocks;
    let part = (length + THREADS - 1u) / THREADS;
    let begin = min(thread * part, length);
    let end = min(begin + part, length);
    var own = 0u;
    for (var i = begin; i < end; i += 1u) {
        own += offsets[i];
    }
    inclusive_sum(thread, vec3(own, 0u, 0u));
    var running = sums[thread].x - own;
    for (var i = begin; i < end; i += 1u) {
        if i % params.blocks == 0u {
            starts[i / params.blocks] = running;
        }
        let count = offsets[i];
        offsets[i] = running;
        running += count;
    }
    if thread == 0u {
        starts[params.experts] = params.tokens * params.top_k;
    }
    workgroupBarrier();

    var own_sizes = vec3(0u);
    if thread < params.experts {
        let count = starts[thread + 1u] - starts[thread];
        let width = width_of(thread);
        own_sizes = vec3(width, tiles_of(thread), count * width);
        var before = 0u;
        if params.accumulate != 0u {
            before = counts[thread];
        }
        counts[thread] = before + count;
    }
    inclusive_sum(thread, own_sizes);

    let total = sums[THREADS - 1u].y;
    for (var t = thread; t < total; t += THREADS) {
        // The first expert whose running number of tiles exceeds t.
        var low = 0u;
        var high = params.experts - 1u;
        while low < high {
            let middle = (low + high) / 2u;
            if sums[middle].y > t {
                high = middle;
            } else {
                low = middle + 1u;
            }
        }
        let width = width_of(low);
        let count = starts[low + 1u] - starts[low];
        let row = (t - (sums[low].y - tiles_of(low))) * params.tile_rows;
        let rows = min(params.tile_rows, count - row);
        let hidden = sums[low].z - count * width + row * width;
        tiles[t] = Tile(starts[low] + row, rows, sums[low].x - width, width, hidden);
    }
    if thread == 0u {
        gate_up_grid[0] = total;
        gate_up_grid[1] = params.unit_columns;
        gate_up_grid[2] = 1u;
        down_grid[0] = total;
        down_grid[1] = params.dim_columns;
        down_grid[2] = 1u;
    }
}
