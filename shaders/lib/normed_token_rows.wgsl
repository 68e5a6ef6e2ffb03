// Rows of x by the entries of a list, normed, then times 1 + gain, plus shift, as lib/token_rows.wgsl has them plain.
#parameters kept reads
#import lib/experts_tile.wgsl
#import lib/normed.wgsl
#import lib/stored.wgsl

@group(0) @binding(1) var<storage, read> x: array<kept>;
@group(0) @binding(6) var<storage, read> modulation: array<kept>;

#import lib/reads.wgsl load=load_x buffer=x
#import lib/reads.wgsl load=load_modulation buffer=modulation

// Where it begins, and what it is multiplied by.
struct Row {
    start: u32,
    inverse: f32,
}

fn row_of(row: u32) -> Row {
    let token = entry_of(row) / params.top_k;
    return Row((params.first + token) * params.dim, bitcast<f32>(routes[params.inverses + token]));
}

fn left(row: Row, four: u32) -> vec4<Element> {
    let gain = load_modulation(params.gain_offset, four, params.dim);
    let shift = load_modulation(params.shift_offset, four, params.dim);
    return normed(load_x(row.start, four, params.dim), row.inverse, gain, shift);
}
