//! How often a model fills a gap in a text with the token that was there.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::corpus::Corpus;
use crate::host::philox;
use crate::model::{Model, Progress, Prompt, Request, Sampler, SessionOptions};
use crate::ops::noise::seed_words;
use crate::{Error, Result, memory};

/// What memory is called where it is refused.
const WHAT: &str = "the windows to fill in";
/// Longest span hidden at once.
const LONGEST_SPAN: usize = 8;
/// Windows sampled as one batch.
const BATCH: usize = 4;

/// What is hidden, and how it is filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct InfillOptions {
    /// Tokens of a window.
    pub length: usize,
    /// Windows to take from the text, spread evenly; `None` is all. As in [`super::LikelihoodOptions`].
    pub windows: Option<usize>,
    /// How many of these are filled in, starting with the first.
    pub filled: usize,
    /// Share of the tokens to hide, between 0 and 1, in random spans of 1 to 8 tokens.
    pub share: f64,
    /// Fills them in; its seed also places the spans.
    pub sampler: Sampler,
}

impl Default for InfillOptions {
    fn default() -> Self {
        Self { length: 512, windows: None, filled: 4, share: 0.3, sampler: Sampler::default() }
    }
}

/// Hits among the hidden tokens. A sampler draws from what it considers possible, so even a perfect one misses often,
/// and may hit less often than always guessing the commonest token would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Infill {
    /// Windows filled in.
    pub windows: usize,
    /// Tokens that were hidden.
    pub hidden: usize,
    /// Of these, filled in as they were.
    pub hits: usize,
    /// Of these, the commonest token of the whole text: the hits of always guessing it.
    pub commonest: usize,
}

impl Infill {
    /// Share of hits.
    pub fn accuracy(&self) -> f64 {
        self.hits as f64 / self.hidden as f64
    }

    /// Standard error of the accuracy, as of a binomial.
    pub fn error(&self) -> f64 {
        (self.accuracy() * (1.0 - self.accuracy()) / self.hidden as f64).sqrt()
    }

    /// Accuracy of always guessing the text's commonest token.
    pub fn baseline(&self) -> f64 {
        self.commonest as f64 / self.hidden as f64
    }
}

impl Model {
    /// Hides tokens of a text and fills them in again. `progress` is as in [`crate::model::Session::generate`], for each batch of
    /// windows.
    ///
    /// # Errors
    /// If settings are outside what is accepted, the text is not of this model's vocabulary, a window does not fit the
    /// device, a prediction was not finite ([`Error::NotFinite`]), `progress` asked to stop, or the device failed.
    pub fn infill(
        &self,
        corpus: &Corpus,
        options: &InfillOptions,
        mut progress: impl FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Infill> {
        if !(options.share > 0.0 && options.share < 1.0) {
            return Err(Error::argument("the share to hide", options.share, "a number above 0 and below 1"));
        }
        if options.filled == 0 {
            return Err(Error::argument("the number of windows to fill in", 0, "at least 1"));
        }
        let mut windows = corpus.windows(options.length, options.windows)?;
        windows.truncate(options.filled);
        let windows = windows.into_iter().map(|range| &corpus.tokens()[range]);
        let windows: Vec<&[u32]> = memory::collected(WHAT, windows)?;
        let commonest = commonest(corpus.tokens());
        let mut session = self.session(SessionOptions { length: options.length, ..Default::default() })?;
        let mut infill = Infill { windows: windows.len(), ..Infill::default() };
        for (index, windows) in windows.chunks(BATCH).enumerate() {
            let seed = |b: usize| options.sampler.seed.wrapping_add((index * BATCH + b) as u64);
            let spans = |b: usize, window: &[u32]| spans(window.len(), options.share, seed(b));
            let hidden = windows.iter().enumerate().map(|(b, window)| spans(b, window));
            let hidden = hidden.collect::<Result<Vec<_>>>()?;
            let request = |(b, (window, hidden)): (usize, (&&[u32], &Vec<bool>))| {
                let given = window.iter().zip(hidden).map(|(&token, &hidden)| (!hidden).then_some(token));
                let prompt = Prompt::tokens(memory::collected(WHAT, given)?);
                Ok(Request { prompt, length: None, seed: Some(seed(b)) })
            };
            let requests = windows.iter().zip(&hidden).enumerate().map(request).collect::<Result<Vec<_>>>()?;
            let filled = session.generate_batch(&requests, &options.sampler, &mut progress)?;
            for ((window, hidden), filled) in windows.iter().zip(hidden).zip(filled) {
                let pairs = window.iter().zip(filled.tokens).zip(hidden);
                for ((&token, filled), _) in pairs.filter(|(_, hidden)| *hidden) {
                    infill.hidden += 1;
                    infill.hits += usize::from(filled == token);
                    infill.commonest += usize::from(commonest == Some(token));
                }
            }
        }
        Ok(infill)
    }
}

/// The most frequent token; the lower id if several are equally frequent.
fn commonest(tokens: &[u32]) -> Option<u32> {
    let mut counts = BTreeMap::<u32, usize>::new();
    tokens.iter().for_each(|&token| *counts.entry(token).or_default() += 1);
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(token, _)| token)
}

/// Which of `length` positions are hidden: `share` of them, rounded; at least one and never all, unless there is only
/// one; in spans of 1 to 8, which may touch.
fn spans(length: usize, share: f64, seed: u64) -> Result<Vec<bool>> {
    // A stream that no noise of a sampler uses.
    let mut words = (0..).flat_map(|block| philox::block(seed_words(seed), u32::MAX, block).0);
    let mut below = |count: usize| ((u64::from(words.next().unwrap_or(0)) * count as u64) >> 32) as usize;
    let mut hidden = memory::zeroed::<bool>(WHAT, length)?;
    let mut left = ((share * length as f64).round() as usize).min(length.saturating_sub(1)).max(1).min(length);
    while left > 0 {
        let span = 1 + below(LONGEST_SPAN.min(left));
        let start = below(length - span + 1);
        let fresh = hidden[start..start + span].iter_mut().filter(|hidden| !**hidden);
        left -= fresh.map(|hidden| *hidden = true).count();
    }
    Ok(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hide_the_share() {
        for (length, share, expected) in [(100, 0.3, 30), (10, 0.01, 1), (10, 0.99, 9), (2, 0.5, 1), (1, 0.5, 1)] {
            for seed in 0..20 {
                let hidden = spans(length, share, seed).unwrap();
                assert_eq!(hidden.iter().filter(|hidden| **hidden).count(), expected);
            }
        }
        let spans = |seed| spans(64, 0.3, seed).unwrap();
        assert_eq!(spans(5), spans(5));
        assert_ne!(spans(5), spans(6));
    }

    #[test]
    fn the_commonest_is_the_lower_of_equals() {
        assert_eq!(commonest(&[5, 3, 3, 5, 1]), Some(3));
        assert_eq!(commonest(&[]), None);
    }

    #[test]
    fn accuracy_by_hand() {
        let infill = Infill { windows: 1, hidden: 100, hits: 20, commonest: 5 };
        assert_eq!((infill.accuracy(), infill.error(), infill.baseline()), (0.2, 0.04, 0.05));
    }
}
