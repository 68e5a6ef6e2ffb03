//! What `drdiff eval` found, as a table or as JSON.

use std::fmt::Write as _;

use drdiff::eval::{Estimate, Infill, Likelihood, Statistics};
use serde_json::{Value, json};

/// A result and the time it took.
pub struct Timed<T> {
    pub value: T,
    pub seconds: f64,
}

/// Text and samples in parts of the same lengths.
pub struct Alike {
    pub text: Statistics,
    pub samples: Statistics,
}

impl Alike {
    fn entropy_ratio(&self) -> f64 {
        self.samples.entropy / self.text.entropy
    }
}

/// All of it; what was not asked for is absent.
#[derive(Default)]
pub struct Report {
    pub device: Option<String>,
    pub likelihood: Option<Timed<Likelihood>>,
    pub infill: Option<Timed<Infill>>,
    pub text: Option<Statistics>,
    pub samples: Option<Statistics>,
    pub alike: Option<Alike>,
}

impl Report {
    pub fn json(&self) -> Value {
        json!({
            "device": self.device,
            "likelihood": self.likelihood.as_ref().map(likelihood_json),
            "infill": self.infill.as_ref().map(infill_json),
            "statistics": {
                "text": self.text.as_ref().map(statistics_json),
                "samples": self.samples.as_ref().map(statistics_json),
                "alike": self.alike.as_ref().map(|alike| json!({
                    "text": statistics_json(&alike.text),
                    "samples": statistics_json(&alike.samples),
                    "entropy_ratio": alike.entropy_ratio(),
                })),
            },
        })
    }

    pub fn table(&self) -> String {
        let mut out = String::new();
        if let Some(timed) = &self.likelihood {
            out += &likelihood_table(&timed.value);
        }
        if let Some(Timed { value: infill, .. }) = &self.infill {
            let (accuracy, error) = (infill.accuracy(), infill.error());
            let (hidden, windows, baseline) = (infill.hidden, infill.windows, infill.baseline());
            let _ = writeln!(
                out,
                "infill accuracy           {accuracy:8.4} ± {error:.4}  of {hidden} hidden tokens in {windows} windows\n  \
                 always guessing the commonest  {baseline:8.4}"
            );
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out + &self.statistics_table()
    }

    fn statistics_table(&self) -> String {
        let all = [
            ("text", self.text.as_ref()),
            ("samples", self.samples.as_ref()),
            ("text alike", self.alike.as_ref().map(|alike| &alike.text)),
            ("samples alike", self.alike.as_ref().map(|alike| &alike.samples)),
        ];
        let columns: Vec<_> = all.into_iter().filter_map(|(name, s)| s.map(|s| (name, s))).collect();
        let mut out = String::new();
        let mut row = |name: &str, cell: &dyn Fn(&str, &Statistics) -> String| {
            let cells: String = columns.iter().map(|(name, s)| format!(" {:>14}", cell(name, s))).collect();
            let _ = writeln!(out, "{name:<24}{cells}");
        };
        let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.4}"));
        row("statistics", &|name, _| name.to_owned());
        row("texts", &|_, s| s.texts.to_string());
        row("tokens", &|_, s| s.tokens.to_string());
        row("unigram entropy, nats", &|_, s| number(Some(s.entropy)));
        for n in 1..=4 {
            row(&format!("distinct-{n}"), &|_, s| number(s.distinct[n - 1]));
        }
        row("repeated 4-grams", &|_, s| number(s.repetition));
        row("self-similarity", &|_, s| number(s.self_similarity));
        if let Some(alike) = &self.alike {
            let ratio = alike.entropy_ratio();
            let _ = writeln!(out, "entropy of the samples over that of as many tokens of the text: {ratio:.4}");
        }
        out
    }
}

fn likelihood_table(l: &Likelihood) -> String {
    let bound = |name: &str, estimate: &Estimate| {
        let error = estimate.error.map_or(String::new(), |error| format!(" ± {error:.4}"));
        let bits = l.bits_per_byte(estimate.nats);
        format!("{name:<26}{:8.4}{error}  nats/token, {bits:.4} bits/byte\n", estimate.nats)
    };
    let part = |name: &str, nats: f64| format!("  {name:<24}{nats:8.4}\n");
    let scored = format!("{} tokens ({} bytes) in {} windows\n", l.tokens, l.bytes, l.windows);
    [
        scored,
        bound("bound", &l.bound),
        part("prior", l.prior),
        part("diffusion", l.bound.diffusion),
        part("reconstruction", l.reconstruction),
        bound("without a first prediction", &l.unconditioned),
        format!("{:<26}{:8.4}\n", "expert FLOPs share", l.expert_share),
    ]
    .concat()
}

fn likelihood_json(timed: &Timed<Likelihood>) -> Value {
    let Timed { value: l, seconds } = timed;
    let estimate = |estimate: &Estimate| {
        json!({
            "nats_per_token": estimate.nats, "error": estimate.error, "diffusion": estimate.diffusion,
            "bits_per_byte": l.bits_per_byte(estimate.nats),
        })
    };
    let bins = l.bins.iter().map(|bin| {
        json!({
            "gamma": [bin.gamma, bin.gamma + 1], "predictions": bin.predictions, "nats_per_token": bin.nats,
            "squared_error": bin.squared_error, "squared_error_unconditioned": bin.unconditioned,
        })
    });
    json!({
        "bound": estimate(&l.bound), "unconditioned": estimate(&l.unconditioned),
        "prior": l.prior, "reconstruction": l.reconstruction,
        "windows": l.windows, "tokens": l.tokens, "bytes": l.bytes, "expert_share": l.expert_share,
        "seconds": seconds, "tokens_per_second": l.tokens as f64 / seconds, "bins": bins.collect::<Vec<_>>(),
    })
}

fn infill_json(timed: &Timed<Infill>) -> Value {
    let Timed { value: infill, seconds } = timed;
    json!({
        "accuracy": infill.accuracy(), "error": infill.error(), "baseline": infill.baseline(),
        "hidden": infill.hidden, "hits": infill.hits, "windows": infill.windows, "seconds": seconds,
    })
}

fn statistics_json(s: &Statistics) -> Value {
    json!({
        "texts": s.texts, "tokens": s.tokens, "entropy": s.entropy, "distinct": s.distinct,
        "repetition": s.repetition, "self_similarity": s.self_similarity,
    })
}
