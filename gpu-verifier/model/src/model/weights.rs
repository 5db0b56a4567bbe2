//! Safetensors, memory-mapped: one file, or several with an index.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde::Deserialize;

use super::{ModelError, read_json};

/// The largest index that is read; that of a model with half a million tensors.
const INDEX_LIMIT: u64 = 64 << 20;

/// All tensors of a model, by name.
#[derive(Debug)]
pub struct Weights {
    shards: Vec<Shard>,
    /// Where the index says a tensor lies; empty for a single file.
    placed: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    data_start: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Maps `model.safetensors`, or the files that `model.safetensors.index.json` names, from `dir`.
    ///
    /// # Errors
    /// [`ModelError`] naming the file that is missing, truncated or malformed.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let single = dir.join("model.safetensors");
        let index = dir.join("model.safetensors.index.json");
        if single.exists() || !index.exists() {
            return Ok(Self { shards: vec![Shard::open(single)?], placed: BTreeMap::new() });
        }
        let wrong = |reason: String| ModelError::Weights { path: index.clone(), reason };
        let Index { weight_map } = read_json(&index, INDEX_LIMIT)?.map_err(wrong)?;
        let mut names: Vec<&String> = weight_map.values().collect();
        names.sort();
        names.dedup();
        if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
            return Err(wrong(format!("{name:?} is not a plain file name")));
        }
        let shards = names.iter().map(|name| Shard::open(dir.join(name))).collect::<Result<Vec<_>, _>>()?;
        let place = |(tensor, file): (&String, &String)| Some((tensor.clone(), names.binary_search(&file).ok()?));
        let placed = weight_map.iter().filter_map(place).collect();
        Ok(Self { shards, placed })
    }

    /// The files, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Names of all tensors in all files.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.shards.iter().flat_map(|shard| shard.metadata.offset_keys())
    }

    /// Names, types and shapes of all tensors, by file and name.
    pub fn tensors(&self) -> Vec<(String, String, Vec<usize>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let described = shard.metadata.tensors();
            all.extend(
                described.into_iter().map(|(name, info)| (name, format!("{:?}", info.dtype), info.shape.clone())),
            );
        }
        all.sort();
        all
    }

    /// A copy in memory in which `edit` has changed tensors: it is called with the name, the shape and the bytes of each
    /// bf16 tensor. The files are not touched.
    ///
    /// # Errors
    /// [`ModelError::Read`] when there is no memory.
    pub fn edited(&self, mut edit: impl FnMut(&str, &[usize], &mut [u8])) -> Result<Self, ModelError> {
        let shards = self.shards.iter().map(|shard| shard.edited(&mut edit)).collect::<Result<_, _>>()?;
        Ok(Self { shards, placed: self.placed.clone() })
    }

    /// The bf16 tensor `name` of exactly `shape`, row-major, as little-endian bytes.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when it is missing, of another type or of another shape.
    pub fn bf16(&self, name: &str, shape: &[usize]) -> Result<&[u8], ModelError> {
        let shard = match (self.placed.get(name), self.shards.as_slice()) {
            (Some(&shard), shards) => &shards[shard],
            (None, [only]) if self.placed.is_empty() => only,
            _ => return Err(ModelError::tensor(name, "not in the index")),
        };
        let missing = || ModelError::tensor(name, format!("missing from {}", shard.path.display()));
        let info = shard.metadata.info(name).ok_or_else(missing)?;
        if info.dtype != Dtype::BF16 {
            return Err(ModelError::tensor(name, format!("type {:?}, not BF16", info.dtype)));
        }
        if info.shape != shape {
            return Err(ModelError::tensor(
                name,
                format!("shape {:?}, the configuration asks for {shape:?}", info.shape),
            ));
        }
        let (start, end) = info.data_offsets;
        let bytes = shard.map.get(shard.data_start + start..shard.data_start + end);
        bytes.ok_or_else(|| ModelError::tensor(name, format!("beyond the end of {}", shard.path.display())))
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let failed = |error| ModelError::Read { path: path.clone(), error };
        let file = File::open(&path).map_err(failed)?;
        let map = map(&file).map_err(failed)?;
        let wrong = |error: safetensors::SafeTensorError| ModelError::Weights {
            path: path.clone(),
            reason: format!("not a whole safetensors file ({error}), {} bytes", map.len()),
        };
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(wrong)?;
        Ok(Self { data_start: header + size_of::<u64>(), metadata, path, map })
    }

    fn edited(&self, edit: &mut impl FnMut(&str, &[usize], &mut [u8])) -> Result<Self, ModelError> {
        let failed = |error| ModelError::Read { path: self.path.clone(), error };
        let mut copy = MmapMut::map_anon(self.map.len()).map_err(failed)?;
        copy.copy_from_slice(&self.map);
        for (name, info) in self.metadata.tensors() {
            let (start, end) = info.data_offsets;
            if info.dtype == Dtype::BF16
                && let Some(bytes) = copy.get_mut(self.data_start + start..self.data_start + end)
            {
                edit(&name, &info.shape, bytes);
            }
        }
        let map = copy.make_read_only().map_err(failed)?;
        Ok(Self { path: self.path.clone(), map, metadata: self.metadata.clone(), data_start: self.data_start })
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only and private to this process. Another process that truncates a model's file while it
    // is mapped can stop us with a signal, but cannot break Rust's rules here: the bytes are only ever copied out, and
    // nothing that is proved about them before the copy is relied on after it.
    unsafe { Mmap::map(file) }
}
