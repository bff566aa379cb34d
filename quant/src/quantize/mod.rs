//! Storing a model in other types: by one of llama.cpp's file types, or tensor by tensor.
//!
//! Which tensor gets which type follows llama.cpp's `llama-quant.cpp`, so that a file made here and
//! one made by llama-quantize hold the same bytes; the pass over the file is [`crate::rewrite`].

mod choice;
mod fallback;
mod file_type;
mod keep;
mod model;

use std::path::Path;

use serde::Serialize;

use crate::ggml::{self, GgmlType};
use crate::gguf::{Gguf, Metadata, TensorInfo};
use crate::imatrix::Imatrix;
use crate::rewrite::{Job, Options, Report, not_the_source, rewrite};
use crate::{Error, Result};

pub use choice::plan;
pub use fallback::{Fallback, fallback};
pub use file_type::FileType;
pub use keep::is_quantizable;

/// ggml's `GGML_QNT_VERSION`: the version of the block formats.
const QUANTIZATION_VERSION: u32 = 2;

/// What to store a model as.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The file type.
    pub file_type: FileType,
    /// One type for every weight, without the mix of the file type.
    pub pure: bool,
    /// Quantize what is quantized already.
    pub allow_requantize: bool,
    /// Weights of the columns.
    pub imatrix: Option<&'a Imatrix>,
}

/// What quantizing did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantized {
    /// The pass.
    #[serde(flatten)]
    pub report: Report,
    /// The file type, by llama.cpp's name.
    pub file_type: FileType,
    /// Tensors whose rows do not fit the blocks of the type meant for them, and what they got.
    pub fallbacks: Vec<Fallback>,
    /// Whether some tensor was quantized before.
    pub requantized: bool,
}

/// Stores `source` at `out` as `request` says.
///
/// # Errors
///
/// [`Error::Requantize`], [`Error::NeedsImportance`], and those of [`rewrite`].
pub fn quantize(
    source: &Gguf,
    out: &Path,
    request: &Request,
    options: &Options,
) -> Result<Quantized> {
    not_the_source(source.path(), out)?;
    let plan = plan(
        source,
        request.file_type,
        request.pure,
        request.imatrix.is_some(),
    );
    for (tensor, ty) in source.tensors().iter().zip(&plan.types) {
        allowed(source, tensor, *ty, request)?;
    }
    let report = rewrite(
        &Job {
            source,
            metadata: metadata(source, request.file_type),
            types: &plan.types,
            change: None,
            imatrix: request.imatrix,
        },
        out,
        options,
    )?;
    Ok(Quantized {
        report,
        file_type: request.file_type,
        fallbacks: plan.fallbacks,
        requantized: is_requantized(source, &plan.types),
    })
}

/// The source's metadata, saying the new file type.
pub fn metadata(source: &Gguf, file_type: FileType) -> Metadata {
    let mut metadata = source.metadata().clone();
    metadata
        .set("general.quantization_version", QUANTIZATION_VERSION)
        .set("general.file_type", file_type.id());
    metadata
}

fn is_requantized(source: &Gguf, types: &[GgmlType]) -> bool {
    let mut pairs = source.tensors().iter().zip(types);
    pairs.any(|(tensor, ty)| tensor.ty.is_quantized() && tensor.ty != *ty)
}

fn allowed(source: &Gguf, tensor: &TensorInfo, ty: GgmlType, request: &Request) -> Result<()> {
    if tensor.ty == ty {
        return Ok(());
    }
    if tensor.ty.is_quantized() && !request.allow_requantize {
        return Err(Error::Requantize {
            path: source.path().to_owned(),
            tensor: tensor.name.clone(),
            ty: tensor.ty,
            to: ty,
        });
    }
    let weighed = request
        .imatrix
        .is_some_and(|imatrix| imatrix.covers(tensor));
    if !weighed
        && (ggml::needs_importance(ty)
            || choice::wants_importance(&tensor.name, ty, request.file_type))
    {
        return Err(Error::NeedsImportance {
            path: source.path().to_owned(),
            tensor: tensor.name.clone(),
            ty,
        });
    }
    Ok(())
}
