// Buffers and epilogue of `linear`. Buffers hold elements as `held`; `loads` and `saves` are the files that
// load and save such.
#parameters held loads saves
#import lib/activation.wgsl
#import lib/grid.wgsl
#import lib/linear_params.wgsl
#import lib/stored.wgsl

@group(0) @binding(1) var<storage, read> x: array<held>;
@group(0) @binding(2) var<storage, read> weight: array<held>;
@group(0) @binding(3) var<storage, read> bias: array<held>;
@group(0) @binding(4) var<storage, read> residual: array<held>;
@group(0) @binding(6) var<storage, read_write> y: array<held>;

#import lib/loads.wgsl load=load_x buffer=x
#import lib/loads.wgsl load=load_weight buffer=weight
#import lib/loads.wgsl load=load_bias buffer=bias
#import lib/loads.wgsl load=load_residual buffer=residual
#import lib/saves.wgsl save=save_y buffer=y

// The sums of four columns of a row on their way into y.
fn finish(row: u32, column: u32, sums: vec4<f32>) {
    if row >= params.m || column >= params.n {
        return;
    }
    let four = column / 4u;
    var value = sums;
    if params.bias != 0u {
        value += load_bias(0u, four, params.n);
    }
    value = activate(params.activation, value);
    if params.gate != 0u {
        value *= load_gate(params.gate_offset, four, params.n);
    }
    if params.residual != 0u {
        value += load_residual(row * params.n, four, params.n);
    }
    save_y(row * params.n, four, params.n, value);
}
