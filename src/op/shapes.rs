//! The shapes of one call, and the sizes that its signature's names stand for.

use super::signature::{Dim, Input};
use crate::{DType, Desc, Error, Result};

/// What the names of a signature stand for in a call.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// What [`Dim::Front`] stands for, and the input that said so.
    front: Option<(Vec<usize>, &'static str)>,
    /// Name, size, and the input that said so (none for a setting).
    named: Vec<(&'static str, usize, Option<&'static str>)>,
}

impl Sizes {
    pub(super) fn new(known: &[(Dim, usize)]) -> Self {
        let named = known.iter().filter_map(|&(dim, size)| match dim {
            Dim::Named(name) | Dim::MayBeZero(name) => Some((name, size, None)),
            _ => None,
        });
        Self { front: None, named: named.collect() }
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.named.iter().find(|(known, ..)| *known == name).map(|&(_, size, _)| size)
    }

    /// The size that a name stands for.
    pub fn get(&self, dim: Dim) -> Option<usize> {
        match dim {
            Dim::Named(name) | Dim::MayBeZero(name) => self.named(name),
            Dim::Fixed(size) => Some(size),
            Dim::Front => None,
            Dim::Rows => self.front.as_ref().map(|(front, _)| front.iter().product()),
        }
    }

    /// Whether `shape` is what `dims` ask for; learns the names that are new.
    pub(super) fn fits(&mut self, dims: &[Dim], shape: &[usize], input: &Input) -> bool {
        let Some(fronts) = (shape.len() + 1).checked_sub(dims.len()).filter(|_| dims.contains(&Dim::Front)) else {
            return dims.len() == shape.len()
                && !dims.contains(&Dim::Front)
                && dims.iter().zip(shape).all(|(&dim, &size)| self.learn(dim, size, input));
        };
        let mut rest = shape;
        dims.iter().all(|&dim| {
            let (here, behind) = rest.split_at(if dim == Dim::Front { fronts } else { 1 });
            rest = behind;
            match dim {
                Dim::Front => self.learn_front(here, input),
                dim => self.learn(dim, here[0], input),
            }
        })
    }

    fn learn(&mut self, dim: Dim, size: usize, input: &Input) -> bool {
        match dim {
            Dim::Named(_) if size == 0 => false,
            Dim::Named(name) | Dim::MayBeZero(name) => match self.named(name) {
                Some(known) => known == size,
                None => {
                    self.named.push((name, size, Some(input.name)));
                    true
                }
            },
            Dim::Fixed(fixed) => fixed == size,
            Dim::Front | Dim::Rows => false,
        }
    }

    fn learn_front(&mut self, sizes: &[usize], input: &Input) -> bool {
        match &self.front {
            _ if sizes.contains(&0) => false,
            Some((front, _)) => front == sizes,
            None => {
                self.front = Some((sizes.to_vec(), input.name));
                true
            }
        }
    }

    /// The shape that `dims` stand for; a name that no input has said is an error of the signature.
    pub(super) fn shape(&self, dims: &[Dim]) -> Vec<usize> {
        let mut shape = Vec::with_capacity(dims.len());
        for &dim in dims {
            match (dim, &self.front) {
                (Dim::Front, Some((front, _))) => shape.extend(front),
                (dim, _) => shape.push(self.get(dim).unwrap_or_else(|| panic!("nothing says what {dim} is"))),
            }
        }
        shape
    }

    /// What would have fitted, in words: `f32 [N, 3] (K = 3 as in x)`.
    pub(super) fn expected(&self, dtype: DType, dims: &[Dim], found: &Desc) -> String {
        let (mut parts, mut reasons) = (Vec::new(), Vec::new());
        for dim in dims {
            match (*dim, &self.front) {
                (Dim::Front, Some((front, said))) => {
                    let sizes = front.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                    reasons.push(format!(".. = {sizes} as in {said}"));
                    parts.extend(Some(sizes).filter(|sizes| !sizes.is_empty()));
                }
                (Dim::Named(name) | Dim::MayBeZero(name), _) => {
                    match self.named.iter().find(|(known, ..)| *known == name) {
                        Some((_, size, said)) => {
                            let reason = match said {
                                Some(said) => format!("{name} = {size} as in {said}"),
                                None => format!("{name} = {size} by the settings"),
                            };
                            if !reasons.contains(&reason) {
                                reasons.push(reason);
                            }
                            parts.push(size.to_string());
                        }
                        None => parts.push(name.to_owned()),
                    }
                }
                (dim, _) => parts.push(dim.to_string()),
            }
        }
        let zero = if found.is_empty() { ", sizes of at least 1" } else { "" };
        let reasons = match reasons.is_empty() {
            true => String::new(),
            false => format!(" ({})", reasons.join(", ")),
        };
        format!("{} [{}]{reasons}{zero}", dtype.name(), parts.join(", "))
    }
}

/// Shapes of an op's inputs (absent ones `None`) and outputs in one call.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// The op's name, for messages.
    pub op: &'static str,
    /// One for each input of the signature.
    pub inputs: Vec<Option<Desc>>,
    /// One for each output.
    pub outputs: Vec<Desc>,
    /// What the signature's names stand for.
    pub sizes: Sizes,
}

impl Shapes {
    /// The size that a name of the signature stands for.
    ///
    /// # Panics
    /// If neither an input that is there nor a setting said what it is.
    pub fn size(&self, dim: Dim) -> usize {
        self.sizes.get(dim).unwrap_or_else(|| panic!("{}: nothing says what {dim} is", self.op))
    }

    /// The product of what [`Dim::Front`] stands for; 1 where no input has it.
    pub fn rows(&self) -> usize {
        self.sizes.get(Dim::Rows).unwrap_or(1)
    }

    /// Whether an input is there.
    pub fn has(&self, input: Input) -> bool {
        self.inputs[input.index].is_some()
    }

    /// The shape of an input that is there.
    ///
    /// # Panics
    /// If it is absent.
    pub fn input(&self, input: Input) -> &Desc {
        self.inputs[input.index].as_ref().unwrap_or_else(|| panic!("{}: {} is absent", self.op, input.name))
    }

    /// Refuses an input that is there and has fewer than `count` elements.
    ///
    /// # Errors
    /// If it is too small.
    pub fn at_least(&self, input: Input, count: usize) -> Result<()> {
        match &self.inputs[input.index] {
            Some(desc) if desc.len() < count => {
                Err(Error::shape(self.op, input.name, desc.to_string(), format!("at least {count} values")))
            }
            _ => Ok(()),
        }
    }

    /// A size, index or count as kernels take it.
    ///
    /// # Errors
    /// If `elements` exceeds 32 bits.
    pub fn index32(&self, what: &str, elements: usize) -> Result<u32> {
        index32(self.op, what, elements)
    }

    /// Sees that every element of inputs and outputs has an index of 32 bits.
    ///
    /// # Errors
    /// If one does not.
    pub fn all_indexed(&self) -> Result<()> {
        for desc in self.inputs.iter().flatten().chain(&self.outputs) {
            self.index32("a tensor", desc.len())?;
        }
        Ok(())
    }

    /// Bytes of all inputs and outputs.
    pub fn bytes(&self) -> f64 {
        let inputs: u64 = self.inputs.iter().flatten().map(Desc::bytes).sum();
        let outputs: u64 = self.outputs.iter().map(Desc::bytes).sum();
        (inputs + outputs) as f64
    }
}

/// A size in the form that kernels take.
///
/// # Errors
/// If `elements`, an index in some buffer, exceeds 32 bits.
pub fn index32(op: &'static str, what: &str, elements: usize) -> Result<u32> {
    u32::try_from(elements).map_err(|_| Error::shape(op, what, elements.to_string(), "at most 2^32 - 1 elements"))
}
