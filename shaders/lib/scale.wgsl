// The scale of `experts`, which is read in single elements, for its values may begin anywhere.
@group(0) @binding(3) var<storage, read> scale: array<f32>;

#import lib/load_ones.wgsl load=load_scale buffer=scale
