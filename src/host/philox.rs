//! Philox4x32-10 and Box-Muller: normals by seed, stream and place.

use rayon::prelude::*;

/// Ten rounds of Philox4x32 (Salmon et al. 2011).
fn philox(mut c: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p = u64::from(c[0]) * 0xd251_1f53;
        let q = u64::from(c[2]) * 0xcd9e_8d57;
        let high = |product: u64| (product >> 32) as u32;
        c = [high(q) ^ c[1] ^ key[0], q as u32, high(p) ^ c[3] ^ key[1], p as u32];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

/// Block `block` of a stream: its words and its normals. The logarithm and the angle need more than 24 bits.
pub(crate) fn block(seed: [u32; 2], stream: u32, block: u32) -> ([u32; 4], [f32; 4]) {
    let words = philox([block, stream, 0, 0], seed);
    let pair = |u: u32, v: u32| {
        let radius = (-2.0 * ((f64::from(u) + 0.5) * 2_f64.powi(-32)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * f64::from(v) * 2_f64.powi(-32)).sin_cos();
        [(radius * cos) as f32, (radius * sin) as f32]
    };
    let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
    (words, [a, b, c, d])
}

/// Fills both slices with elements 0.. of a stream.
pub(crate) fn fill(seed: [u32; 2], stream: u32, bits: &mut [u32], normal: &mut [f32]) {
    super::threads::ready();
    bits.par_chunks_mut(4).zip(normal.par_chunks_mut(4)).enumerate().for_each(|(index, (bits, normal))| {
        let (words, normals) = block(seed, stream, index as u32);
        bits.copy_from_slice(&words[..bits.len()]);
        normal.copy_from_slice(&normals[..normal.len()]);
    });
}
