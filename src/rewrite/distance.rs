//! How far a new file is from what it was made from, on text that ships with the program.

use std::path::Path;

use serde::Serialize;
use unforget_quant::gguf::Gguf;
use unforget_quant::merge as quant;

use super::{MergeAdapter, MergeRequest, RewriteOptions, known, with_request};
use crate::engine::{
    Adapter, AdapterStack, CancelToken, ContentHash, GpuLayers, Model, ModelOptions,
    TextDivergence, Token, text_windows,
};
use crate::prose::{PROSE, WINDOW};
use crate::{Error, Result};

/// Compares two files of the same model over `n_tokens` of text; `None` for embedders, which predict nothing.
///
/// # Errors
/// What opening a model and [`TextDivergence::measure`] fail with.
pub fn file_distance(
    model: &Path,
    other: &Path,
    n_tokens: usize,
    cancel: &CancelToken,
) -> Result<Option<TextDivergence>> {
    let model = open(model)?;
    if model.is_encoder() {
        return Ok(None);
    }
    let windows = text_windows(&model, PROSE, WINDOW, n_tokens)?;
    between(&model, &AdapterStack::base(), other, &windows, cancel).map(Some)
}

/// A merged file beside what it stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MergeCheck {
    /// The base with the adapters at run time, against the merged file.
    pub merged: TextDivergence,
    /// The base, against the base with the same tensors stored anew as the merge stores them: what storing costs by
    /// itself.
    pub requantization: TextDivergence,
}

/// Compares a merged file with the adapters at run time, beside what storing the base so costs. That base is written
/// beside `merged` for the time it is measured.
///
/// # Errors
/// As [`super::merge_adapters`] and [`file_distance`].
pub fn check_merge(
    base: &Path,
    base_sha256: ContentHash,
    adapters: &[MergeAdapter],
    merged: &Path,
    request: &MergeRequest,
    n_tokens: usize,
    options: RewriteOptions,
) -> Result<MergeCheck> {
    let folder = merged
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let scratch = tempfile::tempdir_in(folder.unwrap_or(Path::new(".")))?;
    let stored = scratch.path().join("requantized.gguf");
    with_request(
        base,
        base_sha256,
        adapters,
        request,
        |source: &Gguf, request| {
            quant::store_targets(source, &stored, request, &options.to_quant()).map_err(known)
        },
    )?;
    let model = open(base)?;
    if model.is_encoder() {
        return Err(Error::WrongModelKind {
            name: model.name().to_owned(),
            architecture: model.architecture().to_owned(),
            purpose: "compare what it predicts",
        });
    }
    let windows = text_windows(&model, PROSE, WINDOW, n_tokens)?;
    let mut stack = AdapterStack::base();
    for (number, adapter) in adapters.iter().enumerate() {
        let name = format!("adapter {}", number + 1);
        stack.push(Adapter::load(&model, adapter.path, &name)?, adapter.scale)?;
    }
    let none = AdapterStack::base();
    Ok(MergeCheck {
        merged: between(&model, &stack, merged, &windows, options.cancel)?,
        requantization: between(&model, &none, &stored, &windows, options.cancel)?,
    })
}

fn between(
    model: &Model,
    stack: &AdapterStack,
    other: &Path,
    windows: &[Vec<Token>],
    cancel: &CancelToken,
) -> Result<TextDivergence> {
    let other = open(other)?;
    let none = AdapterStack::base();
    TextDivergence::measure((model, stack), (&other, &none), windows, cancel)
}

fn open(path: &Path) -> Result<Model> {
    let options = ModelOptions {
        gpu_layers: GpuLayers::Auto,
        ..ModelOptions::default()
    };
    Model::open(path, options)
}
