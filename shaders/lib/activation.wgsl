// Activations by number, as `Activation` in src/ops/linear.rs counts them.
fn silu(x: f32) -> f32 {
    return x / (1.0 + exp(-x));
}

// tanh form; tanh through exp of a negative number, which cannot overflow.
fn gelu(x: f32) -> f32 {
    let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    let e = exp(-2.0 * abs(inner));
    let tanh = sign(inner) * (1.0 - e) / (1.0 + e);
    return 0.5 * x * (1.0 + tanh);
}

fn activate(kind: u32, x: f32) -> f32 {
    switch kind {
        case 1u: { return silu(x); }
        case 2u: { return gelu(x); }
        default: { return x; }
    }
}
