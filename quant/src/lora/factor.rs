//! One factor on its way from safetensors to GGUF: type, order of values, and what is folded in.

use std::path::Path;

use ::safetensors::Dtype;

use super::permute::{interleave, transpose};
use crate::ggml::GgmlType;
use crate::safetensors::{Safetensors, Tensor, check_finite};
use crate::{Error, Result};

/// How the values of a factor lie in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    AsStored,
    /// Rows interleaved within this many heads.
    Interleaved(usize),
    /// Rows and columns exchanged.
    Transposed,
}

#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    source: &'a Safetensors,
    tensor: &'a Tensor,
    layout: Layout,
    fold: Option<f64>,
}

impl<'a> Factor<'a> {
    /// A matrix, with every value multiplied by `fold` where there is one.
    pub(super) fn new(
        (source, tensor): (&'a Safetensors, &'a Tensor),
        layout: Layout,
        fold: Option<f64>,
    ) -> Self {
        Self {
            source,
            tensor,
            layout,
            fold,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.source.path()
    }

    /// The sizes in ggml's order.
    pub(super) fn ggml_shape(&self) -> Vec<u64> {
        match self.layout {
            Layout::Transposed => self.tensor.shape.clone(),
            Layout::AsStored | Layout::Interleaved(_) => self.tensor.ggml_shape(),
        }
    }

    pub(super) fn ty(&self) -> GgmlType {
        match (self.tensor.dtype, self.fold) {
            (Dtype::F16, None) => GgmlType::F16,
            _ => GgmlType::F32,
        }
    }

    /// The bytes as GGUF stores them.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let mut values = self.source.values(self.tensor)?;
        if let Some(ratio) = self.fold {
            for value in &mut values {
                *value = (f64::from(*value) * ratio) as f32;
            }
            check_finite(self.path(), &self.tensor.name, &values)?;
        }
        let (bytes, value_bytes) = match self.ty() {
            GgmlType::F16 => (self.source.bytes(self.tensor).to_vec(), 2),
            _ => (values.iter().flat_map(|v| v.to_le_bytes()).collect(), 4),
        };
        match self.layout {
            Layout::AsStored => Ok(bytes),
            Layout::Interleaved(n_heads) => self.interleaved(&bytes, n_heads),
            Layout::Transposed => Ok(transpose(&bytes, value_bytes, self.n_rows())),
        }
    }

    fn interleaved(&self, bytes: &[u8], n_heads: usize) -> Result<Vec<u8>> {
        let n_rows = self.n_rows();
        let row_bytes = bytes.len().checked_div(n_rows).unwrap_or(0);
        interleave(bytes, row_bytes, n_heads).ok_or_else(|| {
            let name = &self.tensor.name;
            Error::refused(
                self.path(),
                format!("tensor {name} has {n_rows} rows, which do not divide into {n_heads} heads of pairs"),
            )
        })
    }

    fn n_rows(&self) -> usize {
        let rows = self.tensor.shape.first().copied().unwrap_or(0);
        usize::try_from(rows).unwrap_or(0)
    }
}
