//! The expected embedding under the predicted distribution over the vocabulary.

use crate::{add_scaled, arg_max, dot, row, row_mut};

/// Sizes of [`vocab_expectation`].
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    /// Rows, n.
    pub rows: usize,
    /// Width of the hidden state, D.
    pub dim: usize,
    /// Vocabulary, V.
    pub vocab: usize,
    /// Width of an embedding, De.
    pub embed_dim: usize,
}

/// What [`vocab_expectation`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// `[n, De]`: the mean embedding under the softmax.
    pub x0: Vec<f64>,
    /// `[n]`: natural log of the sum of exp of the logits.
    pub lse: Vec<f64>,
    /// `[n]`: entropy of the softmax in nats.
    pub entropy: Vec<f64>,
    /// `[n]`: the most probable token, the lower id on a tie.
    pub token: Vec<u32>,
    /// `[n]`: the largest logit and the second largest, to judge near-ties by; with V = 1 the second is minus infinity.
    pub top: Vec<(f64, f64)>,
}

/// `x0 = softmax(logits) embed` with `logits = h unembed^T + skip embed^T`: the prediction of the clean embedding as
/// a mean over the vocabulary (Dieleman et al. 2022, score interpolation). `skip` carries the exact Bayes term of the
/// noisy state, see [`crate::solver::bayes_query`].
///
/// `h` `[n, D]`, `unembed` `[V, D]`, `embed` `[V, De]`, `skip` `[n, De]`; logits must be finite.
pub fn vocab_expectation(h: &[f64], unembed: &[f64], embed: &[f64], skip: Option<&[f64]>, dims: &Dims) -> Expectation {
    let Dims { rows, dim, vocab, embed_dim } = *dims;
    assert_eq!(h.len(), rows * dim, "vocab_expectation: h is not [n, D]");
    assert_eq!(unembed.len(), vocab * dim, "vocab_expectation: unembed is not [V, D]");
    assert_eq!(embed.len(), vocab * embed_dim, "vocab_expectation: embed is not [V, De]");
    assert!(skip.is_none_or(|skip| skip.len() == rows * embed_dim), "vocab_expectation: skip is not [n, De]");

    let mut result = Expectation {
        x0: vec![0.0; rows * embed_dim],
        lse: Vec::with_capacity(rows),
        entropy: Vec::with_capacity(rows),
        token: Vec::with_capacity(rows),
        top: Vec::with_capacity(rows),
    };
    for i in 0..rows {
        let logit = |token: usize| {
            let bayes = skip.map_or(0.0, |skip| dot(row(skip, i, embed_dim), row(embed, token, embed_dim)));
            dot(row(h, i, dim), row(unembed, token, dim)) + bayes
        };
        let logits: Vec<f64> = (0..vocab).map(logit).collect();
        let best = arg_max(&logits);
        // All but the best apart: beside a sure token's 1 the others are lost even in f64.
        let (mut tail, mut weighted) = (0.0, 0.0);
        for logit in
            logits.iter().enumerate().filter(|(token, _)| *token != best).map(|(_, logit)| logit - logits[best])
        {
            tail += logit.exp();
            weighted += logit.exp() * logit;
        }
        let lse = logits[best] + tail.ln_1p();
        let entropy = tail.ln_1p() - weighted / (1.0 + tail);
        for (token, logit) in logits.iter().enumerate() {
            let p = (logit - logits[best]).exp() / (1.0 + tail);
            add_scaled(row_mut(&mut result.x0, i, embed_dim), p, row(embed, token, embed_dim));
        }
        let others = (0..vocab).filter(|&token| token != best).map(|token| logits[token]);
        result.lse.push(lse);
        result.entropy.push(entropy);
        result.token.push(best as u32);
        result.top.push((logits[best], others.fold(f64::NEG_INFINITY, f64::max)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{Dims as AttentionDims, Mask, Pattern, attention};
    use crate::testing::{assert_close, values};

    #[test]
    fn by_hand() {
        let dims = Dims { rows: 1, dim: 1, vocab: 3, embed_dim: 2 };
        let embed = [4.0, 0.0, 0.0, 4.0, 4.0, 4.0];
        // Logits ln 2, 0, 0: probabilities 1/2, 1/4, 1/4.
        let got = vocab_expectation(&[2_f64.ln()], &[1.0, 0.0, 0.0], &embed, None, &dims);
        assert_close(&got.x0, &[3.0, 2.0], 1e-14);
        assert_close(&[got.lse[0], got.entropy[0]], &[4_f64.ln(), 1.5 * 2_f64.ln()], 1e-14);
        assert_eq!(got.token, [0]);
        assert_eq!(got.top, [(2_f64.ln(), 0.0)]);
        // The skip alone: logits 0, 4, 4; the tie goes to 1.
        let got = vocab_expectation(&[0.0], &[1.0, 0.0, 0.0], &embed, Some(&[0.0, 1.0]), &dims);
        assert_eq!((got.token[0], got.top[0]), (1, (4.0, 4.0)));
    }

    #[test]
    fn entropy_at_its_ends() {
        let dims = Dims { rows: 2, dim: 1, vocab: 8, embed_dim: 1 };
        let unembed: Vec<f64> = (0..8).map(f64::from).collect();
        let got = vocab_expectation(&[0.0, 1e5], &unembed, &[1.0; 8], None, &dims);
        assert_close(&got.entropy, &[8_f64.ln(), 0.0], 1e-14);
        assert_close(&got.x0, &[1.0, 1.0], 1e-14);
        assert_eq!(got.token, [0, 7]);
    }

    #[test]
    fn it_is_attention_over_the_vocabulary() {
        // Queries h, keys unembed, values embed; the rows beyond the queries are there to make the counts equal.
        let (vocab, dim) = (11, 4);
        let [h, unembed, embed] = [0, 1, 2].map(|stream| values(stream, vocab * dim));
        let dims = Dims { rows: vocab, dim, vocab, embed_dim: dim };
        let got = vocab_expectation(&h, &unembed, &embed, None, &dims);
        let pattern = Pattern { dense: true, ..Pattern::default() };
        let mask = Mask { lengths: &[vocab], globals: &[], pattern: &pattern };
        let as_attention = AttentionDims { batch: 1, rows: vocab, heads: 1, key_heads: 1, head_dim: dim };
        let same = attention(&h, &unembed, &embed, &as_attention, &mask, 1.0);
        assert_close(&got.x0, &same.out, 1e-13);
        assert_close(&got.lse, &same.lse, 1e-13);
    }
}
