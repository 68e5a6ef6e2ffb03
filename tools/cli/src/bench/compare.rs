//! Whether a case is faster or slower than it was, beyond what the times' spread explains.

use serde::Serialize;

use super::measure::quantiles;
use super::report::{Report, Row};

/// Differences below this share are never told: two builds of one source differ by as much.
const LEAST: f64 = 0.03;
/// Fewer runs than these do not say how far times spread.
const FEWEST_RUNS: usize = 3;
/// How many standard errors a difference must exceed.
const ERRORS: f64 = 3.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Faster,
    Slower,
    Same,
    /// Too few runs to tell.
    Unknown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "the same",
            Self::Unknown => "too few runs",
        }
    }
}

/// A case that is in both files.
#[derive(Serialize)]
pub struct Pair {
    pub op: String,
    pub case: String,
    /// The kernels now.
    pub kernels: Vec<String>,
    pub old_ms: f64,
    pub new_ms: f64,
    /// How many times as fast it is now.
    pub ratio: f64,
    /// The ratio's noise as a share: what differs by less is the same.
    pub noise: f64,
    pub verdict: Verdict,
}

#[derive(Serialize)]
pub struct Comparison {
    pub pairs: Vec<Pair>,
    /// Cases in one of the files alone.
    pub alone: usize,
    /// How many times as fast the device's copy and its product are now: what all cases share. Products of different
    /// sizes are not compared.
    pub copy: Option<f64>,
    pub product: Option<f64>,
}

/// The median's standard error as a share of it, from the times' median distance to it.
fn error(times: &[f64]) -> Option<f64> {
    if times.len() < FEWEST_RUNS {
        return None;
    }
    let median = quantiles(times)[2];
    let distances: Vec<_> = times.iter().map(|time| (time - median).abs()).collect();
    // Of normal numbers, the deviation is 1.48 times this distance, and the median's error 1.25 times the mean's.
    Some(1.48 * 1.25 * quantiles(&distances)[2] / median / (times.len() as f64).sqrt())
}

fn pair(old: &Row, new: &Row) -> Pair {
    let ratio = old.median / new.median;
    let errors = error(&old.milliseconds).zip(error(&new.milliseconds));
    let noise = errors.map_or(f64::INFINITY, |(old, new)| LEAST.max(ERRORS * old.hypot(new)));
    let verdict = match ratio.ln() {
        _ if errors.is_none() => Verdict::Unknown,
        change if change > noise => Verdict::Faster,
        change if change < -noise => Verdict::Slower,
        _ => Verdict::Same,
    };
    Pair {
        op: new.op.clone(),
        case: new.case.clone(),
        kernels: new.kernels.clone(),
        old_ms: old.median,
        new_ms: new.median,
        ratio,
        noise: if noise.is_finite() { noise } else { 0.0 },
        verdict,
    }
}

impl Comparison {
    /// The same kernels are compared, and beyond that what the device takes by itself, whatever the kernels are.
    pub fn new(old: &Report, new: &Report) -> Self {
        let mut met = vec![false; old.rows.len()];
        let mut pairs = Vec::new();
        for row in &new.rows {
            let case = |other: &&Row| other.op == row.op && other.case == row.case;
            let same = |other: &Row| case(&other) && other.tier == row.tier && other.kernels == row.kernels;
            let taken = |other: &Row| case(&other) && other.taken && row.taken;
            let place = old.rows.iter().position(taken).or_else(|| old.rows.iter().position(same));
            if let Some(place) = place {
                met[place] = true;
                pairs.push(pair(&old.rows[place], row));
            }
        }
        let alone = met.iter().filter(|met| !**met).count() + new.rows.len() - pairs.len();
        let peaks = old.peaks.as_ref().zip(new.peaks.as_ref());
        Self {
            pairs,
            alone,
            copy: peaks.map(|(old, new)| new.copy_gbytes_per_second / old.copy_gbytes_per_second),
            product: peaks
                .filter(|(old, new)| old.product == new.product)
                .map(|(old, new)| new.product_gflops_per_second / old.product_gflops_per_second),
        }
    }

    pub fn slower(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.verdict == Verdict::Slower).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(times: &[f64]) -> Row {
        Row {
            op: "linear".into(),
            case: "one".into(),
            tier: "core".into(),
            kernels: Vec::new(),
            taken: true,
            n: 1,
            milliseconds: times.to_vec(),
            median: quantiles(times)[2],
            spread: 0.0,
            flops: 1.0,
            bytes: 1.0,
            gflops_per_second: 1.0,
            gbytes_per_second: 1.0,
            of_product: None,
            of_copy: None,
        }
    }

    fn verdict(old: &[f64], new: &[f64]) -> Verdict {
        pair(&row(old), &row(new)).verdict
    }

    #[test]
    fn a_verdict_knows_noise() {
        let quiet = [10.0, 10.1, 9.9, 10.0, 10.05];
        let times = |factor: f64| quiet.map(|time| time * factor);
        assert_eq!(verdict(&quiet, &quiet), Verdict::Same);
        assert_eq!(verdict(&quiet, &times(1.02)), Verdict::Same, "too little to tell");
        assert_eq!(verdict(&quiet, &times(1.1)), Verdict::Slower);
        assert_eq!(verdict(&quiet, &times(0.9)), Verdict::Faster);
        let loud = [7.0, 13.0, 8.0, 12.0, 10.0];
        assert_eq!(verdict(&loud, &loud.map(|time| time * 1.1)), Verdict::Same, "the spread explains it");
        assert_eq!(verdict(&loud, &loud.map(|time| time * 3.0)), Verdict::Slower);
        assert_eq!(verdict(&quiet[..2], &times(2.0)), Verdict::Unknown);
    }
}
