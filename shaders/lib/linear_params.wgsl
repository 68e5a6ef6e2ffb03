// Parameters of `linear`, and the gate, which is read in single elements, for its values may begin anywhere.
struct Params {
    m: u32,
    k: u32,
    n: u32,
    activation: u32,
    bias: u32,
    residual: u32,
    gate: u32,
    // First element of the gate's n values in its buffer, not always a multiple of 4.
    gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> gate: array<f32>;

#import lib/load_ones.wgsl load=load_gate buffer=gate
