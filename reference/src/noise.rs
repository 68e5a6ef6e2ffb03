//! Random numbers that are the same on every device: Philox4x32-10, and normals by Box-Muller.

/// Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a bijection of
/// the 128-bit counter for each 64-bit key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }
        let first = 0xD251_1F53 * u64::from(c0);
        let second = 0xCD9E_8D57 * u64::from(c2);
        let (high0, low0) = ((first >> 32) as u32, first as u32);
        let (high1, low1) = ((second >> 32) as u32, second as u32);
        [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    }
    [c0, c1, c2, c3]
}

/// `count` random words: block `b` is [`philox`] of counter `(b, stream, 0, 0)` under the key `(low half of the seed,
/// high half)`, and gives elements `4b` to `4b + 3`. At most 2^34 words.
pub fn bits(seed: u64, stream: u32, count: usize) -> Vec<u32> {
    let mut words = Vec::with_capacity(count.next_multiple_of(4));
    for block in 0..count.div_ceil(4) {
        let block = u32::try_from(block).expect("bits: more than 2^34 words");
        words.extend(philox([block, stream, 0, 0], [seed as u32, (seed >> 32) as u32]));
    }
    words.truncate(count);
    words
}

/// `count` standard normals from the words of [`bits`], taken in pairs `(u, v)` (Box and Muller 1958): with
/// `a = (u + 1/2) / 2^32` and `b = v / 2^32`, first `sqrt(-2 ln a) cos(2 pi b)`, then the same with sin.
pub fn normal(seed: u64, stream: u32, count: usize) -> Vec<f64> {
    let words = bits(seed, stream, count.next_multiple_of(2));
    let mut normals = Vec::with_capacity(words.len());
    for pair in words.chunks_exact(2) {
        let a = (f64::from(pair[0]) + 0.5) / 2_f64.powi(32);
        let angle = std::f64::consts::TAU * f64::from(pair[1]) / 2_f64.powi(32);
        let radius = (-2.0 * a.ln()).sqrt();
        normals.extend([radius * angle.cos(), radius * angle.sin()]);
    }
    normals.truncate(count);
    normals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_close;

    #[test]
    fn known_answers_of_random123() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        let got = philox(pi, [0xa4093822, 0x299f31d0]);
        assert_eq!(got, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn bits_lie_where_the_design_says() {
        let seed = 0x0123_4567_89ab_cdef;
        let words = bits(seed, 9, 11);
        assert_eq!(words.len(), 11);
        assert_eq!(words[4..8], philox([1, 9, 0, 0], [0x89ab_cdef, 0x0123_4567]));
        assert_eq!(words[8..], philox([2, 9, 0, 0], [0x89ab_cdef, 0x0123_4567])[..3]);
        assert!(bits(seed, 9, 0).is_empty());
        assert_eq!(bits(0, 0, 1), [0x6627e8d5]);
    }

    #[test]
    fn normals_of_the_first_block() {
        let (a, b) = ((f64::from(0x6627e8d5_u32) + 0.5) / 4294967296.0, f64::from(0xe169c58d_u32) / 4294967296.0);
        let radius = (-2.0 * a.ln()).sqrt();
        let angle = 2.0 * std::f64::consts::PI * b;
        assert_close(&normal(0, 0, 2), &[radius * angle.cos(), radius * angle.sin()], 1e-15);
        assert_eq!(normal(0, 0, 7), normal(0, 0, 8)[..7]);
    }

    #[test]
    fn moments() {
        let count = 200_000;
        let x = normal(7, 3, count);
        let moment = |power: i32| x.iter().map(|x| x.powi(power)).sum::<f64>() / count as f64;
        // Five standard deviations of each mean: sqrt(1, 2, 15, 96 / count).
        assert_close(&[moment(1), moment(2), moment(3)], &[0.0, 1.0, 0.0], 5.0 * (15.0 / count as f64).sqrt());
        assert_close(&[moment(4)], &[3.0], 5.0 * (96.0 / count as f64).sqrt());
        // Element i and element i + 1 are independent.
        let product: f64 = x.windows(2).map(|pair| pair[0] * pair[1]).sum();
        assert_close(&[product / count as f64], &[0.0], 5.0 / (count as f64).sqrt());
    }
}
