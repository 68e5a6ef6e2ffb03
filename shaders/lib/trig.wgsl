// Cosine and sine by polynomials: WGSL lets the builtins be off by 2^-11.

// cos and sin of x for |x| <= pi / 4.
fn cos_sin_small(x: f32) -> vec2<f32> {
    let x2 = x * x;
    let c = 1.0 + x2 * (-0.5 + x2 * (0.041666668 + x2 * (-0.0013888889 + x2 * 2.4801587e-5)));
    let s = x * (1.0 + x2 * (-0.16666667 + x2 * (0.008333334 + x2 * (-0.00019841270 + x2 * 2.7557319e-6))));
    return vec2(c, s);
}

// A quarter turn forward, `quarters` times.
fn turn_quarters(p: vec2<f32>, quarters: u32) -> vec2<f32> {
    switch quarters & 3u {
        case 1u: { return vec2(-p.y, p.x); }
        case 2u: { return vec2(-p.x, -p.y); }
        case 3u: { return vec2(p.y, -p.x); }
        default: { return p; }
    }
}

// cos and sin of 2 pi v 2^-32: the nearest quarter turn exactly, the rest by polynomial.
fn cos_sin_turn(v: u32) -> vec2<f32> {
    let quarters = (v + 0x20000000u) >> 30u;
    let rest = bitcast<i32>(v - (quarters << 30u));
    return turn_quarters(cos_sin_small(f32(rest) * 1.4629180792671596e-9), quarters);
}

// cos and sin of x in radians, |x| up to a few thousand: pi / 2 in three parts (Cody and Waite 1980).
fn cos_sin(x: f32) -> vec2<f32> {
    let quarters = round(x * 0.6366197723675814);
    let rest = ((x - quarters * 1.5703125) - quarters * 4.837512969970703e-4) - quarters * 7.549789948768648e-8;
    return turn_quarters(cos_sin_small(rest), bitcast<u32>(i32(quarters)));
}
