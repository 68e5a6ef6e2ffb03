//! How an output is held against the f64 reference.

use drdiff::op::{Accuracy, ReferenceData};
use drdiff::{Data, Tensor};

use crate::near_tie;

/// A rule over (inputs, got, wanted); returns what is wrong.
pub type Rule = fn(&[Option<Tensor>], &[u32], &[u32]) -> Result<(), String>;

/// What an output must meet.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Normalised mean squared error, at most this.
    Nmse(f64),
    /// Largest absolute difference, at most this.
    Absolute(f64),
    /// Equal bits.
    Exact,
    /// A rule of the op's own over (inputs, got, wanted); returns what is wrong.
    Rule(Rule),
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The error in the check's own measure (0 where it is exact).
    pub error: f64,
    /// What is wrong, if anything.
    pub failure: Option<String>,
}

/// `mean (a - b)^2 / mean b^2`; where the reference is all zeros, `mean a^2`. NaN if any value is NaN; infinities of
/// the same sign count as equal, and so do values that differ by less than the smallest normal number, since a device
/// may take what is below it for 0.
pub fn nmse(got: &[f32], want: &[f64]) -> f64 {
    let (mut error, mut power) = (0.0, 0.0);
    for (&got, &want) in got.iter().zip(want) {
        let got = f64::from(got);
        if got.is_infinite() && got == want {
            continue;
        }
        let difference = (got - want).abs();
        if difference < f64::from(f32::MIN_POSITIVE) {
            power += want * want;
            continue;
        }
        error += difference * difference;
        power += want * want;
    }
    if power > 0.0 { error / power } else { error / got.len().max(1) as f64 }
}

/// Whether an error is above its limit; NaN always is.
pub fn exceeds(error: f64, limit: f64) -> bool {
    error.is_nan() || error > limit
}

/// Whether comparing with these values says nothing: they are zeros, or one value over and over.
pub fn trivial(want: &ReferenceData) -> bool {
    match want {
        ReferenceData::F64(want) => {
            want.iter().all(|&x| x == 0.0) || (want.len() > 1 && want.iter().all(|x| *x == want[0]))
        }
        ReferenceData::U32(want) => {
            want.iter().all(|&x| x == 0) || (want.len() > 1 && want.iter().all(|x| *x == want[0]))
        }
    }
}

impl Check {
    /// How an output of `op` is judged that promises `accuracy`.
    pub fn of(op: &str, accuracy: Accuracy) -> Self {
        match accuracy {
            Accuracy::Nmse(limit) => Self::Nmse(limit),
            Accuracy::Absolute(limit) => Self::Absolute(limit),
            Accuracy::Exact => Self::Exact,
            Accuracy::NearTie => near_tie::rule(op).map_or(Self::Exact, Self::Rule),
        }
    }

    /// Judges one output.
    pub fn judge(&self, inputs: &[Option<Tensor>], got: &Tensor, want: &ReferenceData) -> Judged {
        let within = |error: f64, limit: f64, measure: &str| Judged {
            error,
            failure: exceeds(error, limit).then(|| format!("{measure} {error:.2e}, at most {limit:.0e} allowed")),
        };
        let verdict = |result: Result<(), String>| Judged { error: 0.0, failure: result.err() };
        match (self, got.data(), want) {
            (Self::Nmse(_) | Self::Absolute(_), Data::F32(got), ReferenceData::F64(want))
                if got.len() != want.len() =>
            {
                verdict(Err(format!("{} elements, {} expected", got.len(), want.len())))
            }
            (Self::Nmse(limit), Data::F32(got), ReferenceData::F64(want)) => within(nmse(got, want), *limit, "NMSE"),
            (Self::Absolute(limit), Data::F32(got), ReferenceData::F64(want)) => {
                // Infinities of the same sign are not a difference.
                let differences = got.iter().zip(want).filter(|&(&got, &want)| f64::from(got) != want);
                let differences = differences.map(|(&got, &want)| (f64::from(got) - want).abs());
                let most = differences.fold(0.0, |most: f64, d| if d.is_nan() { d } else { most.max(d) });
                within(most, *limit, "difference")
            }
            (Self::Exact, Data::U32(got), ReferenceData::U32(want)) => verdict(exact(got, want)),
            (Self::Rule(rule), Data::U32(got), ReferenceData::U32(want)) => verdict(rule(inputs, got, want)),
            _ => verdict(Err("the output has not the type of its check".to_owned())),
        }
    }
}

fn exact(got: &[u32], want: &[u32]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} elements, {} expected", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(got, want)| got != want) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} is {}, expected {}", got[at], want[at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_never_passes() {
        let got = Tensor::f32([2], vec![1.0, f32::NAN]).unwrap();
        let want = ReferenceData::F64(vec![1.0, 2.0]);
        for check in [Check::Nmse(1.0), Check::Absolute(9.0)] {
            assert!(check.judge(&[], &got, &want).failure.is_some());
        }
        assert!(nmse(&[f32::NAN], &[f64::NAN]).is_nan());
        assert!(nmse(&[f32::INFINITY], &[1.0]) > 1.0);
    }

    #[test]
    fn trivial_is_what_compares_nothing() {
        for (values, expected) in [(&[][..], true), (&[0.0, -0.0], true), (&[3.0, 3.0], true), (&[3.0], false)] {
            assert_eq!(trivial(&ReferenceData::F64(values.to_vec())), expected, "{values:?}");
        }
        assert!(trivial(&ReferenceData::U32(vec![2, 2])) && !trivial(&ReferenceData::U32(vec![2, 1])));
    }

    #[test]
    fn nmse_is_relative_to_the_reference() {
        assert_eq!(nmse(&[3.0, 0.0], &[2.0, 0.0]), 0.25);
        assert_eq!(nmse(&[1.0], &[0.0]), 1.0);
    }
}
