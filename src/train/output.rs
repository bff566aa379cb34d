//! The adapter as files: a GGUF LoRA with what it was made of, and a folder that PEFT loads.

use std::path::Path;

use serde_json::Value;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::lora as lora_files;

use super::compute::{Base, Lora, Target};
use crate::Result;

/// Writes `lora` as a GGUF LoRA. `provenance` goes into the file, so it is part of what the adapter is.
///
/// # Errors
/// [`crate::Error::Format`] where it cannot be written.
pub fn write_gguf(
    lora: &Lora,
    base: &Base,
    name: &str,
    provenance: &Value,
    out: &Path,
) -> Result<()> {
    let shape = base.shape();
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", shape.architecture.name())
        .set("general.type", "adapter")
        .set("general.name", name)
        .set("adapter.type", "lora")
        .set("adapter.lora.alpha", lora.alpha())
        .set(lora_files::TRAINING_KEY, provenance.to_string());
    let mut writer = Writer::new(metadata);
    let rank = lora.rank() as u64;
    for layer in 0..shape.n_layers {
        for target in Target::ALL {
            let Some((a, b)) = lora.factors(layer, target) else {
                continue;
            };
            let (n_in, n_out) = target.sizes(shape);
            let weight = target.weight(layer);
            for (suffix, sizes, values) in [
                ("lora_a", [n_in as u64, rank], a),
                ("lora_b", [rank, n_out as u64], b),
            ] {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                writer.tensor(format!("{weight}.{suffix}"), &sizes, GgmlType::F32, bytes);
            }
        }
    }
    writer.write(out)?;
    Ok(())
}

/// Writes the GGUF LoRA `adapter` as a folder for PEFT; `base` is the file that it was trained on.
///
/// # Errors
/// [`crate::Error::Format`] where it cannot be written.
pub fn write_peft(adapter: &Path, base: &Path, base_name: &str, folder: &Path) -> Result<()> {
    let (adapter, base) = (Gguf::open(adapter)?, Gguf::open(base)?);
    Ok(lora_files::write_peft(&adapter, &base, base_name, folder)?)
}
