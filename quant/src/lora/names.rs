//! PEFT's tensor names of `llama`-architecture models, and the GGUF weights they adapt.

/// Which factor of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    A,
    B,
}

/// How the rows of the adapted weight are ordered in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowOrder {
    /// As in the original model.
    Same,
    /// Interleaved for llama.cpp's rotary embedding, by query heads.
    QueryHeads,
    /// The same, by key-value heads.
    KeyHeads,
}

/// What a PEFT tensor adapts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Adapted<'a> {
    /// The module's path within the base model, as PEFT's patterns see it.
    pub(super) module: &'a str,
    /// The name of the weight in the GGUF base.
    pub(super) weight: String,
    pub(super) part: Part,
    pub(super) rows: RowOrder,
}

/// Understands a PEFT tensor name, or says why it cannot be expressed.
pub(super) fn adapted(name: &str) -> Result<Adapted<'_>, String> {
    for (part, reason) in [
        (
            "lora_magnitude_vector",
            "DoRA rescales each weight column by a learned magnitude",
        ),
        (
            "lora_embedding_",
            "adapters of the token embedding are not converted yet",
        ),
        ("modules_to_save", "it replaces a whole module of the base"),
        ("token_adapter", "it retrains single token embeddings"),
        (".bias", "a GGUF LoRA has no biases"),
    ] {
        if name.contains(part) {
            return Err(format!("tensor {name}: {reason}"));
        }
    }
    let unknown =
        || format!("tensor {name} is of no module that is known for the llama architecture");
    let path = name.strip_prefix("base_model.model.").ok_or_else(unknown)?;
    let (module, part) = path
        .strip_suffix(".lora_A.weight")
        .map(|module| (module, Part::A))
        .or_else(|| Some((path.strip_suffix(".lora_B.weight")?, Part::B)))
        .ok_or_else(unknown)?;
    let (weight, rows) = weight(module).ok_or_else(unknown)?;
    Ok(Adapted {
        module,
        weight,
        part,
        rows,
    })
}

fn weight(module: &str) -> Option<(String, RowOrder)> {
    if module == "lm_head" {
        return Some(("output.weight".to_owned(), RowOrder::Same));
    }
    let layers = module.strip_prefix("model.").unwrap_or(module);
    let (layer, inner) = layers.strip_prefix("layers.")?.split_once('.')?;
    // Through a number and back, so that `01` and `1` cannot name the same layer twice.
    let number: u32 = layer.parse().ok()?;
    if number.to_string() != layer {
        return None;
    }
    let (kind, rows) = match inner {
        "self_attn.q_proj" => ("attn_q", RowOrder::QueryHeads),
        "self_attn.k_proj" => ("attn_k", RowOrder::KeyHeads),
        "self_attn.v_proj" => ("attn_v", RowOrder::Same),
        "self_attn.o_proj" => ("attn_output", RowOrder::Same),
        "mlp.gate_proj" => ("ffn_gate", RowOrder::Same),
        "mlp.up_proj" => ("ffn_up", RowOrder::Same),
        "mlp.down_proj" => ("ffn_down", RowOrder::Same),
        _ => return None,
    };
    Some((format!("blk.{number}.{kind}.weight"), rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_modules_have_their_weights() {
        let q = adapted("base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight").unwrap();
        assert_eq!(q.module, "model.layers.3.self_attn.q_proj");
        assert_eq!(q.weight, "blk.3.attn_q.weight");
        assert_eq!((q.part, q.rows), (Part::A, RowOrder::QueryHeads));
        let down = adapted("base_model.model.layers.0.mlp.down_proj.lora_B.weight").unwrap();
        assert_eq!(down.weight, "blk.0.ffn_down.weight");
        assert_eq!((down.part, down.rows), (Part::B, RowOrder::Same));
        let head = adapted("base_model.model.lm_head.lora_B.weight").unwrap();
        assert_eq!(head.weight, "output.weight");
    }

    #[test]
    fn all_others_are_refused_by_name() {
        for (name, reason) in [
            (
                "base_model.model.model.embed_tokens.lora_embedding_A",
                "embedding",
            ),
            (
                "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector",
                "DoRA",
            ),
            (
                "base_model.model.lm_head.modules_to_save.weight",
                "replaces",
            ),
            (
                "base_model.model.model.layers.0.mlp.up_proj.lora_B.bias",
                "biases",
            ),
            (
                "base_model.model.model.layers.01.mlp.up_proj.lora_B.weight",
                "no module",
            ),
            (
                "base_model.model.model.layers.0.mlp.router.lora_B.weight",
                "no module",
            ),
            (
                "base_model.model.model.layers.0.mlp.up_proj.weight",
                "no module",
            ),
            ("model.layers.0.mlp.up_proj.lora_B.weight", "no module"),
            ("", "no module"),
        ] {
            let why = adapted(name).unwrap_err();
            assert!(why.contains(name) && why.contains(reason), "{why}");
        }
    }
}
