// What changes from step to step, floats written ahead by the host: `StepRow` in src/ops/solver/row.rs.
struct Step {
    gamma: f32,
    alpha: f32,
    sigma: f32,
    // alpha / sigma^2
    bayes_scale: f32,
    c_x: f32,
    c_x0: f32,
    c_prev: f32,
    c_noise: f32,
    omega: f32,
    refresh: f32,
    stream: f32,
    sharpen: f32,
    // The number of this evaluation, from 1.
    evaluation: f32,
}
