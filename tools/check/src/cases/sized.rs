//! Calls of sizes that a user names, made of an op's signature.

use std::collections::BTreeMap;

use drdiff::op::{Arguments, Dim, Entry, Form, Input, Role, Setting};
use drdiff::{DType, Error, Result, Tensor};

use super::Case;
use crate::Gen;

/// What stands for [`Dim::Front`].
const ROWS: &str = "rows";
/// Elements of an input of any shape, for each of the largest size.
const ANY: usize = 8;

/// What a call is made of, as a command line has it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `NAME=SIZE`, for each name of the signature, each once; `rows` for what stands in front.
    pub sizes: Vec<(String, usize)>,
    /// `NAME=VALUE` of settings; one that is a tensor has its elements with commas between.
    pub settings: Vec<(String, String)>,
    /// Optional inputs that are to be there. One that has a size of its own is there where this size is named.
    pub with: Vec<String>,
}

/// The setting's tensor, where it is one: its element type and its size's name follow from what it says.
fn constant(setting: &Setting, text: &str) -> Result<Option<Tensor>> {
    let Some(kind) = setting.meaning.strip_prefix("tensor ") else { return Ok(None) };
    let refuse =
        |expected: &str| Error::argument(format!("the setting `{}`", setting.name), format!("`{text}`"), expected);
    let items = || text.split(',').map(str::trim);
    let len = items().count();
    Ok(Some(match kind.starts_with("u32") {
        true => {
            let words = items().map(|item| item.parse().map_err(|_| refuse("whole numbers, with commas between")));
            Tensor::u32([len], words.collect::<Result<_>>()?)?
        }
        false => {
            let numbers = items().map(|item| item.parse().map_err(|_| refuse("numbers, with commas between")));
            Tensor::f32([len], numbers.collect::<Result<_>>()?)?
        }
    }))
}

fn dims(input: &Input) -> &'static [Dim] {
    match input.form {
        Form::Dims(dims) => dims,
        Form::Any => &[],
    }
}

/// A size's name, where it has one.
fn name(dim: Dim) -> Option<&'static str> {
    match dim {
        Dim::Named(name) | Dim::MayBeZero(name) => Some(name),
        Dim::Front | Dim::Rows => Some(ROWS),
        Dim::Fixed(_) => None,
    }
}

/// The names of an input's sizes.
fn names(input: &Input) -> impl Iterator<Item = &'static str> {
    dims(input).iter().filter_map(|&dim| name(dim))
}

/// Indices that an op takes as they are: those below what they point into, where that is known by name.
fn words(op: &str, input: &Input, shape: &[usize], size: impl Fn(&str) -> usize, g: &mut Gen) -> Tensor {
    let all = |words: Vec<u32>| Tensor::u32(shape, words).expect("as many words as the shape has");
    match (op, input.name) {
        ("attention", "globals") => all((0..shape[0] as u32).collect()),
        (_, "lengths") => all(vec![size(if op == "attention" { "N" } else { "R" }) as u32; shape[0]]),
        ("embedding", "ids") => g.indices(shape, size("V").max(1)),
        _ => g.words(shape),
    }
}

/// A call of `entry` of the sizes that are wanted.
///
/// # Errors
/// If a size is missing, or a name is none of the op's.
pub fn sized(entry: &Entry, wanted: &Wanted, g: &mut Gen) -> Result<Case> {
    let (op, signature) = (entry.name(), entry.signature);
    let mut sizes: BTreeMap<String, usize> = wanted.sizes.iter().cloned().collect();
    let mut arguments = Arguments::new();
    for (name, text) in &wanted.settings {
        let setting = signature.settings.iter().find(|setting| setting.name == name);
        match setting.map(|setting| constant(setting, text)).transpose()?.flatten() {
            Some(tensor) => {
                // `widths` says how many experts there are, and how wide they are together.
                if (op, name.as_str()) == ("experts", "widths") {
                    let total: u64 = tensor.words().iter().map(|&width| u64::from(width)).sum();
                    sizes.entry("E".to_owned()).or_insert(tensor.desc().len());
                    sizes.entry("sum F".to_owned()).or_insert(usize::try_from(total).unwrap_or(usize::MAX));
                }
                arguments = arguments.with(name, tensor);
            }
            None => arguments.assign(&format!("{name}={text}"))?,
        }
    }
    let known: Vec<_> = {
        let all = signature.inputs.iter().flat_map(names);
        all.fold(Vec::new(), |mut all, name| {
            if !all.contains(&name) {
                all.push(name);
            }
            all
        })
    };
    // Names in the other case are meant so where the signature has no such name.
    sizes = sizes
        .into_iter()
        .map(|(name, size)| match known.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            Some(of) if !known.contains(&name.as_str()) => ((*of).to_owned(), size),
            _ => (name, size),
        })
        .collect();
    if let Some(strange) = sizes.keys().find(|name| !known.contains(&name.as_str())) {
        let expected = format!("one of {}", known.join(", "));
        return Err(Error::argument(format!("a size of {op}"), format!("`{strange}`"), expected));
    }
    let optional = |input: &&Input| input.role == Role::Optional;
    if let Some(strange) =
        wanted.with.iter().find(|name| !signature.inputs.iter().filter(optional).any(|input| input.name == **name))
    {
        let all: Vec<_> = signature.inputs.iter().filter(optional).map(|input| input.name).collect();
        let expected = if all.is_empty() {
            "none: it has no optional inputs".to_owned()
        } else {
            format!("one of {}", all.join(", "))
        };
        return Err(Error::argument(format!("an optional input of {op}"), format!("`{strange}`"), expected));
    }
    let always: Vec<_> = signature.inputs.iter().filter(|input| !optional(input)).flat_map(names).collect();
    let present = |input: &&Input| {
        let own = || names(input).any(|name| !always.contains(&name) && sizes.contains_key(name));
        !optional(input) || wanted.with.iter().any(|name| name == input.name) || own()
    };
    let largest = sizes.values().copied().max().unwrap_or(1);
    let size = |name: &str| sizes.get(name).copied();
    for input in signature.inputs.iter().filter(present) {
        let mut shape = Vec::new();
        for &dim in dims(input) {
            shape.push(match (dim, name(dim)) {
                (Dim::Fixed(size), _) => size,
                (_, Some(name)) => size(name).ok_or_else(|| {
                    let found = format!("without `{name}`, which `{}` has", input.name);
                    Error::argument(format!("the sizes of {op}"), found, format!("NAME=SIZE for {}", known.join(", ")))
                })?,
                (_, None) => 1,
            });
        }
        if input.form == Form::Any {
            shape.push(largest.saturating_mul(ANY));
        }
        let tensor = match input.dtype {
            DType::F32 => g.normal(shape, 1.0),
            DType::U32 => words(op, input, &shape, |name| size(name).unwrap_or(1), g),
        };
        arguments = arguments.with(input.name, tensor);
    }
    let mut label: Vec<_> = wanted.sizes.iter().map(|(name, size)| format!("{name}={size}")).collect();
    label.extend(wanted.settings.iter().map(|(name, text)| format!("{name}={text}")));
    label.extend(wanted.with.iter().map(|name| format!("with {name}")));
    Ok(Case::new(label.join(" "), arguments))
}

#[cfg(test)]
mod tests {
    use drdiff::graph::Call;
    use drdiff::ops::REGISTRY;

    use super::*;

    fn flops(op: &str, sizes: &[(&str, usize)], settings: &[(&str, &str)], with: &[&str]) -> Result<f64> {
        let entry = REGISTRY.iter().find(|entry| entry.name() == op).unwrap();
        let wanted = Wanted {
            sizes: sizes.iter().map(|&(name, size)| (name.to_owned(), size)).collect(),
            settings: settings.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
            with: with.iter().map(|&name| name.to_owned()).collect(),
        };
        let case = sized(entry, &wanted, &mut Gen::new(0, op))?;
        Ok(Call::by_name(entry, case.arguments)?.cost()?.flops)
    }

    #[test]
    fn a_call_has_the_sizes_that_are_named() {
        let all = [("rows", 20), ("K", 30), ("N", 7)];
        assert_eq!(
            flops("linear", &all, &[("activation", "silu")], &["bias", "gate"]).unwrap(),
            2.0 * 20.0 * 30.0 * 7.0
        );
        let hsa = [("pattern", "hsa"), ("window", "1"), ("dilations", "4:1")];
        let sizes = [("rows", 1), ("N", 16), ("H", 2), ("Hkv", 2), ("Dh", 8), ("G", 2)];
        let dense = flops("attention", &sizes, &[], &[]).unwrap();
        assert_eq!(dense, 4.0 * 8.0 * 2.0 * 256.0);
        let sparse = flops("attention", &sizes, &hsa, &[]).unwrap();
        assert!(sparse < dense && sparse > flops("attention", &sizes[..5], &hsa, &[]).unwrap(), "globals count");
        let experts = [("widths", "0,8,16"), ("top_k", "2")];
        assert!(flops("experts", &[("rows", 9), ("D", 12)], &experts, &[]).unwrap() > 0.0);
        let lower = [("rows", 20), ("k", 30), ("n", 7)];
        assert_eq!(flops("linear", &lower, &[], &[]).unwrap(), 2.0 * 20.0 * 30.0 * 7.0);
        assert!(flops("embedding", &[("rows", 9), ("V", 3), ("D", 12)], &[], &[]).is_ok());
        assert!(flops("noise", &[("B", 2)], &[("count", "100")], &[]).is_ok());
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let said = |sizes: &[(&str, usize)], settings: &[(&str, &str)], with: &[&str]| {
            flops("linear", sizes, settings, with).unwrap_err().to_string()
        };
        let all = [("rows", 2), ("K", 3), ("N", 4)];
        assert_eq!(
            said(&all[..2], &[], &[]),
            "the sizes of linear is without `N`, which `weight` has, expected NAME=SIZE for rows, K, N"
        );
        assert!(said(&[("M", 2)], &[], &[]).contains("`M`, expected one of rows, K, N"));
        assert!(said(&all, &[], &["mask"]).contains("`mask`, expected one of bias, residual, gate"));
        assert!(said(&all, &[("no_such", "1")], &[]).contains("no_such"));
        assert!(said(&[("rows", 2), ("K", 0), ("N", 1)], &[], &[]).contains('0'));
        let widths = flops("experts", &[("rows", 2), ("D", 3)], &[("widths", "1,x"), ("top_k", "1")], &[]);
        assert!(widths.unwrap_err().to_string().contains("`1,x`, expected whole numbers"));
    }
}
