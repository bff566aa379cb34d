//! The tensors of a PEFT folder: one safetensors file, or several with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::safetensors::{Safetensors, Tensor};
use crate::{Error, Result};

const WEIGHTS: &str = "adapter_model.safetensors";
const INDEX: &str = "adapter_model.safetensors.index.json";
const PICKLE: &str = "adapter_model.bin";

/// Bytes of an index. Real ones have about a hundred bytes a tensor.
const MAX_INDEX_BYTES: u64 = 1 << 24;

/// Files that an index may name. Adapters are small: more than one is rare.
const MAX_SHARDS: usize = 1 << 10;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The safetensors files of a PEFT folder.
#[derive(Debug)]
pub(super) struct Weights(Vec<Safetensors>);

impl Weights {
    /// Opens the files of `folder`, and checks them against their index where there is one.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(WEIGHTS), folder.join(INDEX));
        let refuse = |why: String| Err(Error::refused(folder, why));
        match (single.exists(), index.exists()) {
            (true, true) => refuse(format!(
                "it has both {WEIGHTS} and {INDEX}; remove the one that is not meant"
            )),
            (false, true) => Self::open_shards(folder, &index),
            (false, false) if folder.join(PICKLE).exists() => refuse(format!(
                "it has {PICKLE}, a Python pickle that can run code; save it with safe_serialization=True"
            )),
            (_, false) => Ok(Self(vec![Safetensors::open(&single)?])),
        }
    }

    fn open_shards(folder: &Path, index: &Path) -> Result<Self> {
        let map = read_index(index)?.weight_map;
        let names: BTreeSet<&str> = map.values().map(String::as_str).collect();
        if names.len() > MAX_SHARDS {
            let n = names.len();
            return Err(Error::invalid(
                index,
                format!("it names {n} files, above the limit of {MAX_SHARDS}"),
            ));
        }
        let mut shards = Vec::new();
        for name in names {
            let shard = Safetensors::open(&shard_path(folder, index, name)?)?;
            check_shard(index, &map, name, &shard)?;
            shards.push(shard);
        }
        Ok(Self(shards))
    }

    /// Every tensor, with the file that it is in.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&Safetensors, &Tensor)> {
        self.0
            .iter()
            .flat_map(|shard| shard.tensors().map(move |tensor| (shard, tensor)))
    }
}

fn read_index(path: &Path) -> Result<Index> {
    let size = fs_err::metadata(path).map_err(Error::io(path))?.len();
    if size > MAX_INDEX_BYTES {
        return Err(Error::invalid(
            path,
            format!("{size} bytes are above the limit of {MAX_INDEX_BYTES} for an index"),
        ));
    }
    let text = fs_err::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text)
        .map_err(|cause| Error::invalid(path, format!("not an index of safetensors: {cause}")))
}

/// The path of a shard, which may not lead out of its folder.
fn shard_path(folder: &Path, index: &Path, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.file_name().is_none_or(|file| file != name) {
        return Err(Error::invalid(
            index,
            format!("it names {name:?}, which is not a file beside it"),
        ));
    }
    Ok(folder.join(path))
}

/// Both must hold the same tensors: what only one of them knows would be lost.
fn check_shard(
    index: &Path,
    map: &BTreeMap<String, String>,
    file: &str,
    shard: &Safetensors,
) -> Result<()> {
    for tensor in shard.tensors() {
        if map.get(&tensor.name).is_none_or(|owner| owner != file) {
            let name = &tensor.name;
            return Err(Error::invalid(
                index,
                format!("tensor {name} is in {file}, where the index does not have it"),
            ));
        }
    }
    let listed = map.iter().filter(|(_, owner)| *owner == file);
    for (name, _) in listed {
        if shard.tensor(name).is_none() {
            return Err(Error::invalid(
                index,
                format!("tensor {name} is not in {file}, where the index has it"),
            ));
        }
    }
    Ok(())
}
