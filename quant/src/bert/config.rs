//! The sizes and options of a BERT embedder: `config.json` and the pooling next to it. Refuses
//! what llama.cpp's `bert` graph does not compute.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Bytes of a small configuration file; real ones have one kilobyte.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Bytes of `tokenizer.json`; multilingual vocabularies reach some twenty megabytes.
pub(super) const MAX_TOKENIZER_BYTES: u64 = 1 << 27;

/// Layers: llama.cpp's own bound.
const MAX_LAYERS: u32 = 512;

/// Width of any dimension. The largest BERT is 1024 wide and 4096 within; its vocabulary has the
/// most rows, multilingual ones half a million.
const MAX_DIMENSION: u32 = 1 << 20;

/// How token vectors become one: llama.cpp's `llama_pooling_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    Mean = 1,
    Cls = 2,
}

/// A checked configuration.
#[derive(Debug)]
pub(super) struct BertConfig {
    pub(super) n_layers: u32,
    pub(super) n_embd: u32,
    pub(super) n_ff: u32,
    pub(super) n_heads: u32,
    pub(super) n_positions: u32,
    pub(super) n_types: u32,
    pub(super) n_vocab: u32,
    pub(super) norm_epsilon: f32,
    pub(super) pooling: Pooling,
}

#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
    hidden_size: u32,
    intermediate_size: u32,
    num_attention_heads: u32,
    num_hidden_layers: u32,
    max_position_embeddings: u32,
    type_vocab_size: u32,
    vocab_size: u32,
    layer_norm_eps: f32,
}

#[derive(Deserialize)]
struct RawPooling {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

impl BertConfig {
    pub(super) fn read(model_dir: &Path) -> Result<Self> {
        let path = model_dir.join("config.json");
        let raw: Raw = read_json(&path, MAX_CONFIG_BYTES)?;
        let only = |key: &str, found: Option<&str>, expected: &str| match found {
            Some(found) if found != expected => Err(Error::unsupported(
                &path,
                format!("{key} is {found:?}; only {expected:?} is converted"),
            )),
            _ => Ok(()),
        };
        only(
            "model_type",
            raw.model_type.as_deref().or(Some("missing")),
            "bert",
        )?;
        only("hidden_act", raw.hidden_act.as_deref(), "gelu")?;
        let positions = raw.position_embedding_type.as_deref();
        only("position_embedding_type", positions, "absolute")?;
        if raw.is_decoder == Some(true) {
            return Err(Error::unsupported(
                &path,
                "is_decoder is true; only encoders are converted",
            ));
        }
        check_sizes(&path, &raw)?;
        Ok(Self {
            n_layers: raw.num_hidden_layers,
            n_embd: raw.hidden_size,
            n_ff: raw.intermediate_size,
            n_heads: raw.num_attention_heads,
            n_positions: raw.max_position_embeddings,
            n_types: raw.type_vocab_size,
            n_vocab: raw.vocab_size,
            norm_epsilon: raw.layer_norm_eps,
            pooling: pooling(model_dir)?,
        })
    }
}

fn check_sizes(path: &Path, raw: &Raw) -> Result<()> {
    for (key, n, max) in [
        ("hidden_size", raw.hidden_size, MAX_DIMENSION),
        ("intermediate_size", raw.intermediate_size, MAX_DIMENSION),
        (
            "num_attention_heads",
            raw.num_attention_heads,
            MAX_DIMENSION,
        ),
        ("num_hidden_layers", raw.num_hidden_layers, MAX_LAYERS),
        (
            "max_position_embeddings",
            raw.max_position_embeddings,
            MAX_DIMENSION,
        ),
        ("type_vocab_size", raw.type_vocab_size, MAX_DIMENSION),
        ("vocab_size", raw.vocab_size, MAX_DIMENSION),
    ] {
        if !(1..=max).contains(&n) {
            return Err(Error::invalid(
                path,
                format!("{key} is {n}, not 1 to {max}"),
            ));
        }
    }
    let (width, heads) = (raw.hidden_size, raw.num_attention_heads);
    if !width.is_multiple_of(heads) {
        return Err(Error::invalid(
            path,
            format!("hidden_size {width} does not divide into {heads} attention heads"),
        ));
    }
    if !(0.0..1.0).contains(&raw.layer_norm_eps) {
        let epsilon = raw.layer_norm_eps;
        return Err(Error::invalid(path, format!("layer_norm_eps is {epsilon}")));
    }
    Ok(())
}

/// The pooling that sentence-transformers states; mean, as its default, where it states none.
fn pooling(model_dir: &Path) -> Result<Pooling> {
    let path: PathBuf = model_dir.join("1_Pooling").join("config.json");
    if !path.exists() {
        return Ok(Pooling::Mean);
    }
    let raw: RawPooling = read_json(&path, MAX_CONFIG_BYTES)?;
    let others = raw.pooling_mode_max_tokens
        || raw.pooling_mode_mean_sqrt_len_tokens
        || raw.pooling_mode_weightedmean_tokens
        || raw.pooling_mode_lasttoken;
    match (
        raw.pooling_mode_mean_tokens,
        raw.pooling_mode_cls_token,
        others,
    ) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::Cls),
        _ => Err(Error::unsupported(
            &path,
            "only mean pooling or only the first token is converted",
        )),
    }
}

/// Parses the JSON file `path` of at most `max` bytes.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, max: u64) -> Result<T> {
    let size = fs_err::metadata(path).map_err(Error::io(path))?.len();
    if size > max {
        return Err(Error::invalid(
            path,
            format!("{size} bytes are above the limit of {max}"),
        ));
    }
    let bytes = fs_err::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&bytes)
        .map_err(|cause| Error::invalid(path, format!("not the JSON expected: {cause}")))
}
