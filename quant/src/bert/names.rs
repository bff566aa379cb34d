//! Hugging Face's tensor names of BERT, and those of llama.cpp's `bert` architecture.

use super::config::BertConfig;

/// A tensor the GGUF file needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needed {
    /// Its name in the safetensors file, without the prefix `bert.`.
    pub(super) source: String,
    /// Its name in the GGUF file.
    pub(super) target: String,
    /// Its shape there: `[columns, rows]`, or one size.
    pub(super) shape: Vec<u64>,
    /// Whether it is a factor of a matrix product or a table of words, and may be quantized.
    /// Positions and types stay F32, as in llama.cpp's converter: they are added as they are.
    pub(super) quantizable: bool,
}

/// Tensors that the encoder does not use: the position numbers that PyTorch stores as a buffer,
/// and the pooler that sentence embedders leave out.
pub(super) fn is_ignored(name: &str) -> bool {
    matches!(
        name,
        "embeddings.position_ids"
            | "embeddings.token_type_ids"
            | "pooler.dense.weight"
            | "pooler.dense.bias"
    )
}

/// All tensors of a model of this configuration.
pub(super) fn needed(config: &BertConfig) -> Vec<Needed> {
    let [embd, ff] = [config.n_embd, config.n_ff].map(u64::from);
    let mut list = Vec::new();
    let mut add = |source: String, target: String, shape: &[u64], quantizable: bool| {
        list.push(Needed {
            source,
            target,
            shape: shape.to_vec(),
            quantizable,
        });
    };
    for (source, target, rows, quantizable) in [
        ("word_embeddings", "token_embd", config.n_vocab, true),
        (
            "position_embeddings",
            "position_embd",
            config.n_positions,
            false,
        ),
        (
            "token_type_embeddings",
            "token_types",
            config.n_types,
            false,
        ),
    ] {
        let source = format!("embeddings.{source}.weight");
        add(
            source,
            format!("{target}.weight"),
            &[embd, rows.into()],
            quantizable,
        );
    }
    for part in ["weight", "bias"] {
        let source = format!("embeddings.LayerNorm.{part}");
        add(source, format!("token_embd_norm.{part}"), &[embd], false);
    }
    for layer in 0..config.n_layers {
        for (source, target, n_in, n_out) in [
            ("attention.self.query", "attn_q", embd, embd),
            ("attention.self.key", "attn_k", embd, embd),
            ("attention.self.value", "attn_v", embd, embd),
            ("attention.output.dense", "attn_output", embd, embd),
            ("intermediate.dense", "ffn_up", embd, ff),
            ("output.dense", "ffn_down", ff, embd),
        ] {
            let source = format!("encoder.layer.{layer}.{source}");
            let target = format!("blk.{layer}.{target}");
            add(
                format!("{source}.weight"),
                format!("{target}.weight"),
                &[n_in, n_out],
                true,
            );
            add(
                format!("{source}.bias"),
                format!("{target}.bias"),
                &[n_out],
                false,
            );
        }
        for (source, target) in [
            ("attention.output.LayerNorm", "attn_output_norm"),
            ("output.LayerNorm", "layer_output_norm"),
        ] {
            for part in ["weight", "bias"] {
                let source = format!("encoder.layer.{layer}.{source}.{part}");
                add(
                    source,
                    format!("blk.{layer}.{target}.{part}"),
                    &[embd],
                    false,
                );
            }
        }
    }
    list
}
