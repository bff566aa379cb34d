//! The adapter as files: a GGUF LoRA with what it was made of, and a folder that PEFT loads.

use std::path::Path;

use half::f16;
use serde_json::Value;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::lora as lora_files;

use super::compute::{Base, Lora, Target};
use crate::Result;

/// Writes `lora` as a GGUF LoRA, in half precision as llama.cpp's converter does unless it is told otherwise. `provenance`
/// goes into the file, so it is part of what the adapter is.
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
                let (ty, bytes) = encode(values);
                writer.tensor(format!("{weight}.{suffix}"), &sizes, ty, bytes);
            }
        }
    }
    writer.write(out)?;
    Ok(())
}

/// F16, or F32 where a value is beyond it.
fn encode(values: &[f32]) -> (GgmlType, Vec<u8>) {
    let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
    if halves.iter().all(|half| half.is_finite()) {
        let bytes = halves.iter().flat_map(|v| v.to_le_bytes()).collect();
        return (GgmlType::F16, bytes);
    }
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    (GgmlType::F32, bytes)
}

/// Writes the GGUF LoRA `adapter` as a folder for PEFT; `base` is the file that it was trained on.
///
/// # Errors
/// [`crate::Error::Format`] where it cannot be written.
pub fn write_peft(adapter: &Path, base: &Path, base_name: &str, folder: &Path) -> Result<()> {
    let (adapter, base) = (Gguf::open(adapter)?, Gguf::open(base)?);
    Ok(lora_files::write_peft(&adapter, &base, base_name, folder)?)
}
