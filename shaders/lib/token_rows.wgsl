// Rows of x, by the entries of a list.
#parameters kept reads
#import lib/experts_tile.wgsl
#import lib/stored.wgsl

@group(0) @binding(1) var<storage, read> x: array<kept>;

#import lib/reads.wgsl load=load_x buffer=x

// Where it begins.
alias Row = u32;

fn row_of(row: u32) -> Row {
    return (params.first + entry_of(row) / params.top_k) * params.dim;
}

fn left(row: Row, four: u32) -> vec4<Element> {
    return load_x(row, four, params.dim);
}
