//! A model as handles share it: it lives until the last of them is gone.

use std::fs::File;
use std::sync::OnceLock;

use unforget::Result;
use unforget::engine::Model;

/// A model with what it needs to stay readable.
pub(crate) struct Opened {
    pub(crate) model: Model,
    sha256: OnceLock<String>,
    /// The file of a model that was opened by descriptor: its path works as long as this is open.
    _file: Option<File>,
}

impl Opened {
    pub(crate) fn new(model: Model, file: Option<File>) -> Self {
        Self {
            model,
            sha256: OnceLock::new(),
            _file: file,
        }
    }

    /// sha256 of the file in hexadecimal, computed on first use.
    pub(crate) fn sha256(&self) -> Result<&str> {
        if let Some(text) = self.sha256.get() {
            return Ok(text);
        }
        let text = self.model.sha256()?.to_string();
        Ok(self.sha256.get_or_init(|| text))
    }
}
