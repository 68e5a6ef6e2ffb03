// The log-sum-exp of each row.
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
