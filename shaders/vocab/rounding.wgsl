// rounding: the token whose table row has the largest inner product with each row of x, the lower index on a tie. This
// part looks through a part of the vocabulary (a split); vocab/rounding_merge compares them.
//
// Tiling: a workgroup takes ROWS rows through a split, 64 tokens at a time (lib/scores); the 8 threads of a row keep
// their own best until the end. Results do not depend on ROWS and THREADS.
// Bindings: params, x [rows, dim], table [vocab, dim], state [splits, rows]: bits of the largest product, and whose it
// is. Grid: one workgroup for each ROWS rows and split, flat, rows fastest.
#import lib/four.wgsl load=x4 buffer=x rows=params.rows width=params.dim
#import lib/four.wgsl load=table4 buffer=table rows=params.vocab width=params.dim
#import lib/rounding.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<vec2<u32>>;
