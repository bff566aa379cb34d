//! GGUF files: a bounded reader over a memory map and a v3 writer.
//!
//! [`Gguf::open`] validates the whole file (structure, shapes, that all data are there, and what
//! llama.cpp asserts about the metadata) before anyone else sees it. Values inside tensors are
//! not looked at here; see [`crate::ggml`] for reading them.

mod cursor;
mod engine;
pub mod limits;
mod metadata;
mod parse;
mod part;
mod summary;
mod tensor;
mod value;
mod writer;

use std::collections::HashMap;
use std::path::Path;

pub use metadata::Metadata;
pub use part::Part;
pub use summary::{Summary, TypeShare};
pub use tensor::TensorInfo;
pub use value::{Array, StringArray, Value};
pub use writer::Writer;
pub(crate) use writer::write_beside;

use crate::map::Map;
use crate::{Error, Result, ggml};

/// A validated GGUF file, mapped read-only.
#[derive(Debug)]
pub struct Gguf {
    map: Map,
    structure: parse::Structure,
    index: HashMap<String, usize>,
}

impl Gguf {
    /// Maps and validates `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where it cannot be opened, [`Error::WrongFormat`] where it is a directory, is
    /// empty or is no GGUF, [`Error::Unsupported`] for versions and types this crate does not
    /// know, [`Error::Truncated`] where bytes are missing, and [`Error::Invalid`] where it
    /// contradicts itself or would make llama.cpp abort.
    pub fn open(path: &Path) -> Result<Self> {
        let map = Map::open(path, "GGUF")?;
        let structure = parse::structure(cursor::Cursor::new(path, &map))?;
        engine::check(path, &structure)?;
        let index = structure
            .tensors
            .iter()
            .enumerate()
            .map(|(at, tensor)| (tensor.name.clone(), at))
            .collect();
        Ok(Self {
            map,
            structure,
            index,
        })
    }

    /// The file, as it was given to [`Gguf::open`].
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// Its size in bytes.
    pub fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// The GGUF version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.structure.version
    }

    /// The alignment of tensor data in bytes.
    pub fn alignment(&self) -> u32 {
        self.structure.alignment
    }

    /// Keys and values in file order.
    pub fn metadata(&self) -> &Metadata {
        &self.structure.metadata
    }

    /// The tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.structure.tensors
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.structure.tensors.get(*self.index.get(name)?)
    }

    /// The stored bytes of a tensor of this file, `n_bytes` long; empty for a description that is
    /// not of this file and points outside of it.
    pub fn tensor_bytes(&self, tensor: &TensorInfo) -> &[u8] {
        let range = || {
            let start = usize::try_from(tensor.offset).ok()?;
            let n = usize::try_from(tensor.n_bytes).ok()?;
            Some(start..start.checked_add(n)?)
        };
        range().and_then(|r| self.map.get(r)).unwrap_or_default()
    }

    /// Lets go of the pages that hold bytes `from..to` of a tensor, after they were used. They can be
    /// read again at any time.
    pub(crate) fn forget(&self, tensor: &TensorInfo, from: u64, to: u64) {
        let at = |n: u64| usize::try_from(tensor.offset.saturating_add(n)).unwrap_or(usize::MAX);
        self.map.forget(at(from), at(to));
    }

    /// The values of a tensor of this file as `f32`, in storage order.
    ///
    /// # Errors
    ///
    /// [`Error::Convert`] where its type is not one of numbers.
    pub fn tensor_values(&self, tensor: &TensorInfo) -> Result<Vec<f32>> {
        let n = usize::try_from(tensor.n_elements()).map_err(|_| Error::Convert {
            ty: tensor.ty,
            reason: format!("tensor {} does not fit into memory", tensor.name),
        })?;
        ggml::dequantize(tensor.ty, self.tensor_bytes(tensor), n)
    }

    /// `general.architecture`, such as `llama` or `bert`.
    pub fn architecture(&self) -> Option<&str> {
        self.metadata().str("general.architecture")
    }

    /// How many parameters in how many bytes, by type.
    pub fn summary(&self) -> Summary {
        Summary::of(
            self.tensors()
                .iter()
                .map(|t| (t.ty.name(), t.n_elements(), t.n_bytes)),
        )
    }
}
