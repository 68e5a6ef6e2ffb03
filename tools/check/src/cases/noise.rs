//! Cases and benches of `noise`.

use drdiff::op::Arguments;

use crate::{Case, Gen};
pub(super) fn cases(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for count in [1, 2, 3, 4, 5, 63, 64, 255, 256, 257, 1000, 4099, 20_000] {
        for seed in [0, 1, u64::from(u32::MAX), u64::MAX, 0x0123_4567_89ab_cdef] {
            let stream = g.pick(&[0, 1, 7, u32::MAX]);
            let arguments = Arguments::new().set("count", count).set("seed", seed).set("stream", stream);
            cases.push(Case::new(format!("count={count} seed={seed} stream={stream}"), arguments));
        }
    }
    for batch in [2, 3, 5] {
        let arguments = Arguments::new().set("count", 37).with("seeds", g.words([batch, 2]));
        cases.push(Case::new(format!("batch={batch}"), arguments));
    }
    cases
}

pub(super) fn bench(_: &mut Gen) -> Vec<Case> {
    vec![Case::new("count=4194304", Arguments::new().set("count", 4_194_304))]
}
