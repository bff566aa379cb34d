//! What the choice of types asks about a model: its layers, heads and experts.

use crate::gguf::{Array, Gguf, Value};

/// Sizes of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) n_layers: usize,
    /// Query heads to a key-value head.
    pub(super) n_gqa: u64,
    pub(super) n_experts: u64,
    pub(super) is_falcon: bool,
    /// LLaMA 2 70B and those of its shape, which llama.cpp treats with more care.
    pub(super) is_70b: bool,
    /// No `output.weight`: the token embedding serves for both.
    pub(super) is_tied: bool,
}

impl Shape {
    pub(super) fn of(source: &Gguf) -> Self {
        let architecture = source.architecture().unwrap_or_default();
        let number = |key: &str| match source.metadata().get(&format!("{architecture}.{key}"))? {
            Value::Array(array) => first(array),
            value => value.unsigned(),
        };
        let n_layers = number("block_count").unwrap_or(0);
        let n_heads = number("attention.head_count").unwrap_or(0);
        let n_kv = number("attention.head_count_kv").unwrap_or(n_heads);
        let n_gqa = n_heads.checked_div(n_kv).unwrap_or(0);
        Self {
            n_layers: usize::try_from(n_layers).unwrap_or(0),
            n_gqa,
            n_experts: number("expert_count").unwrap_or(0),
            is_falcon: architecture == "falcon",
            is_70b: n_layers == 80
                && (architecture == "llama" && n_gqa > 1 || architecture == "qwen2"),
            is_tied: source.tensor("output.weight").is_none(),
        }
    }
}

fn first(array: &Array) -> Option<u64> {
    array.unsigned(0)
}
