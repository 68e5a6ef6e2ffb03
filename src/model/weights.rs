//! Weights from safetensors, one file or sharded; whatever a file says is checked before it is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};

use super::files::{BYTE_ORDER_MARK, read_model_file, read_whole, utf8, write_with};
use super::json::{self, UniqueKeys};
use super::{Config, langflow};
use crate::error::short;
use crate::graph::Constant;
use crate::memory::collected;
use crate::{Data, Error, Result, Tensor, memory};

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
    pub(super) architecture: Architecture,
}

/// The network's weights, by architecture.
#[derive(Clone, Debug)]
pub(super) enum Architecture {
    /// Our own.
    DrDiff(Box<DrDiff>),
    /// That of a LangFlow checkpoint.
    LangFlow(langflow::Network),
}

/// Weights of our own network.
#[derive(Clone, Debug)]
pub(super) struct DrDiff {
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
    /// Where a file is missing, damaged or contradicts the configuration, or a weight is not finite (infinity in f16 or
    /// bf16 too: it is what an overflow leaves, and no sum with it means anything).
    pub fn read(folder: &Path, config: &mut Config) -> Result<Self> {
        let mut files = Files::read(folder)?;
        let weights = match config.langflow {
            None => Self {
                embedding: files.take("embedding", &[config.vocab_size, config.embedding_dim])?,
                absorb: files.take("absorb", &[config.embedding_dim])?,
                architecture: Architecture::DrDiff(Box::new(DrDiff::read(&mut files, config)?)),
            },
            Some(options) => {
                let (embedding, network) = langflow::read(&mut files, config, options)?;
                let absorb = Constant::new(Tensor::f32([config.embedding_dim], vec![0.0; config.embedding_dim])?);
                Self { embedding, absorb, architecture: Architecture::LangFlow(network) }
            }
        };
        files.finish()?;
        Ok(weights)
    }

    /// The table of embeddings `[V, De]` and the absorbing state `[De]`; of our own models also the unembedding `[V, D]`
    /// and, where there is one, the unigram direction `[D]`; by their names in files.
    pub fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let mut named = vec![("embedding", &self.embedding), ("absorb", &self.absorb)];
        if let Architecture::DrDiff(weights) = &self.architecture {
            named.push(("output.unembed", &weights.unembed));
            named.extend(weights.unigram.as_ref().map(|unigram| ("output.unigram", unigram)));
        }
        named.into_iter().map(|(name, constant)| (name, constant.tensor())).collect()
    }
}

impl DrDiff {
    fn read(files: &mut Files, c: &Config) -> Result<Self> {
        let (d, de, t) = (c.model_dim, c.embedding_dim, c.time_dim);
        let (e, width) = (c.expert_widths.len(), c.expert_width());
        let mut take = |name: &str, shape: &[usize]| files.take(name, shape);
        let weights = Self {
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
            return Err(Error::format(&files.folder, problem));
        }
        Ok(weights)
    }
}

/// Tensors by name, as the files of a directory hold them.
pub(super) struct Files {
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
        // A link that leads nowhere is an index all the same.
        if std::fs::symlink_metadata(&index_path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            files.read_file(&folder.join("model.safetensors"))?;
            return Ok(files);
        }
        let text = utf8(&index_path, read_model_file(&index_path)?)?;
        memory::room("the names of an index", PARSED * text.len() as u64)?;
        let index: Index = json::parse(&index_path, &text, "an index with a `weight_map`")?;
        for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
            let mut parts = Path::new(shard).components();
            let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            if !is_name || shard.contains(['/', '\\']) {
                let problem = format!("names the shard `{shard}`, expected a file name in the same folder");
                return Err(Error::format(index_path, problem));
            }
            files.read_file(&folder.join(shard))?;
        }
        if let Some((name, (path, _))) = files.tensors.iter().find(|(name, _)| !index.weight_map.contains_key(*name)) {
            let name = short(name, 80);
            return Err(Error::format(path, format!("holds `{name}`, which {} does not list", index_path.display())));
        }
        for (name, shard) in &index.weight_map {
            if files.tensors.get(name).is_none_or(|(path, _)| *path != folder.join(shard)) {
                return Err(Error::format(index_path, format!("places `{name}` in {shard}, which lacks it")));
            }
        }
        Ok(files)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        for (name, tensor) in tensors(path, &read_model_file(path)?)? {
            if self.tensors.insert(name.clone(), (path.to_owned(), tensor)).is_some() {
                return Err(Error::format(path, format!("holds `{name}`, which an earlier shard holds too")));
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Constant> {
        Ok(Constant::new(self.tensor(name, shape)?))
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let (path, tensor) = self.tensors.remove(name).ok_or_else(|| {
            Error::format(&self.folder, format!("lacks the tensor `{name}`, expected with shape {shape:?}"))
        })?;
        if tensor.desc().shape != shape || tensor.as_f32().is_none() {
            return Err(Error::format(path, format!("`{name}` is {}, expected f32 or f16 {shape:?}", tensor.desc())));
        }
        if let Some(at) = tensor.as_f32().and_then(|data| data.iter().position(|x| !x.is_finite())) {
            return Err(Error::format(path, format!("element {at} of `{name}` is not finite")));
        }
        Ok(tensor)
    }

    /// The elements of a tensor that is not used as it stands.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.tensor(name, shape)?.into_data() {
            Data::F32(data) => Ok(data),
            Data::U32(_) => Err(Error::format(&self.folder, format!("`{name}` holds words, expected floats"))),
        }
    }

    /// The same of a tensor that may be missing.
    pub(super) fn optional_floats(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        if self.tensors.contains_key(name) { self.floats(name, shape).map(Some) } else { Ok(None) }
    }

    /// `NAME.weight` `[outputs, inputs]` and `NAME.bias` `[outputs]`.
    pub(super) fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.floats(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok((weight, self.floats(&format!("{name}.bias"), &[outputs])?))
    }

    fn take_optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Constant>> {
        if self.tensors.contains_key(name) { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    fn finish(self) -> Result<()> {
        match self.tensors.into_iter().next() {
            None => Ok(()),
            Some((name, (path, _))) => {
                let name = short(&name, 80);
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
    let refuse = |problem: &str| Error::format(path, format!("not a safetensors file ({problem})"));
    check_header(bytes).map_err(|problem| refuse(&problem))?;
    let file = SafeTensors::deserialize(bytes).map_err(|source| match source {
        SafeTensorError::MetadataIncompleteBuffer => {
            refuse("its tensors do not fill it exactly: it was cut short, or holds more than they do")
        }
        _ => refuse(&source.to_string()),
    })?;
    let mut views = file.tensors();
    views.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut all = Vec::with_capacity(views.len());
    for (name, view) in views {
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
                let name = short(&name, 80);
                return Err(Error::format(path, format!("`{name}` is {other:?}, expected F32, F16, BF16 or U32")));
            }
        };
        all.push((name, tensor?));
    }
    Ok(all)
}

/// Refuses what the parser of the format would pass over, and says in words what it would not: the header's length, its
/// encoding, and names that come twice.
fn check_header(bytes: &[u8]) -> std::result::Result<(), String> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err(format!("it has {} bytes, expected the header's length in the first 8", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let header = header.ok_or_else(|| format!("a header of {length} bytes in a file of {}", bytes.len()))?;
    let text = std::str::from_utf8(header).map_err(|error| format!("its header is not UTF-8: {error}"))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err("its header begins with a byte-order mark, expected `{`".to_owned());
    }
    serde_json::from_str::<UniqueKeys>(text).map(|_| ()).map_err(|error| format!("its header: {error}"))
}

/// Reads a safetensors file.
///
/// # Errors
/// Where it cannot be read, and as [`tensors`].
pub fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    tensors(path, &read_whole(path)?)
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
/// Where the file cannot be written, or a name comes twice.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let by_name: BTreeMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    if by_name.len() < tensors.len() {
        let found = format!("{} tensors of {} names", tensors.len(), by_name.len());
        return Err(Error::argument("what to write", found, "a name for each tensor"));
    }
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
