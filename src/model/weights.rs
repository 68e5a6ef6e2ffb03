//! Weights: tensors read by name and shape, and what a model keeps of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::network::Network;
use crate::error::short;
use crate::graph::Constant;
use crate::{Data, Error, Result, Tensor, files};

/// All weights of a model, f32.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `[V, De]`.
    pub(crate) embedding: Constant,
    /// `[De]`.
    pub(crate) absorb: Constant,
    /// Between the state and the head.
    pub(super) network: Arc<dyn Network>,
}

impl Weights {
    /// The table of embeddings `[V, De]` and the absorbing state `[De]`; of our own models also the unembedding `[V, D]`
    /// and, where there is one, the unigram direction `[D]`; by their names in files.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let shared = [("embedding", &self.embedding), ("absorb", &self.absorb)];
        let named = shared.into_iter().chain(self.network.named());
        named.map(|(name, constant)| (name, constant.tensor())).collect()
    }
}

/// Tensors by name, each with the file or part that held it. An architecture takes what it knows; what is left then, or
/// missing, is an error.
pub(super) struct Tensors {
    /// What holds all of them: a folder, or what errors call the parts together.
    place: PathBuf,
    tensors: BTreeMap<String, (PathBuf, Tensor)>,
}

impl Tensors {
    /// None yet.
    pub fn new(place: impl Into<PathBuf>) -> Self {
        Self { place: place.into(), tensors: BTreeMap::new() }
    }

    /// Adds those of a safetensors file, which errors call `path`.
    ///
    /// # Errors
    /// As [`files::tensors`], and where one is there already.
    pub fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        for (name, tensor) in files::tensors(path, bytes)? {
            if self.tensors.contains_key(&name) {
                let name = short(&name, 80);
                return Err(Error::format(path, format!("holds `{name}`, which an earlier part holds too")));
            }
            self.tensors.insert(name, (path.to_owned(), tensor));
        }
        Ok(())
    }

    /// Their names, and what held each.
    #[cfg(not(target_family = "wasm"))]
    pub fn places(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.tensors.iter().map(|(name, (path, _))| (name.as_str(), path.as_path()))
    }

    /// What held a tensor, if it is there.
    #[cfg(not(target_family = "wasm"))]
    pub fn place_of(&self, name: &str) -> Option<&Path> {
        self.tensors.get(name).map(|(path, _)| path.as_path())
    }

    /// What is wrong with all of them together.
    pub fn lacking(&self, problem: impl AsRef<str>) -> Error {
        Error::format(&self.place, problem)
    }

    /// A weight that is used as it stands.
    ///
    /// # Errors
    /// If it is missing, of another shape or type, or not finite (infinity in f16 or bf16 too: it is what an overflow
    /// leaves, and no sum with it means anything).
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Constant> {
        Ok(Constant::new(self.tensor(name, shape)?))
    }

    /// The same of a weight that may be missing.
    ///
    /// # Errors
    /// As [`Tensors::take`], but where it is missing.
    pub fn take_optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Constant>> {
        if self.tensors.contains_key(name) { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    /// The elements of a weight that is not used as it stands.
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.tensor(name, shape)?.into_data() {
            Data::F32(data) => Ok(data),
            Data::U32(_) => Err(self.lacking(format!("`{name}` holds words, expected floats"))),
        }
    }

    /// The same of a weight that may be missing.
    ///
    /// # Errors
    /// As [`Tensors::take`], but where it is missing.
    pub fn optional_floats(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        if self.tensors.contains_key(name) { self.floats(name, shape).map(Some) } else { Ok(None) }
    }

    /// `NAME.weight` `[outputs, inputs]` and `NAME.bias` `[outputs]`.
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.floats(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok((weight, self.floats(&format!("{name}.bias"), &[outputs])?))
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let (path, tensor) = self
            .tensors
            .remove(name)
            .ok_or_else(|| self.lacking(format!("lacks the tensor `{name}`, expected with shape {shape:?}")))?;
        if tensor.desc().shape != shape || tensor.as_f32().is_none() {
            return Err(Error::format(path, format!("`{name}` is {}, expected f32 or f16 {shape:?}", tensor.desc())));
        }
        if let Some(at) = tensor.as_f32().and_then(|data| data.iter().position(|x| !x.is_finite())) {
            return Err(Error::format(path, format!("element {at} of `{name}` is not finite")));
        }
        Ok(tensor)
    }

    /// Sees that all were taken.
    ///
    /// # Errors
    /// If one was not.
    pub fn finish(self) -> Result<()> {
        match self.tensors.into_iter().next() {
            None => Ok(()),
            Some((name, (path, _))) => {
                let name = short(&name, 80);
                Err(Error::format(path, format!("holds `{name}`, which a model of this configuration does not have")))
            }
        }
    }
}
