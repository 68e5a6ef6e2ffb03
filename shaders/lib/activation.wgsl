// Activations by number, as `Activation` in src/ops/linear/mod.rs counts them.
fn silu(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-x));
}

// tanh form; (1 + tanh u) / 2 is the logistic function of 2 u, which keeps its digits where tanh nears -1.
fn gelu(x: vec4<f32>) -> vec4<f32> {
    let u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    return x / (1.0 + exp(-2.0 * u));
}

fn activate(kind: u32, x: vec4<f32>) -> vec4<f32> {
    switch kind {
        case 1u: { return silu(x); }
        case 2u: { return gelu(x); }
        default: { return x; }
    }
}
