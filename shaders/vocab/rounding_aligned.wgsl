// vocab/rounding for a dim that is a multiple of 4, whose rows are loaded in vec4s.
#import lib/four_aligned.wgsl load=x4 buffer=x rows=params.rows width=params.dim
#import lib/four_aligned.wgsl load=table4 buffer=table rows=params.vocab width=params.dim
#import lib/rounding.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> state: array<vec2<u32>>;
