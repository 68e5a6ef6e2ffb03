// Products of four elements along k at a time.

// Four vectors of four.
alias Fours = array<vec4<f32>, 4>;

// Four columns at each of four places of k, from four places of k in each of four columns.
fn turned(columns: Fours) -> Fours {
    return Fours(
        vec4(columns[0].x, columns[1].x, columns[2].x, columns[3].x),
        vec4(columns[0].y, columns[1].y, columns[2].y, columns[3].y),
        vec4(columns[0].z, columns[1].z, columns[2].z, columns[3].z),
        vec4(columns[0].w, columns[1].w, columns[2].w, columns[3].w),
    );
}

// Sums of one row and four columns with four places of k added, one after another: whatever the tile, a sum has the
// same terms in the same order, and so the same bits.
fn add_four(sums: vec4<f32>, row: vec4<f32>, columns: Fours) -> vec4<f32> {
    let first = fma(vec4(row.y), columns[1], fma(vec4(row.x), columns[0], sums));
    return fma(vec4(row.w), columns[3], fma(vec4(row.z), columns[2], first));
}
