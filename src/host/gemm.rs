//! Matrix products in f32, on one core or over all.
//!
//! The right operand is packed once into panels as wide as a few vectors; the kernel goes down a panel with six rows of
//! the left operand and keeps their sums in registers. An element of a product is always summed in the same order,
//! whatever the rows beside it, and so whatever the number of threads or of sequences.

use std::ops::Range;

use rayon::prelude::*;

use super::prepared::{Prepared, form};
use super::simd::{self, Simd, WithSimd, mul_add};
use crate::{Result, memory};

/// Rows of a tile.
const ROWS: usize = 6;
/// Most products in one chain of additions: longer sums are summed from such parts, which costs fewer digits.
const DEPTH: usize = 256;
/// Fewest rows that are worth their own task.
const TASK: usize = 24;
/// Products of fewer multiplications than this are not worth waking a thread.
const SERIAL: usize = 1 << 15;

/// Vectors of a panel: with the sums of six rows, they fill the registers.
pub(crate) const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// How wide vectors and panels are.
#[derive(Clone, Copy, Debug)]
struct Widths {
    lanes: usize,
    panel: usize,
}

impl Widths {
    fn new() -> Self {
        simd::run(Measure)
    }
}

struct Measure;

impl WithSimd for Measure {
    type Output = Widths;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Widths {
        Widths { lanes: S::F32_LANES, panel: vectors::<S>() * S::F32_LANES }
    }
}

/// Where the right operand `[k, n]` of a product comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right<'a> {
    /// Its transpose `[n, stride]`, of which the first `k` columns count: a weight.
    Rows(&'a [f32], usize),
    /// `[k, stride]`, of which the first `n` columns count.
    Columns(&'a [f32], usize),
}

/// Numbers that begin where the longest vectors may, which are read faster so.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// The right operand `[k, n]` of a product, as the kernel reads it: in blocks of at most `depth` of `k`, in panels
/// `[depth, width]`, the last of which may be narrower, filled up with zeros to whole vectors.
#[derive(Debug)]
pub(crate) struct Packed {
    lines: Vec<Line>,
    k: usize,
    n: usize,
    depth: usize,
    widths: Widths,
}

impl Packed {
    /// Packs on the calling thread.
    ///
    /// # Errors
    /// If memory is refused.
    pub(crate) fn new(right: Right<'_>, k: usize, n: usize) -> Result<Self> {
        Ok(Self::zeroed(k, n, DEPTH, Widths::new())?.packed(right))
    }

    /// Packs over all cores.
    ///
    /// # Errors
    /// If memory is refused.
    pub(crate) fn parallel(right: Right<'_>, k: usize, n: usize) -> Result<Self> {
        let mut packed = Self::zeroed(k, n, DEPTH, Widths::new())?;
        let widths = packed.widths;
        packed.blocks().for_each(|(from, panel, words)| {
            words.par_chunks_mut(panel).enumerate().for_each(|panel| right.pack(from, n, widths, panel));
        });
        Ok(packed)
    }

    /// Packs `right` as one block, for [`Packed::panels`].
    ///
    /// # Errors
    /// If memory is refused.
    pub(crate) fn whole(right: Right<'_>, k: usize, n: usize) -> Result<Self> {
        Ok(Self::zeroed(k, n, k, Widths::new())?.packed(right))
    }

    /// Packs `right` as one block, with zeros to the end of the last panel.
    ///
    /// # Errors
    /// If memory is refused.
    pub(crate) fn full(right: Right<'_>, k: usize, n: usize) -> Result<Self> {
        let panel = Widths::new().panel;
        Ok(Self::zeroed(k, n, k, Widths { lanes: panel, panel })?.packed(right))
    }

    fn packed(mut self, right: Right<'_>) -> Self {
        let (n, widths) = (self.n, self.widths);
        self.blocks().for_each(|(from, panel, words)| {
            words.chunks_mut(panel).enumerate().for_each(|panel| right.pack(from, n, widths, panel));
        });
        self
    }

    fn zeroed(k: usize, n: usize, depth: usize, widths: Widths) -> Result<Self> {
        let words = k * n.next_multiple_of(widths.lanes);
        let lines = memory::zeroed("the right side of a matrix product", words.div_ceil(16))?;
        Ok(Self { lines, k, n, depth: depth.clamp(1, k.max(1)), widths })
    }

    /// Columns, with those that fill up the last vector, or panel.
    pub(crate) fn padded(&self) -> usize {
        self.n.next_multiple_of(self.widths.lanes)
    }

    /// Columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.widths.panel
    }

    pub(crate) fn words(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.k * self.padded()]
    }

    /// The first row of each block, the words of its panels, and all its words.
    fn blocks(&mut self) -> impl Iterator<Item = (usize, usize, &mut [f32])> {
        let (padded, depth, panel) = (self.padded(), self.depth, self.widths.panel);
        let words = &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.k * padded];
        let blocks = words.chunks_mut((padded * depth).max(1)).enumerate();
        blocks.map(move |(block, words)| (block * depth, panel * (words.len() / padded), words))
    }

    /// What `rows` hold of the panels with `columns` of an operand of one block: the first column of each panel and
    /// its words. Columns begin with a panel.
    #[inline(always)]
    pub(crate) fn panels(&self, columns: Range<usize>, rows: Range<usize>) -> impl Iterator<Item = (usize, &[f32])> {
        let (words, padded) = (self.words(), self.padded());
        columns.step_by(self.widths.panel).map(move |first| {
            let width = self.widths.panel.min(padded - first);
            (first, &words[first * self.k..][rows.start * width..rows.end * width])
        })
    }
}

impl Right<'_> {
    /// One panel `[depth, width]` from row `p` on.
    fn pack(self, p: usize, n: usize, widths: Widths, (index, words): (usize, &mut [f32])) {
        let j = index * widths.panel;
        let width = widths.panel.min(n.next_multiple_of(widths.lanes) - j);
        let (columns, depth) = (width.min(n - j), words.len() / width);
        match self {
            Right::Columns(values, stride) => {
                for (words, values) in words.chunks_exact_mut(width).zip(values.chunks(stride).skip(p)) {
                    words[..columns].copy_from_slice(&values[j..j + columns]);
                }
            }
            Right::Rows(weight, stride) => {
                let row = |column: usize| &weight[(j + column) * stride + p..][..depth];
                let fours = columns / 4 * 4;
                for column in (0..fours).step_by(4) {
                    transpose(std::array::from_fn(|i| row(column + i)), width, column, words);
                }
                for column in fours..columns {
                    for (words, &value) in words.chunks_exact_mut(width).zip(row(column)) {
                        words[column] = value;
                    }
                }
            }
        }
    }
}

/// Four rows to four columns from `column` on, in squares that compilers turn in registers.
fn transpose(rows: [&[f32]; 4], width: usize, column: usize, words: &mut [f32]) {
    let squares = rows.map(|row| row.as_chunks::<4>());
    let mut lines = words.chunks_exact_mut(width).map(|line| &mut line[column..column + 4]);
    for square in 0..squares[0].0.len() {
        let square: [[f32; 4]; 4] = std::array::from_fn(|i| squares[i].0[square]);
        for p in 0..4 {
            if let Some(line) = lines.next() {
                line.copy_from_slice(&square.map(|row| row[p]));
            }
        }
    }
    for (p, line) in lines.enumerate() {
        line.copy_from_slice(&squares.map(|(_, rest)| rest[p]));
    }
}

/// `y [m, n] = left [m, k] right [k, n]` on one core.
pub(crate) fn product(left: &[f32], right: &Packed, y: &mut [f32]) {
    simd::run(Product { left, right, y, add: false });
}

/// `y [m, n] += left [m, k] right [k, n]` on one core.
pub(crate) fn add_product(left: &[f32], right: &Packed, y: &mut [f32]) {
    simd::run(Product { left, right, y, add: true });
}

struct Product<'a> {
    left: &'a [f32],
    right: &'a Packed,
    y: &'a mut [f32],
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { left, right, y, add } = self;
        let (k, n, padded, width) = (right.k, right.n, right.padded(), vectors::<S>() * S::F32_LANES);
        if k == 0 && !add {
            y.fill(0.0);
        }
        for (block, words) in right.words().chunks((padded * right.depth).max(1)).enumerate() {
            let depth = words.len() / padded;
            let left = Left { words: left, stride: k, from: block * right.depth, depth };
            for (panel, words) in words.chunks((width * depth).max(1)).enumerate() {
                multiply(s, left, words, Columns { y, stride: n, first: panel * width, add: add || block > 0 });
            }
        }
    }
}

/// Columns `from..from + depth` of the left operand, rows of `stride`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub words: &'a [f32],
    pub stride: usize,
    pub from: usize,
    pub depth: usize,
}

/// Columns from `first` on of a result with rows of `stride`; `add` to what is there, or overwrite it.
pub(crate) struct Columns<'a> {
    pub y: &'a mut [f32],
    pub stride: usize,
    pub first: usize,
    pub add: bool,
}

/// All rows of `left` times one panel.
#[inline(always)]
pub(crate) fn multiply<S: Simd>(s: S, left: Left<'_>, panel: &[f32], y: Columns<'_>) {
    let panel = S::as_simd_f32s(panel).0;
    match panel.len() / left.depth.max(1) {
        1 => rows::<S, 1>(s, left, panel, y),
        2 => rows::<S, 2>(s, left, panel, y),
        3 if vectors::<S>() > 2 => rows::<S, 3>(s, left, panel, y),
        4 if vectors::<S>() > 2 => rows::<S, 4>(s, left, panel, y),
        _ => {}
    }
}

#[inline(always)]
fn rows<S: Simd, const V: usize>(s: S, left: Left<'_>, panel: &[S::f32s], mut y: Columns<'_>) {
    let panel = panel.as_chunks::<V>().0;
    let m = y.y.len() / y.stride;
    let mut row = 0;
    while row + ROWS <= m {
        tile::<S, ROWS, V>(s, left, row, panel, &mut y);
        row += ROWS;
    }
    if row + 4 <= m {
        tile::<S, 4, V>(s, left, row, panel, &mut y);
        row += 4;
    }
    if row + 2 <= m {
        tile::<S, 2, V>(s, left, row, panel, &mut y);
        row += 2;
    }
    if row < m {
        tile::<S, 1, V>(s, left, row, panel, &mut y);
    }
}

#[expect(clippy::needless_range_loop, reason = "by indices that are constants once unrolled, sums stay in registers")]
#[inline(always)]
fn tile<S: Simd, const M: usize, const V: usize>(
    s: S,
    left: Left<'_>,
    row: usize,
    panel: &[[S::f32s; V]],
    y: &mut Columns<'_>,
) {
    let mut lefts: [&[f32]; M] = [&[]; M];
    for i in 0..M {
        lefts[i] = &left.words[(row + i) * left.stride + left.from..][..left.depth];
    }
    let mut sums = [[s.splat_f32s(0.0); V]; M];
    for (p, right) in panel[..left.depth].iter().enumerate() {
        for i in 0..M {
            let x = s.splat_f32s(lefts[i][p]);
            for v in 0..V {
                sums[i][v] = mul_add(s, x, right[v], sums[i][v]);
            }
        }
    }
    let columns = y.stride - y.first;
    if columns >= V * S::F32_LANES {
        for i in 0..M {
            let y_row = &mut y.y[(row + i) * y.stride + y.first..][..V * S::F32_LANES];
            for (out, sum) in S::as_mut_simd_f32s(y_row).0.iter_mut().zip(sums[i]) {
                *out = if y.add { s.add_f32s(*out, sum) } else { sum };
            }
        }
        return;
    }
    // Indexed in memory from here on: a copy, so that the sums themselves stay in registers.
    let sums = std::hint::black_box(sums);
    for (i, sums) in sums.iter().enumerate() {
        let y_row = &mut y.y[(row + i) * y.stride + y.first..][..columns];
        for (out, &sum) in y_row.chunks_mut(S::F32_LANES).zip(sums) {
            let before = if y.add { s.partial_load_f32s(out) } else { s.splat_f32s(0.0) };
            s.partial_store_f32s(out, s.add_f32s(before, sum));
        }
    }
}

/// `y [m, n] = x [m, k] weight [n, k]^T` over all cores; then `finish` is given rows of `y` and which is the first of
/// them. What is packed of the weight is kept with it where that pays.
///
/// # Errors
/// If memory is refused.
pub(crate) fn x_times_transposed(
    x: &[f32],
    (weight, prepared): (&[f32], Option<&Prepared>),
    y: &mut [f32],
    [m, k, n]: [usize; 3],
    finish: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<()> {
    if m == 0 || n == 0 {
        return Ok(());
    }
    let serial = m * k * n < SERIAL;
    let right = form(prepared, [m, k * n], &[k, n], || match serial {
        true => Packed::new(Right::Rows(weight, k), k, n),
        false => Packed::parallel(Right::Rows(weight, k), k, n),
    })?;
    if serial {
        product(x, &right, y);
        finish(0, y);
        return Ok(());
    }
    let task = m.div_ceil(4 * rayon::current_num_threads()).max(TASK).next_multiple_of(ROWS);
    y.par_chunks_mut(task * n).enumerate().for_each(|(index, y)| {
        let row = index * task;
        product(&x[row * k..][..y.len() / n * k], &right, y);
        finish(row, y);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 11) % 17) as f32 - 8.0).collect()
    }

    fn naive(left: &[f32], right: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
        let element = |i: usize, j: usize| (0..k).map(|p| left[i * k + p] * right[p * n + j]).sum();
        (0..m * n).map(|at| element(at / n, at % n)).collect()
    }

    /// Small integers, so that every order of summation gives the same.
    #[test]
    fn products_of_all_shapes() {
        for m in [1, 2, 3, 5, 6, 7, 13] {
            for k in [0, 1, 3, 4, 37, 256, 257, 600] {
                for n in [1, 4, 15, 16, 31, 63, 64, 65, 130] {
                    let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
                    let weight: Vec<f32> = (0..n * k).map(|at| right[at % k * n + at / k]).collect();
                    let want = naive(&left, &right, [m, k, n]);
                    let mut y = vec![0.5; m * n];
                    x_times_transposed(&left, (&weight, None), &mut y, [m, k, n], |row, y| {
                        y.iter_mut().for_each(|y| *y += 1.0);
                        assert!(row < m);
                    })
                    .unwrap();
                    let finished: Vec<f32> = want.iter().map(|y| y + 1.0).collect();
                    assert_eq!(y, finished, "{m} {k} {n}");
                    for right in [Right::Columns(&right, n), Right::Rows(&weight, k)] {
                        let right = Packed::new(right, k, n).unwrap();
                        product(&left, &right, &mut y);
                        assert_eq!(y, want, "{m} {k} {n}");
                        add_product(&left, &right, &mut y);
                        let twice: Vec<f32> = want.iter().map(|y| 2.0 * y).collect();
                        assert_eq!(y, twice, "{m} {k} {n}");
                    }
                }
            }
        }
    }

    struct Panel<'a>(&'a [f32], &'a [f32], [usize; 3]);

    impl WithSimd for Panel<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) -> Vec<f32> {
            let Self(left, right, [m, k, n]) = self;
            let width = n.next_multiple_of(S::F32_LANES);
            let mut words = vec![0.0; k * width];
            for (words, right) in words.chunks_mut(width).zip(right.chunks(n)) {
                words[..n].copy_from_slice(right);
            }
            let mut y = vec![0.0; m * n];
            let columns = Columns { y: &mut y, stride: n, first: 0, add: false };
            multiply(s, Left { words: left, stride: k, from: 0, depth: k }, &words, columns);
            y
        }
    }

    #[test]
    fn panels_with_every_kind_of_vectors() {
        for [m, k, n] in [[6, 5, 8], [13, 40, 7], [4, 1, 3], [9, 64, 5]] {
            let (left, right) = (numbers(m * k, 3), numbers(k * n, 4));
            for y in simd::run_each(|| Panel(&left, &right, [m, k, n])) {
                assert_eq!(y, naive(&left, &right, [m, k, n]), "{m} {k} {n}");
            }
        }
    }

    #[test]
    fn a_row_is_the_same_among_others() {
        let (k, n) = (300, 70);
        let value = |i: usize| ((i * 7919) % 1000) as f32 * 1e-3 - 0.47;
        let left: Vec<f32> = (0..13 * k).map(value).collect();
        let weight: Vec<f32> = (0..n * k).map(|i| value(i + 5)).collect();
        let right = Packed::new(Right::Rows(&weight, k), k, n).unwrap();
        let mut all = vec![0.0; 13 * n];
        product(&left, &right, &mut all);
        for row in 0..13 {
            let mut one = vec![0.0; n];
            product(&left[row * k..][..k], &right, &mut one);
            assert_eq!(one, all[row * n..][..n]);
        }
    }
}
