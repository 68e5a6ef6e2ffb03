//! How kernels that go through a vocabulary cut it, so that there are workgroups enough where rows are few.

use crate::gpu::shaders;

/// Tokens that a kernel takes at a time.
const TOKENS: usize = shaders::vocab_expectation::TOKENS as usize;
const _: () = assert!(shaders::vocab_rounding::TOKENS as usize == TOKENS);
/// Rows that a workgroup is counted to take, whatever the kernel that is then chosen takes.
const ROWS: usize = 64;
/// Number of workgroups that the vocabulary is split for.
const GROUPS: usize = 512;
/// The merge kernel holds one factor per split.
const MAX_SPLITS: usize = shaders::vocab_merge::MAX_SPLITS as usize;

/// The parts of a vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Splits {
    /// How many there are.
    pub count: usize,
    /// Tokens of each but the last, a multiple of what a kernel takes at a time.
    pub tokens: usize,
}

impl Splits {
    /// For sequences of `rows` rows, each of which takes `chunks` workgroups. By sizes of one sequence alone, so that every
    /// GPU adds in one order, whatever the batch.
    pub(crate) fn new(rows: usize, chunks: usize, vocab: usize) -> Self {
        let groups = (rows.div_ceil(ROWS) * chunks).max(1);
        let tiles = vocab.div_ceil(TOKENS);
        let tiles_each = tiles.div_ceil(GROUPS.div_ceil(groups).min(MAX_SPLITS));
        Self { count: tiles.div_ceil(tiles_each), tokens: tiles_each * TOKENS }
    }
}

/// Whether kernels for few rows are to be preferred: there would be few workgroups otherwise, or mostly of no rows.
pub(crate) fn few(rows: usize, groups: usize) -> bool {
    rows <= ROWS / 2 || rows.div_ceil(ROWS) * groups < GROUPS / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_cover_the_vocabulary_and_none_is_empty() {
        for rows in [1, 64, 65, 256, 1024, 40_000] {
            for vocab in [1, 63, 64, 65, 4096, 50_257, 1 << 20] {
                let splits = Splits::new(rows, 3, vocab);
                assert!(splits.count * splits.tokens >= vocab, "{rows} {vocab}: {splits:?}");
                assert!((splits.count - 1) * splits.tokens < vocab, "{rows} {vocab}: {splits:?}");
                assert!(splits.count <= MAX_SPLITS, "{rows} {vocab}: {splits:?}");
            }
        }
        assert_eq!(Splits::new(256, 1, 4096), Splits { count: 64, tokens: 64 });
        assert_eq!(Splits::new(40_000, 1, 4096), Splits { count: 1, tokens: 4096 });
    }
}
