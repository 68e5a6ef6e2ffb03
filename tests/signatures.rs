//! What the ops' signatures say is what the ops do.

use drdiff::graph::{Call, Graph};
use drdiff::op::{Dim, Entry, Form, Role};
use drdiff::ops::REGISTRY;
use drdiff::{DType, Desc, Result, Tensor};
use drdiff_check::{Gen, cases};

/// The op's first case with its inputs edited, inferred by the op itself and pushed to a graph, which must agree.
fn outcome(entry: &Entry, edit: impl Fn(&mut Vec<Option<Tensor>>)) -> Result<()> {
    let case = cases(entry, &mut Gen::new(0, entry.name())).remove(0);
    let (op, mut inputs) = Call::by_name(entry, case.arguments).unwrap().into_parts();
    edit(&mut inputs);
    let descs: Vec<_> = inputs.iter().map(|tensor| tensor.as_ref().map(Tensor::desc)).collect();
    let inferred = op.infer(&descs).is_ok();
    let mut graph = Graph::new();
    let values: Vec<_> = descs.iter().map(|desc| desc.map(|desc| graph.state(desc.clone()))).collect();
    let pushed = graph.push_boxed(op, &values, &[]);
    assert_eq!(pushed.is_ok(), inferred, "{}", entry.name());
    pushed.map(|_| ())
}

fn refused(entry: &Entry, outcome: Result<()>, words: &str) {
    let said = outcome.expect_err(entry.name()).to_string();
    assert!(said.contains(entry.name()) && said.contains(words), "{words}: {said}");
}

#[test]
fn no_op_takes_an_input_too_many_or_too_few() {
    for entry in REGISTRY {
        outcome(entry, |_| {}).unwrap();
        let count = "the number of inputs is";
        refused(entry, outcome(entry, |inputs| inputs.push(None)), count);
        refused(entry, outcome(entry, |inputs| inputs.push(Some(Tensor::zeros(Desc::f32([1])).unwrap()))), count);
        refused(entry, outcome(entry, |inputs| inputs.truncate(inputs.len() - 1)), count);
        refused(entry, outcome(entry, Vec::clear), count);
    }
}

#[test]
fn every_input_is_needed_unless_it_is_optional_and_has_its_type_and_shape() {
    for entry in REGISTRY {
        for input in entry.signature.inputs {
            let place = input.index;
            if input.role != Role::Optional {
                refused(entry, outcome(entry, |inputs| inputs[place] = None), input.name);
            }
            let dtype = match input.dtype {
                DType::F32 => DType::U32,
                DType::U32 => DType::F32,
            };
            let retyped = |inputs: &mut Vec<Option<Tensor>>| {
                let shape = inputs[place].as_ref().map_or(vec![4096], |tensor| tensor.desc().shape.clone());
                inputs[place] = Some(Tensor::zeros(Desc { dtype, shape }).unwrap());
            };
            refused(entry, outcome(entry, retyped), input.name);
            let Form::Dims(dims) = input.form else { continue };
            let deeper = |inputs: &mut Vec<Option<Tensor>>| {
                let shape = match dims.contains(&Dim::Front) {
                    true => vec![0; dims.len()],
                    false => vec![1; dims.len() + 1],
                };
                inputs[place] = Some(Tensor::zeros(Desc { dtype: input.dtype, shape }).unwrap());
            };
            refused(entry, outcome(entry, deeper), input.name);
        }
    }
}

#[test]
fn settings_are_those_that_a_call_knows() {
    for entry in REGISTRY {
        for setting in entry.signature.settings {
            assert!(!setting.meaning.is_empty(), "{} {}", entry.name(), setting.name);
            let case = cases(entry, &mut Gen::new(0, entry.name())).remove(0);
            let said = match Call::by_name(entry, case.arguments.set(setting.name, "no such value")) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{} takes any {}", entry.name(), setting.name),
            };
            // A setting that is given as a tensor is not taken as a text.
            assert!(said.contains(setting.name), "{} {}: {said}", entry.name(), setting.name);
        }
    }
}
