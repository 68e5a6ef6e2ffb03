// vocab/expectation for dim, embed_dim and offsets of the modulation that are multiples of 4: all is loaded and stored
// in vec4s.
#import lib/four_aligned.wgsl load=h4 buffer=h rows=params.rows width=params.dim
#import lib/four_aligned.wgsl load=unembed4 buffer=unembed rows=params.vocab width=params.dim
#import lib/four_aligned.wgsl load=embed4 buffer=embed rows=params.vocab width=params.embed_dim
#import lib/four_aligned.wgsl load=skip4 buffer=skip rows=params.rows width=params.embed_dim
#import lib/four_aligned.wgsl load=absorb4 buffer=absorb rows=params.rows width=params.embed_dim
#import lib/expectation.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> h: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> unembed: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> embed: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> skip: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> absorb: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> modulation: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> x0: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> state: array<vec4<u32>>;

fn store_x0(row: u32, column: u32, sums: vec4<f32>) {
    if column < params.embed_dim {
        x0[(row * params.embed_dim + column) / 4u] = sums;
    }
}

fn modulated(four: vec4<f32>, k: u32) -> vec4<f32> {
    var result = vec4(0.0);
    if k < params.dim {
        let scale = modulation[(params.scale_offset + k) / 4u];
        result = four * (1.0 + scale) + modulation[(params.shift_offset + k) / 4u];
    }
    return result;
}
