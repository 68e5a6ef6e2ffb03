// A tile of a product without workgroup memory or barriers, for devices whose workgroup memory is no faster than other
// memory, and for few rows: all threads of a workgroup read the same ROWS rows, each for 4 GROUPS columns of its own.
//
// What the kernel declares and what it is handed is as in lib/product, whose sums these are bit by bit. Rows are read
// at the same place by all threads, which costs one read; columns are read at a distance of k, 16 bytes at a time.
#import lib/fours.wgsl

alias Element = f32;

const ROWS: u32 = 32u;
const GROUPS: u32 = 1u;
const THREADS: u32 = 32u;
const SPAN: u32 = 4u * THREADS;
const TILE_M: u32 = ROWS;
const TILE_N: u32 = SPAN * GROUPS;

fn product(row0: u32, column0: u32, depth: u32, thread: u32) {
    let fours = (depth + 3u) / 4u;
    let column = column0 + 4u * thread;
    var rows: array<Row, ROWS>;
    var columns: array<array<Column, 4>, GROUPS>;
    for (var i = 0u; i < ROWS; i += 1u) {
        rows[i] = row_of(row0 + i);
    }
    for (var g = 0u; g < GROUPS; g += 1u) {
        for (var j = 0u; j < 4u; j += 1u) {
            columns[g][j] = column_of(g, column + j);
        }
    }
    var sums: array<array<vec4<f32>, GROUPS>, ROWS>;
    for (var four = 0u; four < fours; four += 1u) {
        var b: array<Fours, GROUPS>;
        for (var g = 0u; g < GROUPS; g += 1u) {
            b[g] = turned(Fours(
                right(g, columns[g][0], four),
                right(g, columns[g][1], four),
                right(g, columns[g][2], four),
                right(g, columns[g][3], four),
            ));
        }
        for (var i = 0u; i < ROWS; i += 1u) {
            let a = left(rows[i], four);
            for (var g = 0u; g < GROUPS; g += 1u) {
                sums[i][g] = add_four(sums[i][g], a, b[g]);
            }
        }
    }
    for (var i = 0u; i < ROWS; i += 1u) {
        emit(row0 + i, column, sums[i]);
    }
}
