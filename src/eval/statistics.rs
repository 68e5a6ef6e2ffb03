//! Statistics of token sequences: how varied a text is, and how much it repeats.

use std::collections::BTreeMap;

use crate::{Result, memory};

/// Most bytes that the counts take for each token, in small nodes that cannot be refused one by one.
const COUNTED: u64 = 32;
/// Tokens per slice when a text is compared with itself.
const SLICE: usize = 512;

/// What token counts say about one or more texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// How many texts.
    pub texts: usize,
    /// Tokens of all texts.
    pub tokens: usize,
    /// Entropy of the tokens' frequencies in nats (plug-in estimate: too small for short texts, so compare equal
    /// numbers of tokens).
    pub entropy: f64,
    /// Distinct n-grams over n-grams, n from 1 to 4, over all texts; an n-gram lies within one text (Li et al.
    /// 2016). `None` where no text is that long. Falls with length too.
    pub distinct: [Option<f64>; 4],
    /// The share of 4-grams that occurred earlier in the same text.
    pub repetition: Option<f64>,
    /// Mean cosine between the token counts of two texts, over all pairs; for one text, between its slices of 512
    /// tokens. `None` if there are fewer than two.
    pub self_similarity: Option<f64>,
}

impl Statistics {
    /// Counts.
    ///
    /// # Errors
    /// If the memory is refused.
    pub fn of(texts: &[&[u32]]) -> Result<Self> {
        let tokens = texts.iter().map(|text| text.len()).sum();
        memory::room("the counts of tokens", COUNTED * tokens as u64)?;
        let distinct = [distinct(texts, 1)?, distinct(texts, 2)?, distinct(texts, 3)?, distinct(texts, 4)?];
        let slices = match texts {
            [text] => memory::collected("the slices of a text", text.chunks_exact(SLICE))?,
            several => memory::copied("the texts", several)?,
        };
        Ok(Self {
            texts: texts.len(),
            tokens,
            entropy: entropy(texts),
            distinct,
            repetition: repetition(texts)?,
            self_similarity: self_similarity(&slices),
        })
    }
}

/// Parts of `text` and of `samples` that have the same lengths, so that their statistics may be compared: samples in
/// order, and as many tokens from the text's beginning. The longer of the two is cut short.
pub fn cut_alike<'a>(text: &'a [u32], samples: &[&'a [u32]]) -> (Vec<&'a [u32]>, Vec<&'a [u32]>) {
    let mut rest = text;
    let pairs = samples.iter().filter(|sample| !sample.is_empty()).map_while(|sample| {
        let (part, behind) = rest.split_at(sample.len().min(rest.len()));
        rest = behind;
        (!part.is_empty()).then(|| (part, &sample[..part.len()]))
    });
    pairs.unzip()
}

fn counts<'a>(tokens: impl Iterator<Item = &'a u32>) -> BTreeMap<u32, f64> {
    let mut counts = BTreeMap::new();
    tokens.for_each(|&token| *counts.entry(token).or_default() += 1.0);
    counts
}

fn entropy(texts: &[&[u32]]) -> f64 {
    let total = texts.iter().map(|text| text.len()).sum::<usize>() as f64;
    let counts = counts(texts.iter().copied().flatten());
    counts.values().map(|count| count / total * (total / count).ln()).sum()
}

/// Distinct n-grams, and all of them.
fn grams(texts: &[&[u32]], n: usize) -> Result<(usize, usize)> {
    let count = texts.iter().map(|text| text.windows(n).len()).sum();
    let mut grams = memory::empty("the n-grams of the texts", count)?;
    grams.extend(texts.iter().flat_map(|text| text.windows(n)));
    grams.sort_unstable();
    grams.dedup();
    Ok((grams.len(), count))
}

fn distinct(texts: &[&[u32]], n: usize) -> Result<Option<f64>> {
    let (distinct, count) = grams(texts, n)?;
    Ok(ratio(distinct, count))
}

fn repetition(texts: &[&[u32]]) -> Result<Option<f64>> {
    let (mut repeated, mut all) = (0, 0);
    for text in texts {
        let (distinct, count) = grams(&[text], 4)?;
        repeated += count - distinct;
        all += count;
    }
    Ok(ratio(repeated, all))
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// By the length of the sum of unit vectors, which holds every pair's cosine twice and every vector's own once.
fn self_similarity(texts: &[&[u32]]) -> Option<f64> {
    let mut sum = BTreeMap::<u32, f64>::new();
    let mut vectors = 0.0;
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let counts = counts(text.iter());
        let norm = counts.values().map(|count| count * count).sum::<f64>().sqrt();
        counts.iter().for_each(|(&token, count)| *sum.entry(token).or_default() += count / norm);
        vectors += 1.0;
    }
    let squared = sum.values().map(|x| x * x).sum::<f64>();
    (vectors > 1.0).then(|| (squared - vectors) / (vectors * (vectors - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn one_text_by_hand() {
        let s = Statistics::of(&[&[1, 2, 1, 2, 1, 2, 1, 2]]).unwrap();
        assert_eq!((s.texts, s.tokens), (1, 8));
        assert_relative_eq!(s.entropy, 2_f64.ln());
        // 2 of 8, 2 of 7, 2 of 6, 2 of 5.
        assert_eq!(s.distinct, [Some(0.25), Some(2.0 / 7.0), Some(2.0 / 6.0), Some(0.4)]);
        // 1212 and 2121 are new, the other three of five are not.
        assert_eq!(s.repetition, Some(0.6));
        assert_eq!(s.self_similarity, None);
    }

    #[test]
    fn several_texts_by_hand() {
        let s = Statistics::of(&[&[1, 1, 2], &[1, 2, 2], &[3]]).unwrap();
        // Counts 3, 3, 1 of 7.
        assert_relative_eq!(s.entropy, 6.0 / 7.0 * (7.0_f64 / 3.0).ln() + 7_f64.ln() / 7.0, epsilon = 1e-12);
        // 11 12, 12 22: no pair spans two texts. 112, 122.
        assert_eq!(s.distinct, [Some(3.0 / 7.0), Some(0.75), Some(1.0), None]);
        assert_eq!(s.repetition, None);
        // (2, 1, 0) and (1, 2, 0): 4/5; both with (0, 0, 1): 0.
        assert_relative_eq!(s.self_similarity.unwrap(), 0.8 / 3.0, epsilon = 1e-12);
    }

    #[test]
    fn one_long_text_is_held_against_itself() {
        let text = [vec![1; SLICE], vec![2; SLICE], vec![1; SLICE], vec![7; 9]].concat();
        // Of three pairs one is alike.
        assert_relative_eq!(Statistics::of(&[&text]).unwrap().self_similarity.unwrap(), 1.0 / 3.0, epsilon = 1e-12);
    }

    #[test]
    fn nothing_has_no_statistics() {
        let s = Statistics::of(&[]).unwrap();
        assert_eq!((s.tokens, s.entropy, s.distinct, s.repetition, s.self_similarity), (0, 0.0, [None; 4], None, None));
    }

    #[test]
    fn both_sides_are_cut_to_the_same_lengths() {
        let (text, samples) = cut_alike(&[1, 2, 3, 4, 5, 6, 7], &[&[9, 9, 9], &[8, 8]]);
        assert_eq!((text, samples), (vec![&[1, 2, 3][..], &[4, 5]], vec![&[9, 9, 9][..], &[8, 8]]));
        let (text, samples) = cut_alike(&[1, 2, 3, 4], &[&[9, 9, 9], &[8, 8], &[7]]);
        assert_eq!((text, samples), (vec![&[1, 2, 3][..], &[4]], vec![&[9, 9, 9][..], &[8]]));
    }
}
