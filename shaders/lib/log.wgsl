// Entropy of a row with `tail` = sum of e^(l - max) over all but the arg-max and t = sum of e^(l - max) (l - max): a
// sum of two positive terms. Rounding may leave it below 0, where it is 0; NaN stays NaN.
fn row_entropy(tail: f32, t: f32) -> f32 {
    let entropy = log1p(tail) - t / (1.0 + tail);
    return select(entropy, 0.0, entropy < 0.0);
}

// ln(1 + x) for finite x >= 0, relative error about 2^-22. WGSL lets the builtin log be off by 2^-21 near 1, which
// is all of the entropy of a row that is sure of itself.
fn log1p(x: f32) -> f32 {
    // 1 + x = 2^e * mantissa, mantissa in [0.707, 1.414]; small x keep all their bits as mantissa - 1.
    var e = 0.0;
    var excess = x;
    if x > 0.41421354 {
        let parts = bitcast<u32>(1.0 + x);
        e = f32(i32(parts >> 23u) - 127);
        var mantissa = bitcast<f32>((parts & 0x7fffffu) | 0x3f800000u);
        if mantissa > 1.4142135 {
            mantissa *= 0.5;
            e += 1.0;
        }
        excess = mantissa - 1.0;
    }
    // 2 atanh(s).
    let s = excess / (2.0 + excess);
    let s2 = s * s;
    let series = 2.0 * s * (1.0 + s2 * (0.33333334 + s2 * (0.2 + s2 * (0.14285715 + s2 * 0.11111111))));
    return e * 0.6931471805599453 + series;
}
