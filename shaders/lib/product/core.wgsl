// A tile of a product, k in slices through workgroup memory; each of 8 x 8 threads keeps ROWS x 4 GROUPS sums.
//
// The kernel says what it multiplies, four elements along k at a time, and takes the sums:
//     Row, row_of(row) -> Row                    what it needs to read a row of the left factor, made once for the tile
//     left(row: Row, four) -> vec4<Element>      its elements from 4 four on
//     Column, column_of(group, column) -> Column
//     right(group, column: Column, four) -> vec4<Element>      the same of the right factor
//     emit(row, column, sums)                    four sums for each group: of the columns from `column` on
// A group is SPAN columns of the tile: the kernel says what they are, neighbours of the group before, or the same of
// another factor. `column` counts from column0 on, within a group.
// Rows and columns past the end are asked for too: they give anything, and go to `emit`, which drops them. No four
// that begins behind `depth` is asked for; the last has zeros from `depth` on.
//
// Workgroup memory holds fours. A row's are at an odd distance, so that eight threads read from different banks: rows
// follow one another, and so do every fourth column, for a thread's columns are neighbours. A thread reads ROWS + 4
// GROUPS vectors for 16 ROWS GROUPS multiply-adds: 0.25 numbers for each where it has 8 x 8 sums, 0.5 where it has 4
// x 4.
#import lib/fours.wgsl

alias Element = f32;

const ROWS: u32 = 8u;
const GROUPS: u32 = 2u;
const THREADS: u32 = 64u;
const SPAN: u32 = 32u;
const TILE_M: u32 = 8u * ROWS;
const TILE_N: u32 = SPAN * GROUPS;
// Fours of a slice of k.
const DEPTH: u32 = 4u;
const PITCH: u32 = DEPTH + 1u;
// Fours that a thread stores of each slice, and how many lines lie between them.
const LEFT_LOADS: u32 = TILE_M * DEPTH / THREADS;
const RIGHT_LOADS: u32 = TILE_N * DEPTH / THREADS;
const LINES: u32 = THREADS / DEPTH;

var<workgroup> left_tile: array<vec4<Element>, TILE_M * PITCH>;
var<workgroup> right_tile: array<vec4<Element>, TILE_N * PITCH>;

// Where a column's fours begin in right_tile.
fn right_slot(column: u32) -> u32 {
    return (column % 4u * (TILE_N / 4u) + column / 4u) * PITCH;
}

fn product(row0: u32, column0: u32, depth: u32, thread: u32) {
    let fours = (depth + 3u) / 4u;
    let line = thread / DEPTH;
    let place = thread % DEPTH;
    var rows: array<Row, LEFT_LOADS>;
    var columns: array<Column, RIGHT_LOADS>;
    for (var i = 0u; i < LEFT_LOADS; i += 1u) {
        rows[i] = row_of(row0 + line + i * LINES);
    }
    for (var i = 0u; i < RIGHT_LOADS; i += 1u) {
        columns[i] = column_of(i * LINES / SPAN, column0 + (line + i * LINES) % SPAN);
    }
    let left_at = thread / 8u * PITCH;
    let right_at = thread % 8u * PITCH;
    var sums: array<array<vec4<f32>, GROUPS>, ROWS>;
    for (var first = 0u; first < fours; first += DEPTH) {
        let four = min(first + place, fours - 1u);
        for (var i = 0u; i < LEFT_LOADS; i += 1u) {
            left_tile[(line + i * LINES) * PITCH + place] = left(rows[i], four);
        }
        for (var i = 0u; i < RIGHT_LOADS; i += 1u) {
            right_tile[right_slot(line + i * LINES) + place] = right(i * LINES / SPAN, columns[i], four);
        }
        workgroupBarrier();
        let end = min(DEPTH, fours - first);
        for (var k = 0u; k < end; k += 1u) {
            var b: array<Fours, GROUPS>;
            for (var g = 0u; g < GROUPS; g += 1u) {
                let at = right_at + g * 8u * PITCH + k;
                b[g] = turned(Fours(
                    right_tile[at],
                    right_tile[at + TILE_N / 4u * PITCH],
                    right_tile[at + TILE_N / 2u * PITCH],
                    right_tile[at + TILE_N / 4u * 3u * PITCH],
                ));
            }
            for (var i = 0u; i < ROWS; i += 1u) {
                let a = left_tile[left_at + i * 8u * PITCH + k];
                for (var g = 0u; g < GROUPS; g += 1u) {
                    sums[i][g] = add_four(sums[i][g], a, b[g]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i += 1u) {
        emit(row0 + thread / 8u + i * 8u, column0 + thread % 8u * 4u, sums[i]);
    }
}
