//! Weights from safetensors, one file or sharded; whatever a file says is checked before it is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::Config;
use crate::graph::Constant;
use crate::memory::collected;
use crate::{Error, Result, Tensor, memory};

/// What a tensor's memory is called where it is refused.
const TENSOR: &str = "a tensor";
/// Most bytes that names and places of tensors take once they are parsed, for each byte of JSON.
const PARSED: u64 = 16;

/// Weights of one block.
#[derive(Clone, Debug)]
pub(super) struct LayerWeights {
    pub query: Constant,
    pub key: Constant,
    pub value: Constant,
    pub output: Constant,
    pub router: Constant,
    pub router_bias: Constant,
    pub router_difficulty: Constant,
    pub gate: Constant,
    pub up: Constant,
    pub down: Constant,
}

/// All weights of a model, f32.
#[derive(Clone, Debug)]
pub struct Weights {
    pub(super) embedding: Constant,
    pub(super) absorb: Constant,
    pub(super) input_z: Constant,
    pub(super) input_self: Constant,
    pub(super) input_flag: Constant,
    pub(super) input_place: Constant,
    pub(super) time_in: (Constant, Constant),
    pub(super) time_out: (Constant, Constant),
    pub(super) modulation: (Constant, Constant),
    pub(super) layers: Vec<LayerWeights>,
    pub(super) unembed: Constant,
    pub(super) unigram: Option<Constant>,
    pub(super) anchor: (Constant, Constant),
}

impl Weights {
    /// Reads the weights of a model directory: `model.safetensors`, or shards with `model.safetensors.index.json`.
    ///
    /// # Errors
    /// Where a file is missing, damaged or contradicts the configuration, or a weight is not finite.
    pub fn read(folder: &Path, config: &Config) -> Result<Self> {
        let mut files = Files::read(folder)?;
        let c = config;
        let (d, de, t) = (c.model_dim, c.embedding_dim, c.time_dim);
        let (e, width) = (c.expert_widths.len(), c.expert_width());
        let mut take = |name: &str, shape: &[usize]| files.take(name, shape);
        let weights = Self {
            embedding: take("embedding", &[c.vocab_size, de])?,
            absorb: take("absorb", &[de])?,
            input_z: take("input.z.weight", &[d, de])?,
            input_self: take("input.self.weight", &[d, de])?,
            input_flag: take("input.flag", &[3, d])?,
            input_place: take("input.place.weight", &[d, c.place_dim])?,
            time_in: (take("time.in.weight", &[t, t])?, take("time.in.bias", &[t])?),
            time_out: (take("time.out.weight", &[t, t])?, take("time.out.bias", &[t])?),
            modulation: (
                take("modulation.weight", &[c.modulation_len(), t])?,
                take("modulation.bias", &[c.modulation_len()])?,
            ),
            layers: (0..c.layers)
                .map(|layer| {
                    let mut take = |name: &str, shape: &[usize]| take(&format!("layers.{layer}.{name}"), shape);
                    Ok(LayerWeights {
                        query: take("attention.query.weight", &[d, d])?,
                        key: take("attention.key.weight", &[d, d])?,
                        value: take("attention.value.weight", &[d, d])?,
                        output: take("attention.output.weight", &[d, d])?,
                        router: take("router.weight", &[e, d])?,
                        router_bias: take("router.bias", &[e])?,
                        router_difficulty: take("router.difficulty", &[e])?,
                        gate: take("experts.gate", &[width, d])?,
                        up: take("experts.up", &[width, d])?,
                        down: take("experts.down", &[d, width])?,
                    })
                })
                .collect::<Result<_>>()?,
            unembed: take("output.unembed", &[c.vocab_size, d])?,
            anchor: (take("anchor.weight", &[de, d])?, take("anchor.bias", &[de])?),
            unigram: files.take_optional("output.unigram", &[d])?,
        };
        if c.emphasis != 0.0 && weights.unigram.is_none() {
            let problem = format!("lacks the tensor `output.unigram`, which an `emphasis` of {} needs", c.emphasis);
            return Err(Error::format(folder, problem));
        }
        files.finish()?;
        Ok(weights)
    }

    /// The table of embeddings `[V, De]`, the unembedding `[V, D]`, the absorbing state `[De]` and, of models that have
    /// it, the unigram direction `[D]`, by their names in files.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let always = [("embedding", &self.embedding), ("output.unembed", &self.unembed), ("absorb", &self.absorb)];
        let unigram = self.unigram.as_ref().map(|unigram| ("output.unigram", unigram));
        always.into_iter().chain(unigram).map(|(name, constant)| (name, constant.tensor())).collect()
    }
}

/// Tensors by name, as the files of a directory hold them.
struct Files {
    folder: PathBuf,
    tensors: BTreeMap<String, (PathBuf, Tensor)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Files {
    fn read(folder: &Path) -> Result<Self> {
        let mut files = Self { folder: folder.to_owned(), tensors: BTreeMap::new() };
        let index_path = folder.join("model.safetensors.index.json");
        if !index_path.exists() {
            files.read_file(&folder.join("model.safetensors"))?;
            return Ok(files);
        }
        let text = read_whole(&index_path)?;
        memory::room("the names of an index", PARSED * text.len() as u64)?;
        let index: Index = serde_json::from_slice(&text).map_err(|source| Error::Format {
            path: index_path.clone(),
            problem: "not an index with a `weight_map`".to_owned(),
            source: Some(Box::new(source)),
        })?;
        for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
            if Path::new(shard).components().count() != 1 || shard.contains(['/', '\\']) || shard == ".." {
                let problem = format!("names the shard `{shard}`, expected a file name in the same folder");
                return Err(Error::format(index_path, problem));
            }
            files.read_file(&folder.join(shard))?;
        }
        for (name, shard) in &index.weight_map {
            if files.tensors.get(name).is_none_or(|(path, _)| *path != folder.join(shard)) {
                return Err(Error::format(index_path, format!("places `{name}` in {shard}, which lacks it")));
            }
        }
        Ok(files)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        for (name, tensor) in read_tensors(path)? {
            if self.tensors.insert(name.clone(), (path.to_owned(), tensor)).is_some() {
                return Err(Error::format(path, format!("holds `{name}`, which an earlier shard holds too")));
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Constant> {
        let (path, tensor) = self.tensors.remove(name).ok_or_else(|| {
            Error::format(&self.folder, format!("lacks the tensor `{name}`, expected with shape {shape:?}"))
        })?;
        if tensor.desc().shape != shape || tensor.as_f32().is_none() {
            return Err(Error::format(path, format!("`{name}` is {}, expected f32 or f16 {shape:?}", tensor.desc())));
        }
        if let Some(at) = tensor.as_f32().and_then(|data| data.iter().position(|x| !x.is_finite())) {
            return Err(Error::format(path, format!("element {at} of `{name}` is not finite")));
        }
        Ok(Constant::new(tensor))
    }

    fn take_optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Constant>> {
        if self.tensors.contains_key(name) { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    fn finish(self) -> Result<()> {
        match self.tensors.into_iter().next() {
            None => Ok(()),
            Some((name, (path, _))) => {
                Err(Error::format(path, format!("holds `{name}`, which a model of this configuration does not have")))
            }
        }
    }
}

/// The tensors of a safetensors file, floats widened to f32.
///
/// # Errors
/// Where the header or an offset is wrong, a type is neither f32, f16, bf16 nor u32, or the memory is refused.
pub fn tensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    if let Some(length) = bytes.first_chunk().map(|&length| u64::from_le_bytes(length)) {
        memory::room("the names of tensors", PARSED * length.min(bytes.len() as u64))?;
    }
    let file = SafeTensors::deserialize(bytes).map_err(|source| Error::Format {
        path: path.to_owned(),
        problem: format!("not a safetensors file ({source})"),
        source: None,
    })?;
    let mut all = Vec::new();
    for (name, view) in file.tensors() {
        let (shape, data) = (view.shape().to_vec(), view.data());
        let halves = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
        let words = || data.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let tensor = match view.dtype() {
            Dtype::F32 => Tensor::f32(shape, collected(TENSOR, words().map(f32::from_le_bytes))?),
            Dtype::F16 => {
                Tensor::f32(shape, collected(TENSOR, halves().map(|b| half::f16::from_le_bytes(b).to_f32()))?)
            }
            Dtype::BF16 => {
                Tensor::f32(shape, collected(TENSOR, halves().map(|b| half::bf16::from_le_bytes(b).to_f32()))?)
            }
            Dtype::U32 => Tensor::u32(shape, collected(TENSOR, words().map(u32::from_le_bytes))?),
            other => {
                return Err(Error::format(path, format!("`{name}` is {other:?}, expected F32, F16, BF16 or U32")));
            }
        };
        all.push((name, tensor?));
    }
    Ok(all)
}

/// Reads a safetensors file.
///
/// # Errors
/// Where it cannot be read, and as [`tensors`].
pub fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    tensors(path, &read_whole(path)?)
}

/// Reads a file.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>> {
    memory::read(path)
}

/// What the header of a safetensors file says of a tensor.
#[derive(Serialize)]
struct Info<'a> {
    dtype: Dtype,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// Writes a safetensors file: a whole file or none. Tensors go straight to the file.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let by_name: BTreeMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut end = 0;
    let infos = by_name.iter().map(|(&name, tensor)| {
        let dtype = if tensor.as_f32().is_some() { Dtype::F32 } else { Dtype::U32 };
        let start = end;
        end += tensor.words().len() * 4;
        (name, Info { dtype, shape: &tensor.desc().shape, data_offsets: [start, end] })
    });
    let infos: BTreeMap<_, _> = infos.collect();
    write_with(path, |file| {
        let mut header = serde_json::to_vec(&infos)?;
        // Readers map the elements into memory, and want them aligned.
        header.resize(header.len().next_multiple_of(8), b' ');
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        by_name.values().try_for_each(|tensor| file.write_all(bytemuck::cast_slice(tensor.words())))
    })
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// Where the file cannot be written; nothing is left behind then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], with what `write` writes.
///
/// # Errors
/// Where the file cannot be written or `write` fails; nothing is left behind then.
pub fn write_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), doing: "write", source };
    let write = |to: &Path| {
        let mut file = BufWriter::new(std::fs::File::create(to)?);
        write(&mut file)?;
        file.flush()
    };
    // Through a link to its target; a device or a pipe is written to, never replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return write(&target).map_err(failed);
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = write(&partial).and_then(|()| std::fs::rename(&partial, &target));
    written.map_err(|source| {
        // The cause is the first failure; that the remains cannot be removed adds nothing.
        let _ = std::fs::remove_file(&partial);
        failed(source)
    })
}
