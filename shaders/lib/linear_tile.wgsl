// `linear` in tiles of lib/product or lib/product_direct.wgsl, which a kernel imports with this file and
// lib/linear.wgsl.

// Where the row or column begins; those past the end repeat the last.
alias Row = u32;
alias Column = u32;

fn row_of(row: u32) -> Row {
    return min(row, params.m - 1u) * params.k;
}

fn column_of(group: u32, column: u32) -> Column {
    return min(column + group * SPAN, params.n - 1u) * params.k;
}

fn left(row: Row, four: u32) -> vec4<Element> {
    return load_x(row, four, params.k);
}

fn right(group: u32, column: Column, four: u32) -> vec4<Element> {
    return load_weight(column, four, params.k);
}

fn emit(row: u32, column: u32, sums: array<vec4<f32>, GROUPS>) {
    for (var g = 0u; g < GROUPS; g += 1u) {
        finish(row, column + g * SPAN, sums[g]);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (params.n + TILE_N - 1u) / TILE_N;
    let tile = flat_group(group, groups);
    let row0 = tile / columns * TILE_M;
    if row0 >= params.m {
        return;
    }
    product(row0, tile % columns * TILE_N, params.k, thread);
}
