//! A call's inputs against a signature: the one place that counts and compares them.

use super::shapes::{Shapes, Sizes};
use super::signature::{Dim, Form, Role, Signature};
use crate::{Desc, Error, Result};

impl Signature {
    /// Matches `inputs` with the signature; `known` are sizes that settings fix.
    ///
    /// # Errors
    /// If an input is missing, has another type or shape, or a size differs from where its name stood before.
    ///
    /// # Panics
    /// Where an output has a name that no required input and no setting says: the signature is wrong, not the call.
    pub fn bind(&self, inputs: &[Option<&Desc>], known: &[(Dim, usize)]) -> Result<Shapes> {
        count_inputs(self, inputs.len())?;
        let mut sizes = Sizes::new(known);
        for (input, desc) in self.inputs.iter().zip(inputs) {
            let Some(desc) = desc else {
                match input.role {
                    Role::Optional => continue,
                    _ => return Err(Error::shape(self.name, input.name, "missing", "a tensor")),
                }
            };
            let Form::Dims(dims) = input.form else {
                if desc.dtype == input.dtype && !desc.is_empty() {
                    continue;
                }
                let expected = format!("{} of any shape, sizes of at least 1", input.dtype.name());
                return Err(Error::shape(self.name, input.name, desc.to_string(), expected));
            };
            let before = sizes.clone();
            if desc.dtype != input.dtype || !sizes.fits(dims, &desc.shape, input) {
                let expected = before.expected(input.dtype, dims, desc);
                return Err(Error::shape(self.name, input.name, desc.to_string(), expected));
            }
        }
        let outputs = self.outputs.iter().map(|output| Desc { dtype: output.dtype, shape: sizes.shape(output.dims) });
        let outputs = outputs.collect();
        Ok(Shapes { op: self.name, inputs: inputs.iter().map(|desc| desc.cloned()).collect(), outputs, sizes })
    }
}

/// Refuses a count of inputs that is not the signature's: the one place that counts them.
fn count_inputs(signature: &Signature, given: usize) -> Result<()> {
    if given == signature.inputs.len() {
        return Ok(());
    }
    let names: Vec<_> = signature.inputs.iter().map(|input| input.name).collect();
    let expected = format!("{} ({}), `None` for an absent one", names.len(), names.join(", "));
    Err(Error::shape(signature.name, "the number of inputs", given.to_string(), expected))
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, Input, Output};
    use super::*;

    const K: Dim = Dim::Named("K");
    const N: Dim = Dim::Named("N");
    const X: Input = Input::f32(0, "x", &[Dim::Front, K]);
    const WEIGHT: Input = Input::f32(1, "weight", &[N, K]);
    const IDS: Input = Input::u32(2, "ids", &[Dim::Front]).optional();
    const GATE: Input = Input::any(3, "gate").optional();
    const Y: Output = Output::f32(0, "y", &[Dim::Front, N], Accuracy::Nmse(1e-9));
    const PAIRS: Output = Output::u32(1, "pairs", &[Dim::Rows, Dim::Fixed(2)], Accuracy::Exact);
    static SIGNATURE: Signature = Signature::new("mix", "mixes", &[X, WEIGHT, IDS, GATE], &[Y, PAIRS], &[]);

    fn bind(x: &[usize], weight: &[usize], ids: Option<Desc>, known: &[(Dim, usize)]) -> Result<Shapes> {
        let (x, weight) = (Desc::f32(x), Desc::f32(weight));
        SIGNATURE.bind(&[Some(&x), Some(&weight), ids.as_ref(), None], known)
    }

    #[test]
    fn a_name_is_one_size() {
        let shapes = bind(&[2, 5, 3], &[7, 3], Some(Desc::u32([2, 5])), &[]).unwrap();
        assert_eq!(shapes.outputs, [Desc::f32([2, 5, 7]), Desc::u32([10, 2])]);
        assert_eq!((shapes.size(K), shapes.size(N), shapes.rows()), (3, 7, 10));
        assert!(shapes.has(IDS) && !shapes.has(GATE));
        assert_eq!(bind(&[3], &[7, 3], None, &[]).unwrap().outputs[0], Desc::f32([7]));
    }

    #[test]
    fn a_refusal_says_what_was_expected_and_why() {
        let refused = |outcome: Result<Shapes>| outcome.expect_err("accepted").to_string();
        for (text, expected) in [
            (refused(bind(&[2, 3], &[7, 4], None, &[])), "f32 [N, 3] (K = 3 as in x)"),
            (refused(bind(&[2, 3], &[7], None, &[])), "f32 [N, 3]"),
            (refused(bind(&[], &[7, 3], None, &[])), "f32 [.., K]"),
            (refused(bind(&[2, 0], &[7, 0], None, &[])), "f32 [.., K], sizes of at least 1"),
            (refused(bind(&[0, 3], &[7, 3], None, &[])), "sizes of at least 1"),
            (refused(bind(&[2, 3], &[7, 3], Some(Desc::u32([3])), &[])), "u32 [2] (.. = 2 as in x)"),
            (refused(bind(&[2, 3], &[7, 3], Some(Desc::f32([2])), &[])), "u32 [2]"),
            (refused(bind(&[2, 3], &[7, 3], None, &[(N, 8)])), "f32 [8, 3] (N = 8 by the settings, K = 3 as in x)"),
            (refused(SIGNATURE.bind(&[None, None, None, None], &[])), "missing"),
            (refused(SIGNATURE.bind(&[None], &[])), "4 (x, weight, ids, gate)"),
        ] {
            assert!(text.contains("mix") && text.contains(expected), "{text}: {expected}");
        }
    }
}
