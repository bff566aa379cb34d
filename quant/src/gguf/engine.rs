//! What llama.cpp asserts about a well-formed GGUF. A failed `GGML_ASSERT` aborts the process, so
//! those that metadata or a tensor's type can reach are asked here first: for every architecture
//! while hyperparameters and vocabulary are loaded, and for those in [`KNOWN`] also in the graph.
//! The graphs of other architectures have assertions of their own, which are not covered. What
//! llama.cpp merely throws on (a missing key, a shape that does not fit) is left to it.
//!
//! Read from `llama-model.cpp` (`load_hparams`), `llama-vocab.cpp` (`load`, `tokenize`),
//! `llama-adapter.cpp`, `gguf.cpp` (typed getters) and ggml-cpu's operators.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::metadata::Metadata;
use super::parse::Structure;
use super::value::Value;
use crate::ggml::GgmlType;
use crate::{Error, Result};

/// Architectures whose graphs are covered.
const KNOWN: &[&str] = &["llama", "qwen2", "qwen3", "gemma3", "bert"];
/// `LLAMA_MAX_LAYERS`.
const MAX_LAYERS: u64 = 512;
/// `LLAMA_MAX_EXPERTS`.
const MAX_EXPERTS: u64 = 1024;
/// The scaling types that `llama_rope_scaling_type_from_string` knows.
const ROPE_SCALING: &[&str] = &["none", "linear", "yarn", "longrope"];

type Check = Result<(), String>;

pub(super) fn check(path: &Path, structure: &Structure) -> Result<()> {
    let metadata = &structure.metadata;
    if metadata.u64("split.count").is_some_and(|n| n > 1) {
        return Err(Error::unsupported(
            path,
            "it is one part of a split model; join the parts with llama-gguf-split --merge",
        ));
    }
    let architecture = metadata.str("general.architecture").unwrap_or_default();
    let model = Model {
        metadata,
        architecture,
    };
    key_types(metadata)
        .and_then(|()| model.layers())
        .and_then(|()| model.experts())
        .and_then(|()| model.heads())
        .and_then(|()| model.scalars())
        .and_then(|()| vocabulary(metadata))
        .and_then(|()| special_tokens(metadata))
        .and_then(|()| tensor_types(structure))
        .map_err(|why| Error::invalid(path, why))
}

/// Keys that llama.cpp reads through getters that assert the type.
fn key_types(metadata: &Metadata) -> Check {
    let expect = |key: &str, expected: &str| match metadata.get(key) {
        Some(value) if value.type_name() != expected => {
            let found = value.type_name();
            Err(format!("{key} is of type {found}, not {expected}"))
        }
        _ => Ok(()),
    };
    expect("general.architecture", "string")?;
    expect("general.type", "string")?;
    expect("adapter.type", "string")?;
    expect("adapter.lora.alpha", "f32")?;
    expect("split.no", "u16")
}

struct Model<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl Model<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.metadata.u64(&self.key(name))
    }

    /// A number that may be given once or by layer.
    fn by_layer(&self, name: &str) -> Vec<u64> {
        match self.metadata.get(&self.key(name)) {
            Some(Value::Array(array)) => (0..array.len())
                .take(MAX_LAYERS as usize)
                .filter_map(|layer| array.unsigned(layer))
                .collect(),
            Some(value) => value.unsigned().into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn layers(&self) -> Check {
        let Some(n) = self.number("block_count") else {
            return Ok(());
        };
        if !(1..=MAX_LAYERS).contains(&n) {
            return Err(format!(
                "{} is {n}, not 1 to {MAX_LAYERS}",
                self.key("block_count")
            ));
        }
        match self.number("nextn_predict_layers") {
            Some(extra) if extra > n => Err(format!(
                "{} is {extra}, more than the {n} layers",
                self.key("nextn_predict_layers")
            )),
            _ => Ok(()),
        }
    }

    fn experts(&self) -> Check {
        let n = self.number("expert_count").unwrap_or(0);
        let used = self.by_layer("expert_used_count");
        let used = used.into_iter().max().unwrap_or(0);
        let groups = self.number("expert_group_count").unwrap_or(0);
        let groups_used = self.number("expert_group_used_count").unwrap_or(0);
        let consistent = match n {
            0 => used == 0 && groups == 0,
            1..=MAX_EXPERTS => {
                let grouped =
                    groups < 2 || (n.is_multiple_of(groups) && (1..groups).contains(&groups_used));
                (1..=n).contains(&used) && groups < n && grouped
            }
            _ => false,
        };
        if consistent {
            return Ok(());
        }
        Err(format!(
            "impossible experts: {n} in all (limit {MAX_EXPERTS}), {used} used, {groups} groups, {groups_used} groups used"
        ))
    }

    fn heads(&self) -> Check {
        let heads = self.by_layer("attention.head_count");
        let kv = self.by_layer("attention.head_count_kv");
        for layer in 0..heads.len().max(kv.len()) {
            let at = |v: &[u64]| v.get(layer).or(v.last()).copied().unwrap_or(0);
            let (n, n_kv) = (at(&heads), at(&kv));
            if n != 0 && n_kv != 0 && !n.is_multiple_of(n_kv) {
                return Err(format!(
                    "{n} attention heads do not divide into {n_kv} key-value heads"
                ));
            }
        }
        if !KNOWN.contains(&self.architecture) {
            return Ok(());
        }
        let (Some(embd), Some(&n)) = (self.number("embedding_length"), heads.first()) else {
            return Ok(());
        };
        let derived = embd.checked_div(n).unwrap_or(0);
        let k = self.number("attention.key_length").unwrap_or(derived);
        let v = self.number("attention.value_length").unwrap_or(derived);
        if k != v {
            return Err(format!("heads of {k} keys and {v} values are not alike"));
        }
        if self.architecture == "bert" {
            return Ok(());
        }
        let rotated = self.number("rope.dimension_count").unwrap_or(k);
        if !rotated.is_multiple_of(2) || rotated > k {
            return Err(format!(
                "{rotated} values of heads of {k} cannot be rotated in pairs"
            ));
        }
        if rotated != k && self.architecture != "gemma3" {
            return Err(format!(
                "{rotated} values of heads of {k} are rotated, not all"
            ));
        }
        Ok(())
    }

    fn scalars(&self) -> Check {
        for name in [
            "attention.layer_norm_epsilon",
            "attention.layer_norm_rms_epsilon",
        ] {
            if let Some(epsilon) = self.metadata.f32(&self.key(name))
                && !(epsilon >= 0.0 && epsilon.is_finite())
            {
                return Err(format!("{} is {epsilon}", self.key(name)));
            }
        }
        match self.metadata.str(&self.key("rope.scaling.type")) {
            Some(kind) if !ROPE_SCALING.contains(&kind) => Err(format!(
                "{} is {kind:?}, not one of {ROPE_SCALING:?}",
                self.key("rope.scaling.type")
            )),
            _ => Ok(()),
        }
    }
}

fn vocabulary(metadata: &Metadata) -> Check {
    let Some(tokens) = metadata
        .get("tokenizer.ggml.tokens")
        .and_then(Value::strings)
    else {
        return Ok(());
    };
    let mut seen = HashSet::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        // llama.cpp gives empty tokens a name of their own, which another token may already have.
        let named = match token {
            "" => Cow::Owned(format!("[EMPTY_{id}]")),
            token => Cow::Borrowed(token),
        };
        if !seen.insert(named) {
            return Err(format!(
                "token {id} of the vocabulary, {token:?}, appears twice"
            ));
        }
    }
    Ok(())
}

/// Tokens that llama.cpp adds around a text must exist. Defaults as in `llama_vocab::load`.
fn special_tokens(metadata: &Metadata) -> Check {
    let Some(tokens) = metadata
        .get("tokenizer.ggml.tokens")
        .and_then(Value::strings)
    else {
        return Ok(());
    };
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let (defaults, bos_added, sep_added) = match metadata.str("tokenizer.ggml.model") {
        Some("bert") => ([Some(101), None, Some(102)], true, true),
        Some("llama") => ([Some(1), Some(2), None], true, false),
        Some("gpt2") => ([Some(11), Some(11), None], false, false),
        _ => return Ok(()),
    };
    let rules = [
        ("bos_token_id", "add_bos_token", bos_added),
        ("eos_token_id", "add_eos_token", false),
        ("seperator_token_id", "add_sep_token", sep_added),
    ];
    for ((id_key, add_key, by_default), default) in rules.into_iter().zip(defaults) {
        let added = metadata.bool(&key(add_key)).unwrap_or(by_default);
        let exists = |id: u64| id < tokens.len() as u64;
        let stated = metadata.u64(&key(id_key)).filter(|&id| exists(id));
        if added && stated.or(default.filter(|&id| exists(id))).is_none() {
            let n = tokens.len();
            return Err(format!(
                "{} is on, but {} names none of the {n} tokens",
                key(add_key),
                key(id_key)
            ));
        }
    }
    Ok(())
}

/// Types that ggml's CPU operators assert: norms, biases, rotation factors and the token types of
/// BERT are F32 factors and summands, and a weight is something that multiplies.
fn tensor_types(structure: &Structure) -> Check {
    let architecture = structure.metadata.str("general.architecture");
    let known = architecture.is_some_and(|name| KNOWN.contains(&name));
    for tensor in &structure.tensors {
        let (name, ty) = (tensor.name.as_str(), tensor.ty);
        let named = name.ends_with("_norm.weight") || name.ends_with(".bias");
        let vector = tensor.shape.len() == 1 && (named || known);
        if (vector || name == "token_types.weight") && ty != GgmlType::F32 {
            return Err(format!(
                "tensor {name} is stored as {ty}; norms, biases and token types are F32"
            ));
        }
        let factor = matches!(ty, GgmlType::F32 | GgmlType::F16 | GgmlType::BF16)
            || (ty.is_quantized() && !matches!(ty, GgmlType::Q8_1 | GgmlType::Q8_K));
        if known && !factor {
            return Err(format!(
                "tensor {name} is stored as {ty}, which is no weight format"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::value::Array;

    fn with(entries: &[(&str, Value)]) -> Result<()> {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", "llama");
        for (key, value) in entries {
            metadata.set(*key, value.clone());
        }
        let structure = Structure {
            version: 3,
            alignment: 32,
            metadata,
            tensors: Vec::new(),
        };
        check(Path::new("model.gguf"), &structure)
    }

    fn strings(strings: &[&str]) -> Value {
        Value::Array(Array::String(strings.iter().collect()))
    }

    #[test]
    fn a_sane_model_passes() {
        with(&[
            ("llama.block_count", 30_u32.into()),
            ("llama.embedding_length", 576_u32.into()),
            ("llama.attention.head_count", 9_u32.into()),
            ("llama.attention.head_count_kv", 3_u32.into()),
            ("llama.attention.layer_norm_rms_epsilon", 1e-5_f32.into()),
            ("llama.rope.scaling.type", "yarn".into()),
            ("llama.expert_count", 8_u32.into()),
            ("llama.expert_used_count", 2_u32.into()),
            ("tokenizer.ggml.model", "gpt2".into()),
            ("tokenizer.ggml.tokens", strings(&["a", "b", ""])),
        ])
        .unwrap();
    }

    #[test]
    fn heads_of_every_known_architecture_are_checked() {
        for architecture in ["llama", "qwen2", "qwen3", "gemma3"] {
            let of = |k: u32, v: u32, rotated: u32| {
                let key = |name: &str| format!("{architecture}.{name}");
                let number = |name: &str, value: u32| (key(name), Value::from(value));
                let mut metadata = Metadata::new();
                metadata.set("general.architecture", architecture);
                for (key, value) in [
                    number("embedding_length", 64),
                    number("attention.head_count", 4),
                    number("attention.key_length", k),
                    number("attention.value_length", v),
                    number("rope.dimension_count", rotated),
                ] {
                    metadata.set(key, value);
                }
                let structure = Structure {
                    version: 3,
                    alignment: 32,
                    metadata,
                    tensors: Vec::new(),
                };
                check(Path::new("model.gguf"), &structure)
            };
            of(16, 16, 16).unwrap();
            assert!(of(16, 8, 16).is_err(), "{architecture}: unlike heads");
            assert!(of(15, 15, 15).is_err(), "{architecture}: odd heads");
            assert!(of(16, 16, 18).is_err(), "{architecture}: beyond the head");
            assert_eq!(of(16, 16, 8).is_ok(), architecture == "gemma3");
        }
    }

    #[test]
    fn what_llama_cpp_asserts_is_refused() {
        let cases: &[&[(&str, Value)]] = &[
            &[("general.type", 1_u32.into())],
            &[("adapter.lora.alpha", 16_u32.into())],
            &[("llama.block_count", 0_u32.into())],
            &[("llama.block_count", 513_u32.into())],
            &[
                ("llama.block_count", 2_u32.into()),
                ("llama.nextn_predict_layers", 3_u32.into()),
            ],
            &[("llama.expert_count", 4_u32.into())],
            &[("llama.expert_used_count", 2_u32.into())],
            &[
                ("llama.expert_count", 4_u32.into()),
                ("llama.expert_used_count", 5_u32.into()),
            ],
            &[
                ("llama.attention.head_count", 9_u32.into()),
                ("llama.attention.head_count_kv", 2_u32.into()),
            ],
            &[
                ("llama.embedding_length", 27_u32.into()),
                ("llama.attention.head_count", 9_u32.into()),
            ],
            &[("llama.attention.layer_norm_rms_epsilon", f32::NAN.into())],
            &[("llama.attention.layer_norm_rms_epsilon", (-1.0_f32).into())],
            &[("llama.rope.scaling.type", "spiral".into())],
            &[("tokenizer.ggml.tokens", strings(&["a", "b", "a"]))],
            &[("tokenizer.ggml.tokens", strings(&["[EMPTY_1]", ""]))],
            &[
                ("tokenizer.ggml.model", "llama".into()),
                ("tokenizer.ggml.tokens", strings(&["a"])),
            ],
        ];
        for case in cases {
            assert!(matches!(with(case), Err(Error::Invalid { .. })), "{case:?}");
        }
        let split = with(&[("split.count", 2_u16.into())]);
        assert!(matches!(split, Err(Error::Unsupported { .. })));
    }
}
