//! Bringing an adapter in: convert where needed, check, bind to its base, and record.

use std::path::{Path, PathBuf};

use serde_json::json;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;
use unforget_quant::{Error as QuantError, bert};

use super::home::Home;
use super::name::check_name;
use super::store::{AdapterRecord, ModelRecord, Registry};
use crate::engine::{ContentHash, Strength};
use crate::{Error, Result};

/// Block type of a converted embedder. Q8_0 is the fastest on CPUs and its vectors differ from the float ones by a
/// cosine of less than 0.001.
const EMBEDDER_TYPE: GgmlType = GgmlType::Q8_0;

/// Converts a folder with an embedder's safetensors and tokenizer to GGUF: the `convert` step of [`super::pull`].
///
/// # Errors
/// [`Error::Format`] if the folder does not hold a BERT embedder.
pub fn convert_embedder(folder: &Path, out: &Path) -> Result<()> {
    Ok(bert::convert(folder, out, EMBEDDER_TYPE)?)
}

/// Imports a folder that PEFT saved, or a GGUF LoRA, as `name` for `base`. Its state is quarantined, with the reasons
/// where its numbers are suspicious ([`AdapterRecord::quarantine_reasons`]); or failed, where the guard failed the same
/// content before, under whatever name.
///
/// Importing the same content again changes nothing; other content under a name in use is an error, so that no
/// adapter is ever replaced behind its name.
///
/// # Errors
/// [`Error::Format`] if the adapter is not sound, cannot be expressed in GGUF or does not fit the base;
/// [`Error::InvalidArgument`] for the name; [`Error::Io`].
pub fn import_adapter(
    registry: &Registry,
    home: &Home,
    source: &Path,
    base: &ModelRecord,
    name: &str,
) -> Result<AdapterRecord> {
    check_name("adapter name", name)?;
    registry.verify_model(base)?;
    let base_file = Gguf::open(&base.path)?;
    home.create(&home.adapters())?;
    let draft = Draft(
        home.adapters()
            .join(format!("{name}.{}.import", std::process::id())),
    );
    let config = if source.is_dir() {
        lora::convert_peft(source, &base_file, &draft.0)?;
        peft_config(source)?
    } else {
        // Checked before it is copied: what is refused leaves nothing behind.
        lora::validate(&Gguf::open(source)?, &base_file)?;
        fs_err::copy(source, &draft.0)?;
        fs_err::File::open(&draft.0)?.sync_all()?;
        serde_json::Value::Null
    };
    let summary = lora::validate(&Gguf::open(&draft.0)?, &base_file)?;
    let sha256 = ContentHash::of_file(&draft.0)?;
    let (findings, training) = {
        let file = Gguf::open(&draft.0)?;
        (lora::stats(&file, &base_file)?.findings(), training(&file))
    };
    if let Some(existing) = registry
        .adapters()?
        .into_iter()
        .find(|adapter| adapter.name == name)
    {
        if existing.sha256 == sha256
            && existing.base_sha256 == base.sha256
            && existing.path.is_file()
        {
            return Ok(existing);
        }
        if existing.path.is_file() {
            return Err(Error::InvalidArgument {
                what: "adapter name",
                value: name.to_owned(),
                expected: format!(
                    "a free name: this one is taken by other content ({}); choose another with --name",
                    existing.sha256.short()
                ),
            });
        }
    }
    let path = home
        .adapters()
        .join(format!("{name}-{}.gguf", sha256.short()));
    fs_err::rename(&draft.0, &path)?;
    let mut provenance = json!({
        "source": std::path::absolute(source)?,
        "base": base.name,
        "peft_config": config,
        "lora": summary,
    });
    if let Some(training) = training {
        provenance["training"] = training;
    }
    let mut record = AdapterRecord::imported(name, sha256, base.sha256, path, provenance);
    if !findings.is_empty() {
        record.set_quarantine_reasons(&findings);
    }
    registry.add_adapter(&record)?;
    // What failed does not get a second chance by another name.
    if let Some(report) = registry.last_report(sha256, base.sha256)?
        && report.is_fail()
    {
        registry.fail(name, Strength::flat(report.scale))?;
    }
    registry.adapter(name)
}

/// What an adapter that was trained here says of how.
fn training(adapter: &Gguf) -> Option<serde_json::Value> {
    let said = adapter.metadata().str(lora::TRAINING_KEY)?;
    serde_json::from_str(said).ok()
}

/// A file that is removed again unless it was renamed into its place.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Already renamed, or never written: both are fine.
        let _ = fs_err::remove_file(&self.0);
    }
}

/// PEFT's configuration, kept as provenance. `lora::convert_peft` has read and bounded it already.
fn peft_config(folder: &Path) -> Result<serde_json::Value> {
    let path = folder.join("adapter_config.json");
    let text = fs_err::read_to_string(&path)?;
    serde_json::from_str(&text).map_err(|error| {
        Error::Format(QuantError::Invalid {
            path,
            reason: error.to_string(),
        })
    })
}
