//! Copies of an adapter whose strength differs by layer. llama.cpp has one scale for an adapter, so
//! what varies within it is multiplied into its `lora_b`.

use std::path::Path;

use super::pairs::pairs;
use crate::ggml::GgmlType;
use crate::gguf::{Gguf, Writer};
use crate::safetensors::check_finite;
use crate::{Error, Result};

/// Where in a model a weight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Before the first layer: the token embedding.
    Input,
    /// In layer `n`, counted from 0.
    Layer(u32),
    /// After the last layer: the output head.
    Output,
}

impl Place {
    /// The place of the weight called `weight`, such as `blk.3.attn_q.weight`.
    pub fn of(weight: &str) -> Self {
        let layer = weight
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.')?.0.parse().ok());
        match layer {
            Some(layer) => Self::Layer(layer),
            None if weight == "token_embd.weight" => Self::Input,
            None => Self::Output,
        }
    }
}

/// Writes `adapter` to `out` with the effect at each place multiplied by `factor`. All `lora_b`
/// become F32, so that the product is rounded once; everything else is copied.
///
/// # Errors
///
/// [`Error::AdapterRefused`] where the file is not a complete LoRA, [`Error::NonFinite`] where a
/// product overflows, and those of reading and writing.
pub fn write_scaled(adapter: &Gguf, factor: impl Fn(Place) -> f32, out: &Path) -> Result<()> {
    let mut writer = Writer::new(adapter.metadata().clone());
    for (target, pair) in pairs(adapter)? {
        let factor = factor(Place::of(target));
        writer.tensor(
            &pair.a.name,
            &pair.a.shape,
            pair.a.ty,
            adapter.tensor_bytes(pair.a),
        );
        writer.stream(&pair.b.name, &pair.b.shape, GgmlType::F32, move |out| {
            let mut values = adapter.tensor_values(pair.b)?;
            for value in &mut values {
                *value *= factor;
            }
            check_finite(adapter.path(), &pair.b.name, &values)?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            out.write_all(&bytes).map_err(Error::io(adapter.path()))
        });
    }
    writer.write(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_names() {
        for (name, place) in [
            ("blk.0.attn_q.weight", Place::Layer(0)),
            ("blk.31.ffn_up.weight", Place::Layer(31)),
            ("token_embd.weight", Place::Input),
            ("output.weight", Place::Output),
        ] {
            assert_eq!(Place::of(name), place);
        }
    }
}
