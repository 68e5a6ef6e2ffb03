//! `noise`.

use crate::rearrange::{gather, tensor};
use crate::{Case, Claim, Gen, Relation};
use drdiff::Tensor;
use drdiff::op::Arguments;

const COUNTS: [usize; 13] = [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 255, 256, 257];
const STREAMS: [u32; 6] = [0, 1, 1 << 16, u32::MAX >> 1, 1 << 31, u32::MAX];

fn call(seeds: &Tensor, stream: u32, count: usize) -> Arguments {
    Arguments::new().with("seeds", seeds.clone()).set("stream", stream).set("count", count)
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..120 {
        let (batch, count, stream) = (1 + i % 4, g.pick(&COUNTS), STREAMS[i % STREAMS.len()]);
        // Words at the ends of their range, where carries and signs go wrong.
        let words = g.words([batch, 2]);
        let extreme = |word: &u32| [0, 1, u32::MAX, 1 << 31, 0xffff, 0xffff_0000, *word, *word][*word as usize % 8];
        let seeds = Tensor::u32([batch, 2], words.words().iter().map(extreme).collect()).expect("two words a seed");
        cases.push(Case::new(
            format!("seeds {:x?} stream={stream} count={count}", seeds.words()),
            call(&seeds, stream, count),
        ));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..25 {
        let (batch, count, stream) = (2 + i % 3, g.pick(&COUNTS) + 4, STREAMS[i % STREAMS.len()]);
        let seeds = g.words([batch, 2]);
        let size = format!("B={batch} stream={stream} count={count}");
        let (all, shorter) = (seeds.clone(), 1 + g.below(count));
        laws.push(Relation::new(format!("the first {shorter}: {size}"), move |calls| {
            let (long, short) = (calls.run(&call(&all, stream, count))?, calls.run(&call(&all, stream, shorter))?);
            let picks: Vec<usize> = (0..shorter).collect();
            let part = |name| Ok::<_, drdiff::Error>(gather(long.get(name)?, 1, &picks));
            Ok(vec![short.same("bits", &part("bits")?)?, short.same("normal", &part("normal")?)?])
        }));
        let (all, order) = (seeds.clone(), g.permutation(batch));
        laws.push(Relation::new(format!("sequences permuted: {size}"), move |calls| {
            let (plain, moved) =
                (calls.run(&call(&all, stream, count))?, calls.run(&call(&gather(&all, 0, &order), stream, count))?);
            let part = |name| Ok::<_, drdiff::Error>(gather(plain.get(name)?, 0, &order));
            Ok(vec![moved.same("bits", &part("bits")?)?, moved.same("normal", &part("normal")?)?])
        }));
        let (all, one) = (seeds.clone(), g.below(batch));
        laws.push(Relation::new(format!("sequence {one} alone: {size}"), move |calls| {
            let together = calls.run(&call(&all, stream, count))?;
            let alone = calls.run(&call(&gather(&all, 0, &[one]), stream, count))?;
            let row = |name| {
                let part = gather(together.get(name)?, 0, &[one]);
                let desc = alone.get(name)?.desc();
                Ok::<_, drdiff::Error>(tensor(desc.dtype, desc.shape.clone(), part.words().to_vec()))
            };
            Ok(vec![alone.same("bits", &row("bits")?)?, alone.same("normal", &row("normal")?)?])
        }));
        // A pair of normals lies on the circle that its first word gives.
        let even = 2 * count;
        laws.push(Relation::new(format!("radii: B={batch} stream={stream} count={even}"), move |calls| {
            let got = calls.run(&call(&seeds, stream, even))?;
            let radius = |pair: &[f64]| pair[0].hypot(pair[1]) as f32;
            let radii: Vec<f32> = got.wide("normal")?.chunks(2).map(radius).collect();
            let uniform = |pair: &[u32]| (f64::from(pair[0]) + 0.5) / 2_f64.powi(32);
            let want = got.get("bits")?.words().chunks(2).map(|pair| (-2.0 * uniform(pair).ln()).sqrt()).collect();
            let claim: Claim = got.close_by("normal", &Tensor::f32([radii.len()], radii)?, want)?;
            Ok(vec![claim])
        }));
    }
    laws
}
