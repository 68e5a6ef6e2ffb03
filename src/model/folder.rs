//! The files of a model's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::weights::Tensors;
use crate::error::short;
use crate::files::{PARSED, is_absent, json, read_model_file, utf8};
use crate::{Error, Result, memory};

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Tensors {
    /// Those of a folder: of `model.safetensors`, or of the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// If a file is missing or damaged, or an index and its shards contradict each other.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut tensors = Self::new(folder);
        let index_path = folder.join("model.safetensors.index.json");
        if is_absent(&index_path) {
            tensors.add_file(&folder.join("model.safetensors"))?;
            return Ok(tensors);
        }
        let bytes = read_model_file(&index_path)?;
        let text = utf8(&index_path, &bytes)?;
        memory::room("the names of an index", PARSED * text.len() as u64)?;
        let index: Index = json::parse(&index_path, text, "an index with a `weight_map`")?;
        for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
            let mut parts = Path::new(shard).components();
            let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            if !is_name || shard.contains(['/', '\\']) {
                let problem = format!("names the shard `{shard}`, expected a file name in the same folder");
                return Err(Error::format(index_path, problem));
            }
            tensors.add_file(&folder.join(shard))?;
        }
        if let Some((name, path)) = tensors.places().find(|(name, _)| !index.weight_map.contains_key(*name)) {
            let name = short(name, 80);
            return Err(Error::format(path, format!("holds `{name}`, which {} does not list", index_path.display())));
        }
        for (name, shard) in &index.weight_map {
            if tensors.place_of(name) != Some(&folder.join(shard)) {
                return Err(Error::format(index_path, format!("says that `{name}` is in {shard}, which lacks it")));
            }
        }
        Ok(tensors)
    }

    /// One file at a time is held beside what was read of the others.
    fn add_file(&mut self, path: &Path) -> Result<()> {
        self.add(path, &read_model_file(path)?)
    }
}
