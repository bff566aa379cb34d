//! What the last bits of a model's numbers depend on beside its file: which engine computes, with which kernels, and where.
//! What was computed under one such name is not taken under another.

use crate::error::Result;
use crate::llama::{self, devices, system_info};

/// The engine that computes, by the version that `Cargo.toml` pins.
const ENGINE: &str = "llama-cpp-sys-2 =0.1.161";

/// The name for a loaded model, with the weights as they lie in the file or packed.
pub(super) fn name(model: &llama::Model, mapped: bool) -> Result<String> {
    let n_gpu_layers = model.n_gpu_layers();
    let mut parts = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        ENGINE.to_owned(),
        system_info()?,
        format!("mapped {mapped}, ngl {n_gpu_layers}"),
    ];
    if n_gpu_layers > 0 {
        let gpus = devices()?.into_iter().filter(|device| device.gpu);
        parts.extend(gpus.map(|device| device.to_string()));
    }
    Ok(parts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_the_one_that_is_pinned() {
        let manifest = include_str!("../../Cargo.toml");
        let (name, version) = ENGINE.split_once(' ').unwrap_or_default();
        let pinned = format!("{name} = {{ version = \"{version}\"");
        assert!(manifest.contains(&pinned), "Cargo.toml has no '{pinned}'");
    }
}
