//! Vector code for whatever the processor has, chosen at run time.

use std::any::TypeId;

use pulp::{Arch, Scalar128b};
pub(crate) use pulp::{Simd, WithSimd};

/// Runs `work` with the widest vectors that the processor has. What it calls, closures among it, has to be
/// `#[inline(always)]`: code that stays a function of its own is compiled for the least processor, and then each
/// operation on a vector is a call.
pub(crate) fn run<W: WithSimd>(work: W) -> W::Output {
    match Arch::new() {
        // Of its four numbers at a time, compilers make the vectors that every processor of a kind has.
        Arch::Scalar => Scalar128b.vectorize(work),
        arch => arch.dispatch(work),
    }
}

/// [`run`] with each kind of vectors that the processor has, for tests.
#[cfg(test)]
pub(crate) fn run_each<W: WithSimd>(work: impl Fn() -> W) -> Vec<W::Output> {
    let mut all = vec![Scalar128b.vectorize(work())];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, work())));
        all.extend(pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, work())));
    }
    #[cfg(not(target_arch = "x86_64"))]
    all.push(run(work()));
    all
}

/// `a b + c`, in one rounding where there is an instruction for it: to imitate one takes a hundred others.
#[inline(always)]
pub(crate) fn mul_add<S: Simd>(s: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() || S::IS_SCALAR {
        s.add_f32s(s.mul_f32s(a, b), c)
    } else {
        s.mul_add_e_f32s(a, b, c)
    }
}

/// `e^x` to about 2 units in the last place: 0 below -87, where numbers become subnormal, infinite above 88.4. NaN
/// stays NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let most = s.splat_f32s(89.0);
    exp_of_least(s, s.select_f32s(s.greater_than_f32s(x, most), most, x))
}

/// [`exp`] of what is at most 89. (The polynomial of Cephes' `expf`.)
#[inline(always)]
pub(crate) fn exp_of_least<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // Adding it rounds to an integer, whose bits are then the sum's lowest.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let least = s.splat_f32s(-87.0);
    let tiny = s.less_than_f32s(x, least);
    let inside = s.select_f32s(tiny, least, x);
    let shifted = mul_add(s, inside, s.splat_f32s(std::f32::consts::LOG2_E), s.splat_f32s(ROUND));
    let n = s.sub_f32s(shifted, s.splat_f32s(ROUND));
    let r = mul_add(s, n, s.splat_f32s(-LN2_HIGH), inside);
    let r = mul_add(s, n, s.splat_f32s(-LN2_LOW), r);
    let mut p = s.splat_f32s(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = mul_add(s, p, r, s.splat_f32s(c));
    }
    let bits = s.add_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(127));
    let power = s.transmute_f32s_u32s(s.wrapping_dyn_shl_u32s(bits, s.splat_u32s(23)));
    let p = mul_add(s, p, s.mul_f32s(r, r), s.add_f32s(r, s.splat_f32s(1.0)));
    s.select_f32s(tiny, s.splat_f32s(0.0), s.mul_f32s(p, power))
}

/// Sets each `y` to `of(y)`.
#[inline(always)]
pub(crate) fn map<S: Simd>(s: S, y: &mut [f32], of: impl Fn(S::f32s) -> S::f32s) {
    let (vectors, rest) = S::as_mut_simd_f32s(y);
    for y in vectors {
        *y = of(*y);
    }
    if !rest.is_empty() {
        let y = of(s.partial_load_f32s(rest));
        s.partial_store_f32s(rest, y);
    }
}

/// Sets each `y` to `of(y, its partner in x)`.
#[inline(always)]
pub(crate) fn zip<S: Simd>(s: S, y: &mut [f32], x: &[f32], of: impl Fn(S::f32s, S::f32s) -> S::f32s) {
    let (xs, x_rest) = S::as_simd_f32s(&x[..y.len()]);
    let (ys, y_rest) = S::as_mut_simd_f32s(y);
    for (y, x) in ys.iter_mut().zip(xs) {
        *y = of(*y, *x);
    }
    if !y_rest.is_empty() {
        let y = of(s.partial_load_f32s(y_rest), s.partial_load_f32s(x_rest));
        s.partial_store_f32s(y_rest, y);
    }
}

/// `y += a x`.
#[inline(always)]
pub(crate) fn add_scaled<S: Simd>(s: S, y: &mut [f32], a: f32, x: &[f32]) {
    let a = s.splat_f32s(a);
    zip(
        s,
        y,
        x,
        #[inline(always)]
        |y, x| mul_add(s, a, x, y),
    );
}

/// `y *= a`.
#[inline(always)]
pub(crate) fn scale<S: Simd>(s: S, y: &mut [f32], a: f32) {
    let a = s.splat_f32s(a);
    map(
        s,
        y,
        #[inline(always)]
        |y| s.mul_f32s(y, a),
    );
}

/// `y += x`.
#[inline(always)]
pub(crate) fn add<S: Simd>(s: S, y: &mut [f32], x: &[f32]) {
    zip(
        s,
        y,
        x,
        #[inline(always)]
        |y, x| s.add_f32s(y, x),
    );
}

/// `y *= x`.
#[inline(always)]
pub(crate) fn multiply<S: Simd>(s: S, y: &mut [f32], x: &[f32]) {
    zip(
        s,
        y,
        x,
        #[inline(always)]
        |y, x| s.mul_f32s(y, x),
    );
}

/// The first lane.
#[inline(always)]
pub(crate) fn first<S: Simd>(x: S::f32s) -> f32 {
    bytemuck::cast_slice::<_, f32>(std::slice::from_ref(&x))[0]
}

/// Sum of products; each lane of a vector sums its own share.
#[inline(always)]
pub(crate) fn dot<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    let ((xs, x_rest), (ys, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let zero = s.splat_f32s(0.0);
    let (x_fours, x_more) = xs.as_chunks::<4>();
    let (y_fours, y_more) = ys.as_chunks::<4>();
    let mut sums = [zero; 4];
    for (x, y) in x_fours.iter().zip(y_fours) {
        for lane in 0..4 {
            sums[lane] = mul_add(s, x[lane], y[lane], sums[lane]);
        }
    }
    for (x, y) in x_more.iter().zip(y_more) {
        sums[0] = mul_add(s, *x, *y, sums[0]);
    }
    let rest = s.mul_f32s(s.partial_load_f32s(x_rest), s.partial_load_f32s(y_rest));
    let pair = s.add_f32s(s.add_f32s(sums[0], sums[1]), s.add_f32s(sums[2], sums[3]));
    s.reduce_sum_f32s(s.add_f32s(pair, rest))
}

/// The largest of `x` that is a number, and the first place that holds it; -infinity at 0 where there is none.
#[inline(always)]
pub(crate) fn most<S: Simd>(s: S, x: &[f32]) -> (f32, usize) {
    let (vectors, rest) = S::as_simd_f32s(x);
    let mut best = s.splat_f32s(f32::NEG_INFINITY);
    let mut at = s.splat_u32s(0);
    for (i, &x) in vectors.iter().enumerate() {
        let rises = s.greater_than_f32s(x, best);
        best = s.select_f32s(rises, x, best);
        at = s.select_u32s(rises, s.splat_u32s(i as u32), at);
    }
    let mut found = (f32::NEG_INFINITY, 0);
    let lanes = bytemuck::cast_slice::<_, f32>(std::slice::from_ref(&best));
    let places = bytemuck::cast_slice::<_, u32>(std::slice::from_ref(&at));
    for (lane, (&x, &at)) in lanes.iter().zip(places).enumerate() {
        let place = at as usize * S::F32_LANES + lane;
        if x > found.0 || x == found.0 && place < found.1 {
            found = (x, place);
        }
    }
    for (i, &x) in rest.iter().enumerate() {
        if x > found.0 {
            found = (x, vectors.len() * S::F32_LANES + i);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Most<'a>(&'a [f32]);

    impl WithSimd for Most<'_> {
        type Output = (f32, usize);

        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) -> (f32, usize) {
            most(s, self.0)
        }
    }

    #[test]
    fn the_first_of_the_largest() {
        for len in 0..100_usize {
            let x: Vec<f32> = (0..len).map(|i| ((i * 31) % 11) as f32).collect();
            let want = x.iter().enumerate().fold(
                (f32::NEG_INFINITY, 0),
                |best, (i, &x)| {
                    if x > best.0 { (x, i) } else { best }
                },
            );
            assert!(run_each(|| Most(&x)).iter().all(|&got| got == want), "{len}");
        }
        let mut x = vec![f32::NAN; 70];
        assert!(run_each(|| Most(&x)).iter().all(|&got| got == (f32::NEG_INFINITY, 0)));
        x[67] = -1.0;
        x[34] = -1.0;
        assert!(run_each(|| Most(&x)).iter().all(|&got| got == (-1.0, 34)));
    }

    struct Exp<'a>(&'a [f32]);

    impl WithSimd for Exp<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) -> Vec<f32> {
            let mut y = self.0.to_vec();
            map(
                s,
                &mut y,
                #[inline(always)]
                |x| exp(s, x),
            );
            y
        }
    }

    #[test]
    fn exp_is_exp_with_every_kind_of_vectors() {
        let x: Vec<f32> = (-86_999..88_300).map(|i| 0.001 * i as f32).collect();
        for y in run_each(|| Exp(&x)) {
            for (x, y) in x.iter().zip(y) {
                let want = f64::from(*x).exp();
                assert!((f64::from(y) / want - 1.0).abs() < 3e-7, "{x}");
            }
        }
        let x = [0.0, -0.0, -1e3, -3e38, f32::NEG_INFINITY, 89.0, f32::INFINITY];
        for y in run_each(|| Exp(&x)) {
            assert_eq!(y, [1.0, 1.0, 0.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY]);
        }
        assert!(run_each(|| Exp(&[f32::NAN])).iter().all(|y| y[0].is_nan()));
    }

    struct Dot<'a>(&'a [f32], &'a [f32]);

    impl WithSimd for Dot<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) -> f32 {
            dot(s, self.0, self.1)
        }
    }

    #[test]
    fn dots_of_any_length() {
        for len in (0..140).chain([1000]) {
            let x: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 2.0).collect();
            let y: Vec<f32> = (0..len).map(|i| (i % 5) as f32 - 1.0).collect();
            let want: f32 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
            assert!(run_each(|| Dot(&x, &y)).iter().all(|&got| got == want), "{len}");
        }
    }
}
