//! The conversion itself: every needed tensor, of the right shape, into one GGUF file.

use std::collections::HashSet;
use std::path::Path;

use super::config::BertConfig;
use super::names::{Needed, is_ignored, needed};
use super::vocab::Vocab;
use crate::ggml::{GgmlType, quantize};
use crate::gguf::{Metadata, Writer};
use crate::safetensors::{Safetensors, Tensor};
use crate::{Error, Result};

/// ggml's `GGML_QNT_VERSION`, which readers compare for quantized files.
const QUANTIZATION_VERSION: u32 = 2;

/// Converts the model folder `model_dir` into the GGUF embedder `out`. Word embeddings and the
/// matrices of the layers are stored as `ty` (Q8_0 loses next to nothing); positions, norms and
/// biases stay F32.
///
/// # Errors
///
/// [`Error::Unsupported`] naming the option, tokenizer or tensor that is not plain BERT,
/// [`Error::Invalid`] naming a tensor that is missing or has another shape,
/// [`Error::NonFinite`], [`Error::Convert`] where `ty` does not suit, and the errors of reading
/// and writing. Nothing is left at `out` on failure.
pub fn convert(model_dir: &Path, out: &Path, ty: GgmlType) -> Result<()> {
    let config = BertConfig::read(model_dir)?;
    let vocab = Vocab::read(model_dir, config.n_vocab)?;
    let source = Safetensors::open(&model_dir.join("model.safetensors"))?;
    let tensors = matched(&source, &config)?;
    check_type(&tensors, ty)?;
    let mut writer = Writer::new(metadata(model_dir, &config, vocab, ty));
    for (needed, tensor) in &tensors {
        let stored = if needed.quantizable {
            ty
        } else {
            GgmlType::F32
        };
        let source = &source;
        writer.stream(needed.target.as_str(), &needed.shape, stored, move |out| {
            let values = source.values(tensor)?;
            let row = needed.shape.first().map_or(0, |&n| n as usize);
            let bytes = quantize(stored, &values, row)?;
            out.write_all(&bytes).map_err(Error::io(source.path()))
        });
    }
    writer.write(out)?;
    Ok(())
}

/// Rows must be whole blocks: K types, with blocks of 256, do not suit a width of 384.
fn check_type(tensors: &[(Needed, &Tensor)], ty: GgmlType) -> Result<()> {
    let block = ty.block_size() as u64;
    for (needed, _) in tensors.iter().filter(|(needed, _)| needed.quantizable) {
        let row = needed.shape.first().copied().unwrap_or(0);
        if !row.is_multiple_of(block) {
            let name = &needed.target;
            return Err(Error::Convert {
                ty,
                reason: format!(
                    "tensor {name} has rows of {row} values, not whole blocks of {block}; use Q8_0 or F16"
                ),
            });
        }
    }
    Ok(())
}

/// Each needed tensor with its source. Unknown tensors are refused, as they may change the result.
fn matched<'a>(source: &'a Safetensors, config: &BertConfig) -> Result<Vec<(Needed, &'a Tensor)>> {
    let path = source.path();
    // Saved from a model with a head on top, all names are one level deeper.
    let prefix = match source.tensor("bert.embeddings.word_embeddings.weight") {
        Some(_) => "bert.",
        None => "",
    };
    let matched = needed(config)
        .into_iter()
        .map(|needed| {
            let name = format!("{prefix}{}", needed.source);
            let tensor = source
                .tensor(&name)
                .ok_or_else(|| Error::invalid(path, format!("tensor {name} is missing")))?;
            if tensor.ggml_shape() != needed.shape {
                let mut expected = needed.shape.clone();
                expected.reverse();
                let found = &tensor.shape;
                return Err(Error::invalid(
                    path,
                    format!("tensor {name} has shape {found:?}, config.json asks for {expected:?}"),
                ));
            }
            Ok((needed, tensor))
        })
        .collect::<Result<Vec<_>>>()?;
    let sources: HashSet<&str> = matched.iter().map(|(n, _)| n.source.as_str()).collect();
    let known = |name: &str| {
        let plain = name.strip_prefix(prefix).unwrap_or(name);
        is_ignored(plain) || sources.contains(plain)
    };
    match source.tensors().find(|tensor| !known(&tensor.name)) {
        None => Ok(matched),
        Some(tensor) => Err(Error::unsupported(
            path,
            format!(
                "tensor {} is of no part that a plain BERT encoder has",
                tensor.name
            ),
        )),
    }
}

fn metadata(model_dir: &Path, config: &BertConfig, vocab: Vocab, ty: GgmlType) -> Metadata {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "bert")
        .set("general.type", "model");
    if let Some(name) = model_dir.file_name() {
        metadata.set("general.name", name.to_string_lossy().into_owned());
    }
    if let Some(file_type) = file_type(ty) {
        metadata.set("general.file_type", file_type);
    }
    metadata
        .set("general.quantization_version", QUANTIZATION_VERSION)
        .set("bert.block_count", config.n_layers)
        .set("bert.context_length", config.n_positions)
        .set("bert.embedding_length", config.n_embd)
        .set("bert.feed_forward_length", config.n_ff)
        .set("bert.attention.head_count", config.n_heads)
        .set("bert.attention.layer_norm_epsilon", config.norm_epsilon)
        .set("bert.attention.causal", false)
        .set("bert.pooling_type", config.pooling as u32)
        .set("tokenizer.ggml.token_type_count", config.n_types);
    vocab.describe(&mut metadata);
    metadata
}

/// llama.cpp's `llama_ftype`, for the types an embedder is usually stored in.
fn file_type(ty: GgmlType) -> Option<u32> {
    match ty {
        GgmlType::F32 => Some(0),
        GgmlType::F16 => Some(1),
        GgmlType::Q4_0 => Some(2),
        GgmlType::Q4_1 => Some(3),
        GgmlType::Q8_0 => Some(7),
        GgmlType::BF16 => Some(32),
        _ => None,
    }
}
