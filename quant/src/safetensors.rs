//! Mapped safetensors files, as PEFT and sentence-transformers write them: names, types, shapes
//! and values as `f32`. What the tensors are for is left to the converters.

mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use ::safetensors::{Dtype, SafeTensors};

use crate::gguf::Summary;
use crate::map::Map;
use crate::{Error, Result};

pub use write::{Precision, Values, write};

/// Bytes of the JSON header. Real ones have hundreds of bytes a tensor, well below a megabyte.
pub const MAX_HEADER_BYTES: u64 = 1 << 24;

/// A safetensors file, mapped read-only, its header checked against its length.
#[derive(Debug)]
pub struct Safetensors {
    map: Map,
    tensors: BTreeMap<String, Tensor>,
    remarks: HashMap<String, String>,
}

/// A tensor's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Unique in its file.
    pub name: String,
    /// Sizes in row-major order: the last is the contiguous one (the reverse of GGUF's order).
    pub shape: Vec<u64>,
    /// How the values are stored.
    pub dtype: Dtype,
    /// How many bytes they take.
    pub n_bytes: u64,
    start: usize,
}

impl Tensor {
    /// How many values there are.
    pub fn n_elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The sizes in ggml's order: `[columns, rows]` of a matrix.
    pub fn ggml_shape(&self) -> Vec<u64> {
        self.shape.iter().rev().copied().collect()
    }
}

impl Safetensors {
    /// Maps `path` and checks its header.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::WrongFormat`], [`Error::Truncated`] where the header or the data
    /// end early, and [`Error::Invalid`] where the header contradicts itself.
    pub fn open(path: &Path) -> Result<Self> {
        let map = Map::open(path, "safetensors")?;
        let data_start = check_header(path, &map)?;
        let (_, header) = SafeTensors::read_metadata(&map)
            .map_err(|cause| Error::invalid(path, format!("not valid safetensors: {cause}")))?;
        let mut tensors = BTreeMap::new();
        for (name, info) in header.tensors() {
            let (from, to) = info.data_offsets;
            let range = data_start.checked_add(from).zip(data_start.checked_add(to));
            let Some((start, end)) = range.filter(|&(start, end)| map.get(start..end).is_some())
            else {
                return Err(Error::invalid(
                    path,
                    format!("tensor {name} lies outside of the file"),
                ));
            };
            let tensor = Tensor {
                name: name.clone(),
                shape: info.shape.iter().map(|&n| n as u64).collect(),
                dtype: info.dtype,
                n_bytes: (end - start) as u64,
                start,
            };
            tensors.insert(name, tensor);
        }
        let remarks = header.metadata().clone().unwrap_or_default();
        Ok(Self {
            map,
            tensors,
            remarks,
        })
    }

    /// What the header says beside the tensors, under `key`.
    pub fn remark(&self, key: &str) -> Option<&str> {
        self.remarks.get(key).map(String::as_str)
    }

    /// The file, as it was given to [`Safetensors::open`].
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// Its size in bytes.
    pub fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// The tensors by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &Tensor> {
        self.tensors.values()
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The stored bytes of a tensor of this file.
    pub fn bytes(&self, tensor: &Tensor) -> &[u8] {
        let n = usize::try_from(tensor.n_bytes).unwrap_or_default();
        let end = tensor.start.saturating_add(n);
        self.map.get(tensor.start..end).unwrap_or_default()
    }

    /// The values of a tensor of this file, in storage order; all of them finite.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for types other than F32, F16 and BF16, [`Error::NonFinite`] where
    /// a value is NaN or an infinity.
    pub fn values(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let bytes = self.bytes(tensor);
        let values: Vec<f32> = match tensor.dtype {
            Dtype::F32 => decode(bytes, f32::from_le_bytes),
            Dtype::F16 => decode(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => decode(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
            other => {
                let name = &tensor.name;
                return Err(Error::unsupported(
                    self.path(),
                    format!("tensor {name} is stored as {other}; save it as F32, F16 or BF16"),
                ));
            }
        };
        check_finite(self.path(), &tensor.name, &values)?;
        Ok(values)
    }

    /// How many parameters in how many bytes, by type.
    pub fn summary(&self) -> Summary {
        let rows: Vec<(String, u64, u64)> = self
            .tensors()
            .map(|t| (t.dtype.to_string(), t.n_elements(), t.n_bytes))
            .collect();
        Summary::of(rows.iter().map(|(ty, n, bytes)| (ty.as_str(), *n, *bytes)))
    }
}

fn decode<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| value(*b)).collect()
}

pub(crate) fn check_finite(path: &Path, tensor: &str, values: &[f32]) -> Result<()> {
    match values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((index, &value)) => Err(Error::NonFinite {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            index,
            value,
        }),
    }
}

/// Checks the length field before the header is parsed; returns where the data begin.
fn check_header(path: &Path, bytes: &[u8]) -> Result<usize> {
    let wrong = |found: &str| Error::WrongFormat {
        path: path.to_owned(),
        expected: "safetensors",
        found: found.to_owned(),
    };
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0x80, 0x02]) {
        return Err(wrong(
            "it is a PyTorch checkpoint; save it with save_safetensors=True",
        ));
    }
    if bytes.starts_with(b"GGUF") {
        return Err(wrong("it is GGUF"));
    }
    let truncated = |needed: u64| Error::Truncated {
        path: path.to_owned(),
        needed,
        found: bytes.len() as u64,
    };
    let length = bytes.first_chunk().ok_or_else(|| truncated(8))?;
    let n = u64::from_le_bytes(*length);
    if n > MAX_HEADER_BYTES {
        return Err(wrong(&format!(
            "its first eight bytes claim a header of {n} bytes, above the limit of {MAX_HEADER_BYTES}"
        )));
    }
    let data_start = n + 8;
    if data_start > bytes.len() as u64 {
        return Err(truncated(data_start));
    }
    if bytes.get(8) != Some(&b'{') {
        return Err(wrong("it has no JSON header"));
    }
    let start = usize::try_from(data_start).map_err(|_| truncated(data_start))?;
    check_length(path, bytes, start)?;
    Ok(start)
}

/// Compares the data that the header describes with those that are there, so that a cut file is
/// reported as such, and refuses names that appear twice, of which a map would keep the last.
/// Anything else that is wrong with the header is left to the safetensors crate.
fn check_length(path: &Path, bytes: &[u8], data_start: usize) -> Result<()> {
    let header = bytes.get(8..data_start).unwrap_or_default();
    let Ok(Entries(entries)) = serde_json::from_slice(header) else {
        return Ok(());
    };
    let mut names = HashSet::with_capacity(entries.len());
    if let Some((twice, _)) = entries.iter().find(|(name, _)| !names.insert(name)) {
        return Err(Error::invalid(
            path,
            format!("the header names tensor {twice} twice"),
        ));
    }
    let data = entries.iter().filter_map(|(_, entry)| entry.data_offsets);
    let needed = data.map(|(_, end)| end).max().unwrap_or(0);
    let found = (bytes.len() - data_start) as u64;
    if needed > found {
        return Err(Error::Truncated {
            path: path.to_owned(),
            needed: needed.saturating_add(data_start as u64),
            found: bytes.len() as u64,
        });
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Entry {
    data_offsets: Option<(u64, u64)>,
}

/// A JSON object with all its entries, also those of the same name.
struct Entries(Vec<(String, Entry)>);

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> serde::de::Visitor<'de> for All {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Entries, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(All)
    }
}
