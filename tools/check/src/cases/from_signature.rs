//! Calls of an op that has no cases of its own: sizes at the edges of tiles for every name of its signature, optional
//! inputs there and absent, settings as they are by default.

use std::collections::BTreeMap;

use drdiff::DType;
use drdiff::op::{Arguments, Dim, Entry, Form, Input, Role};

use super::Case;
use crate::Gen;

/// Sizes at the edges of tiles, of subgroups and of vectors.
const SIZES: [usize; 17] = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129];
/// Calls that verify.
const CALLS: usize = 100;

/// A call whose names have the sizes that `size` gives, and whose optional inputs are there where `present` says so.
fn call(
    entry: &Entry,
    g: &mut Gen,
    mut size: impl FnMut(&mut Gen) -> usize,
    mut present: impl FnMut(&mut Gen) -> bool,
) -> Case {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    let front = size(g);
    let (mut arguments, mut absent) = (Arguments::new(), String::new());
    let mut shape = |g: &mut Gen, input: &Input| match input.form {
        Form::Any => vec![size(g) + 4096],
        Form::Dims(dims) => dims
            .iter()
            .map(|dim| match *dim {
                Dim::Named(name) | Dim::MayBeZero(name) => *sizes.entry(name).or_insert_with(|| size(g)),
                Dim::Fixed(size) => size,
                Dim::Front | Dim::Rows => front,
            })
            .collect(),
    };
    for input in entry.signature.inputs {
        let shape = shape(g, input);
        if input.role == Role::Optional && !present(g) {
            absent += &format!(" without {}", input.name);
            continue;
        }
        let tensor = match input.dtype {
            DType::F32 => g.normal(shape, 1.0),
            DType::U32 => g.words(shape),
        };
        arguments = arguments.with(input.name, tensor);
    }
    let sizes: Vec<_> = sizes.iter().map(|(name, size)| format!("{name}={size}")).collect();
    Case::new(format!("..={front} {}{absent}", sizes.join(" ")), arguments)
}

pub(super) fn cases(entry: &Entry, g: &mut Gen) -> Vec<Case> {
    (0..CALLS).map(|_| call(entry, g, |g| g.pick(&SIZES), |g| g.below(2) == 0)).collect()
}

pub(super) fn benches(entry: &Entry, g: &mut Gen) -> Vec<Case> {
    vec![call(entry, g, |_| 512, |_| true)]
}
