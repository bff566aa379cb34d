//! What kind of model a fetched file is, by its own word.

use std::path::Path;

use unforget_quant::gguf::Gguf;

use crate::Result;
use crate::engine::is_encoder;
use crate::registry::catalog::ModelKind;
use crate::registry::store::ModelRecord;

/// The kind and the architecture of the GGUF at `path`.
///
/// # Errors
/// [`crate::Error::Format`] if the file is not sound.
pub(super) fn describe(path: &Path) -> Result<(ModelKind, Option<String>)> {
    let architecture = Gguf::open(path)?.architecture().map(str::to_owned);
    let kind = match &architecture {
        Some(name) if is_encoder(name) => ModelKind::Embedder,
        _ => ModelKind::Base,
    };
    Ok((kind, architecture))
}

/// Completes the record of a fetched model. Its bytes are what its source has, so a file that this version cannot read
/// is kept: the error comes when it is opened.
pub(super) fn complete(model: ModelRecord) -> ModelRecord {
    match describe(&model.path) {
        Ok((kind, architecture)) => ModelRecord {
            kind,
            architecture,
            ..model
        },
        Err(error) => {
            tracing::warn!(model = model.name, %error, "fetched, but it cannot be read");
            model
        }
    }
}
