//! Looking at an imported adapter: whether its file is still the one that was imported, and what it does to its base.

use serde::Serialize;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{self, AdapterStats, LoraSummary};

use super::store::{AdapterRecord, Registry};
use crate::{Error, Result};

/// What is in an adapter's file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterFile {
    /// Name of the base that it belongs to, where that is installed.
    pub base: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// Rank, alpha, targets.
    pub lora: LoraSummary,
    /// What its delta is multiplied by at its recorded scale: `scale * alpha / rank`, for the largest rank.
    pub effective_scale: f32,
    /// How it changes its base, by layer and by weight, at scale 1.
    pub stats: AdapterStats,
    /// What is suspicious about it, in words.
    pub findings: Vec<String>,
}

/// Reads and checks an adapter's file against its base. A file that is damaged or is not the one that was imported is
/// quarantined, with the reason.
///
/// # Errors
/// [`Error::UnknownName`] if the base is not installed, [`Error::Format`] and [`Error::Checksum`] if the file is not
/// sound.
pub fn inspect_adapter(registry: &Registry, record: &AdapterRecord) -> Result<AdapterFile> {
    let models = registry.models()?;
    let base = models
        .into_iter()
        .find(|model| model.sha256 == record.base_sha256)
        .ok_or_else(|| Error::UnknownName {
            what: "base with sha256",
            name: record.base_sha256.to_string(),
            nearest: None,
        })?;
    registry.verify_model(&base)?;
    let base_file = Gguf::open(&base.path)?;
    let read = || -> Result<_> {
        let found = registry.sha256_of(&record.path)?;
        if found != record.sha256 {
            return Err(Error::Checksum {
                path: record.path.clone(),
                expected: record.sha256.to_string(),
                found: found.to_string(),
            });
        }
        let file = Gguf::open(&record.path)?;
        let lora = lora::validate(&file, &base_file)?;
        Ok((file, lora))
    };
    let (file, lora) = read().inspect_err(|error| set_apart(registry, record, error))?;
    let stats = lora::stats(&file, &base_file)?;
    Ok(AdapterFile {
        base: Some(base.name),
        bytes: file.file_len(),
        effective_scale: effective_scale(record.scale, &lora),
        lora,
        findings: stats.findings(),
        stats,
    })
}

/// Quarantines an adapter whose file is not what it was. A file that cannot be read now may be readable later.
fn set_apart(registry: &Registry, record: &AdapterRecord, error: &Error) {
    let is_damage = match error {
        Error::Checksum { .. } => true,
        Error::Format(format) => !matches!(format, unforget_quant::Error::Io { .. }),
        _ => false,
    };
    if !is_damage {
        return;
    }
    if let Err(failure) = registry.quarantine(&record.name, &[error.to_string()]) {
        // The damage is reported in any case, and found again by whoever loads the file.
        tracing::warn!(
            "adapter '{}' could not be quarantined: {failure}",
            record.name
        );
    }
}

/// llama.cpp's rule: `scale * alpha / rank`, and the plain scale where alpha is 0.
fn effective_scale(scale: f32, lora: &LoraSummary) -> f32 {
    if lora.alpha == 0.0 {
        return scale;
    }
    scale * lora.alpha / lora.rank_max.max(1) as f32
}
