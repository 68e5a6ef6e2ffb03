// Parameters, bindings and epilogue shared by the kernels of `linear`.
#import lib/activation.wgsl
#import lib/grid.wgsl

struct Params {
    m: u32,
    k: u32,
    n: u32,
    activation: u32,
    bias: u32,
    residual: u32,
    gate: u32,
    // First element of the gate's n values in its buffer.
    gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> gate: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn store(row: u32, column: u32, sum: f32) {
    var value = sum;
    if params.bias != 0u {
        value += bias[column];
    }
    value = activate(params.activation, value);
    if params.gate != 0u {
        value *= gate[params.gate_offset + column];
    }
    let index = row * params.n + column;
    if params.residual != 0u {
        value += residual[index];
    }
    y[index] = value;
}
