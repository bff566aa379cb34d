//! PEFT's tensor names, and the GGUF weights they adapt.

use super::arch::Architecture;

/// Which factor of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    A,
    B,
}

/// What kind of weight is adapted, which decides how its factors are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A linear layer, rows as in the original model.
    Linear,
    /// A query projection, rows interleaved for llama.cpp's rotary embedding.
    RotatedQuery,
    /// A key projection, likewise.
    RotatedKey,
    /// The token embedding: in GGUF, A has a row for each token.
    Embedding,
}

/// What a PEFT tensor adapts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Adapted<'a> {
    /// The module's path within the base model, as PEFT's patterns see it.
    pub(super) module: &'a str,
    /// The name of the weight in the GGUF base.
    pub(super) weight: String,
    pub(super) part: Part,
    pub(super) form: Form,
}

/// Parts of names that say what a GGUF LoRA cannot hold.
const REFUSED: &[(&str, &str)] = &[
    (
        "lora_magnitude_vector",
        "DoRA rescales each weight column by a learned magnitude",
    ),
    ("modules_to_save", "it replaces a whole module of the base"),
    ("token_adapter", "it retrains single token embeddings"),
    ("trainable_tokens", "it retrains single token embeddings"),
    (".bias", "a GGUF LoRA has no biases"),
    (".base_layer.", WHOLE_WEIGHT),
];

const WHOLE_WEIGHT: &str = "it is a whole weight of the base, perhaps with new tokens; if it was not trained, save the adapter with save_embedding_layers=False";

/// Understands a PEFT tensor name, or says why it cannot be expressed.
pub(super) fn adapted(architecture: Architecture, name: &str) -> Result<Adapted<'_>, String> {
    if let Some((_, reason)) = REFUSED.iter().find(|(part, _)| name.contains(part)) {
        return Err(format!("tensor {name}: {reason}"));
    }
    let unknown = || {
        let architecture = architecture.name();
        format!("tensor {name} is of no module that is known for the {architecture} architecture")
    };
    let path = name.strip_prefix("base_model.model.").ok_or_else(unknown)?;
    let Some((module, part, is_embedding)) = split(path) else {
        let whole = path
            .strip_suffix(".weight")
            .is_some_and(|module| weight(architecture, module).is_some());
        return Err(if whole {
            format!("tensor {name}: {WHOLE_WEIGHT}")
        } else {
            unknown()
        });
    };
    let (weight, form) = weight(architecture, module)
        .filter(|(_, form)| (*form == Form::Embedding) == is_embedding)
        .ok_or_else(unknown)?;
    if let Some(obstacle) = architecture.embedding_obstacle().filter(|_| is_embedding) {
        return Err(format!("tensor {name}: {obstacle}"));
    }
    Ok(Adapted {
        module,
        weight,
        part,
        form,
    })
}

/// Module, factor, and whether PEFT took the module for an embedding.
fn split(path: &str) -> Option<(&str, Part, bool)> {
    [
        (".lora_A.weight", Part::A, false),
        (".lora_B.weight", Part::B, false),
        (".lora_embedding_A", Part::A, true),
        (".lora_embedding_B", Part::B, true),
    ]
    .into_iter()
    .find_map(|(suffix, part, embedding)| Some((path.strip_suffix(suffix)?, part, embedding)))
}

fn weight(architecture: Architecture, module: &str) -> Option<(String, Form)> {
    if architecture.heads().contains(&module) {
        return Some(("output.weight".to_owned(), Form::Linear));
    }
    let prefixes = architecture.prefixes().iter();
    let mut within = prefixes.filter_map(|prefix| module.strip_prefix(prefix));
    within.find_map(|path| match path {
        "embed_tokens" => Some(("token_embd.weight".to_owned(), Form::Embedding)),
        path => layer_weight(architecture, path),
    })
}

fn layer_weight(architecture: Architecture, path: &str) -> Option<(String, Form)> {
    let (layer, inner) = path.strip_prefix("layers.")?.split_once('.')?;
    // Through a number and back, so that `01` and `1` cannot name the same layer twice.
    let number: u32 = layer.parse().ok()?;
    if number.to_string() != layer {
        return None;
    }
    let rotated = |form| {
        if architecture.rotates_neighbours() {
            form
        } else {
            Form::Linear
        }
    };
    let (kind, form) = match inner {
        "self_attn.q_proj" => ("attn_q", rotated(Form::RotatedQuery)),
        "self_attn.k_proj" => ("attn_k", rotated(Form::RotatedKey)),
        "self_attn.v_proj" => ("attn_v", Form::Linear),
        "self_attn.o_proj" => ("attn_output", Form::Linear),
        "mlp.gate_proj" => ("ffn_gate", Form::Linear),
        "mlp.up_proj" => ("ffn_up", Form::Linear),
        "mlp.down_proj" => ("ffn_down", Form::Linear),
        _ => return None,
    };
    Some((format!("blk.{number}.{kind}.weight"), form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_modules_have_their_weights() {
        let name = "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight";
        let q = adapted(Architecture::Llama, name).unwrap();
        assert_eq!(q.module, "model.layers.3.self_attn.q_proj");
        assert_eq!(q.weight, "blk.3.attn_q.weight");
        assert_eq!((q.part, q.form), (Part::A, Form::RotatedQuery));
        for architecture in Architecture::ALL {
            let of = |name| adapted(architecture, name).unwrap();
            if architecture != Architecture::Llama {
                assert_eq!(of(name).form, Form::Linear, "halves are rotated");
            }
            let down = of("base_model.model.layers.0.mlp.down_proj.lora_B.weight");
            assert_eq!(down.weight, "blk.0.ffn_down.weight");
            assert_eq!((down.part, down.form), (Part::B, Form::Linear));
            let head = of("base_model.model.lm_head.lora_B.weight");
            assert_eq!(head.weight, "output.weight");
        }
        let name = "base_model.model.model.embed_tokens.lora_embedding_A";
        let embedding = adapted(Architecture::Qwen2, name).unwrap();
        assert_eq!(embedding.weight, "token_embd.weight");
        assert_eq!((embedding.part, embedding.form), (Part::A, Form::Embedding));
        let name = "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_A.weight";
        let below = adapted(Architecture::Gemma3, name).unwrap();
        assert_eq!(below.weight, "blk.0.ffn_up.weight");
        assert!(adapted(Architecture::Llama, name).is_err());
    }

    #[test]
    fn all_others_are_refused_by_name() {
        let module = "base_model.model.model.layers.0.mlp.up_proj";
        for (name, reason) in [
            (format!("{module}.lora_magnitude_vector"), "DoRA"),
            (
                "base_model.model.lm_head.modules_to_save.weight".into(),
                "replaces",
            ),
            (
                "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta".into(),
                "single token",
            ),
            (format!("{module}.lora_B.bias"), "biases"),
            ("base_model.model.lm_head.weight".into(), "whole weight"),
            (
                "base_model.model.model.embed_tokens.base_layer.weight".into(),
                "whole weight",
            ),
            (format!("{module}.weight"), "whole weight"),
            (format!("{module}.lora_embedding_A"), "no module"),
            (
                "base_model.model.model.embed_tokens.lora_A.weight".into(),
                "no module",
            ),
            (
                "base_model.model.model.layers.01.mlp.up_proj.lora_B.weight".into(),
                "no module",
            ),
            (
                "base_model.model.model.layers.0.mlp.router.lora_B.weight".into(),
                "no module",
            ),
            (
                "base_model.model.vision_tower.layers.0.mlp.up_proj.lora_B.weight".into(),
                "no module",
            ),
            (
                "model.layers.0.mlp.up_proj.lora_B.weight".into(),
                "no module",
            ),
            (String::new(), "no module"),
        ] {
            for architecture in Architecture::ALL {
                let why = adapted(architecture, &name).unwrap_err();
                assert!(why.contains(&name) && why.contains(reason), "{why}");
            }
        }
        let name = "base_model.model.model.embed_tokens.lora_embedding_A";
        assert!(
            adapted(Architecture::Gemma3, name)
                .unwrap_err()
                .contains("scales")
        );
    }
}
