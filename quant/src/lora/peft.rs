//! GGUF LoRA files to PEFT folders: the way back of [`super::convert_peft`].

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::json;

use super::arch::Architecture;
use super::config::CONFIG;
use super::convert::Heads;
use super::pairs::pairs;
use super::permute::halve;
use crate::ggml::GgmlType;
use crate::gguf::{Gguf, write_beside};
use crate::safetensors::{Precision, Values, write};
use crate::{Error, Result};

/// PEFT's modules by the weights that they are in GGUF.
const MODULES: [(&str, &str); 7] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Writes the GGUF LoRA `adapter` for `base` as a folder that PEFT loads. `base_name` is what the folder says of the model
/// that it belongs to. Factors in half precision stay in it, others become F32.
///
/// # Errors
///
/// [`Error::AdapterRefused`] where the adapter is not a complete LoRA or adapts what is not a linear layer of a
/// transformer's layer, [`Error::BaseMismatch`] where the architecture is none that PEFT adapters are converted for, and
/// those of writing.
pub fn write_peft(adapter: &Gguf, base: &Gguf, base_name: &str, folder: &Path) -> Result<()> {
    let architecture = Architecture::of(adapter.path(), base)?;
    let heads = Heads::of(adapter.path(), base, architecture)?;
    let refuse = |why: String| Error::refused(adapter.path(), why);
    let alpha = adapter.metadata().f32("adapter.lora.alpha").unwrap_or(0.0);
    let mut ranks = BTreeSet::new();
    let mut targets = BTreeSet::new();
    let mut tensors = Vec::new();
    for (weight, pair) in pairs(adapter)? {
        let (layer, kind, module) = module_of(weight)
            .ok_or_else(|| refuse(format!("{weight} has no place in a PEFT folder")))?;
        let a = adapter.tensor_values(pair.a)?;
        let b = adapter.tensor_values(pair.b)?;
        let rank = pair.rank as usize;
        let n_heads = match kind {
            "attn_q" if architecture.rotates_neighbours() => Some(heads.query),
            "attn_k" if architecture.rotates_neighbours() => Some(heads.key),
            _ => None,
        };
        let b = match n_heads {
            Some(n_heads) => halve(&b, rank, n_heads)
                .ok_or_else(|| refuse(format!("{weight} has no {n_heads} heads of rows")))?,
            None => b,
        };
        ranks.insert(rank);
        targets.insert(module.rsplit('.').next().unwrap_or(module));
        let precision = match (pair.a.ty, pair.b.ty) {
            (GgmlType::F16, GgmlType::F16) => Precision::Half,
            _ => Precision::Single,
        };
        let name = format!("base_model.model.model.layers.{layer}.{module}");
        tensors.push((
            format!("{name}.lora_A.weight"),
            vec![rank, pair.n_in as usize],
            a,
            precision,
        ));
        tensors.push((
            format!("{name}.lora_B.weight"),
            vec![pair.n_out as usize, rank],
            b,
            precision,
        ));
    }
    let rank = match ranks.into_iter().collect::<Vec<_>>().as_slice() {
        [one] => *one,
        several => {
            return Err(refuse(format!(
                "it has pairs of ranks {several:?}, not of one"
            )));
        }
    };
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let values: Vec<Values> = tensors
        .iter()
        .map(|(name, shape, values, precision)| Values {
            name: name.clone(),
            shape: shape.clone(),
            values,
            precision: *precision,
        })
        .collect();
    let remarks = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write(&folder.join("adapter_model.safetensors"), &values, remarks)?;
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": rank,
        // llama.cpp takes 0 for a factor of 1.
        "lora_alpha": if alpha == 0.0 { rank as f32 } else { alpha },
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_dropout": 0.0,
    });
    write_beside(&folder.join(CONFIG), format!("{config:#}\n").as_bytes())
}

/// Layer, kind of weight and PEFT's module of `blk.N.KIND.weight`.
fn module_of(weight: &str) -> Option<(u32, &'static str, &'static str)> {
    let (layer, kind) = weight.strip_prefix("blk.")?.split_once('.')?;
    let kind = kind.strip_suffix(".weight")?;
    let (kind, module) = MODULES.into_iter().find(|(name, _)| *name == kind)?;
    Some((layer.parse().ok()?, kind, module))
}
