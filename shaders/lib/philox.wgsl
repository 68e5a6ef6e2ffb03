// Philox4x32-10 (Salmon et al. 2011) and normals from its words (Box and Muller 1958).

// High and low word of a product, from 16-bit halves: WGSL has no 64-bit integers.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let middle = ah * bl + (low >> 16u);
    let cross = al * bh + (middle & 0xffffu);
    return vec2(ah * bh + (middle >> 16u) + (cross >> 16u), a * b);
}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var key = seed;
    for (var round = 0u; round < 10u; round += 1u) {
        let p = multiply_wide(0xd2511f53u, c.x);
        let q = multiply_wide(0xcd9e8d57u, c.z);
        c = vec4(q.x ^ c.y ^ key.x, q.y, p.x ^ c.w ^ key.y, p.y);
        key += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// ln((u + 0.5) 2^-32). Builtin log may be off by 2^-21 near 1, where sqrt magnifies it: so near 1 the series of
// log1p in the exact distance d = (2^32 - u - 0.5) 2^-32, else exponent and atanh series of the mantissa.
fn log_uniform(u: u32) -> f32 {
    if u >= 0xf0000000u {
        let d = (f32(~u) + 0.5) * 2.3283064365386963e-10;
        return -d * (1.0 + d * (0.5 + d * (0.33333334 + d * (0.25 + d * (0.2 + d * 0.16666667)))));
    }
    // u + 0.5 = 2^e * mantissa, mantissa in [1, 2): exact for small u, rounded to 24 bits for large ones.
    let value = f32(u) + 0.5;
    let parts = bitcast<u32>(value);
    var e = f32(i32(parts >> 23u) - 127 - 32);
    var mantissa = bitcast<f32>((parts & 0x7fffffu) | 0x3f800000u);
    if mantissa > 1.4142135 {
        mantissa *= 0.5;
        e += 1.0;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 2.0 * s * (1.0 + s2 * (0.33333334 + s2 * (0.2 + s2 * (0.14285715 + s2 * 0.11111111))));
    return e * 0.693147180559945 + series;
}

// Two normals from two words: sqrt(-2 ln a) times cos and sin of 2 pi v 2^-32.
fn box_muller(u: u32, v: u32) -> vec2<f32> {
    return sqrt(-2.0 * log_uniform(u)) * cos_sin_turn(v);
}
