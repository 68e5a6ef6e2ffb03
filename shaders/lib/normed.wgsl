// Elements of rows after their norm.
fn normed(elements: vec4<f32>, inverse: f32, gain: vec4<f32>, shift: vec4<f32>) -> vec4<f32> {
    return elements * inverse * (1.0 + gain) + shift;
}
