//! The backend: started once a process, on first use, and never stopped.

use std::sync::OnceLock;

use llama_cpp_2::llama_backend::LlamaBackend;

use super::{cpu, log};
use crate::error::{Error, Result};

/// The process's backend, started on the first call.
pub(super) fn backend() -> Result<&'static LlamaBackend> {
    static BACKEND: OnceLock<std::result::Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            log::install();
            load_plugins();
            let backend = LlamaBackend::init().map_err(|error| error.to_string())?;
            // Before a model is loaded, as it asks for.
            cpu::plug_in();
            Ok(backend)
        })
        .as_ref()
        .map_err(|reason| Error::Engine(reason.clone()))
}

/// Starts the backend, if nothing has yet.
///
/// # Errors
/// [`Error::Engine`] if it cannot be started.
pub fn start() -> Result<()> {
    backend().map(|_| ())
}

/// Backends built as plug-ins are looked for beside the binary first, so that a shipped folder is
/// self-contained, and then where this build left them.
#[cfg(feature = "dynamic-backends")]
fn load_plugins() {
    use llama_cpp_2::llama_backend::{load_backends, load_backends_from_path};

    let beside_the_binary = std::env::current_exe()
        .ok()
        .and_then(|binary| Some(binary.parent()?.to_owned()));
    // llama-cpp-2 asks for a UTF-8 path and panics on any other.
    if let Some(folder) = beside_the_binary.filter(|folder| folder.to_str().is_some()) {
        load_backends_from_path(&folder);
    }
    if llama_cpp_2::list_llama_ggml_backend_devices().is_empty() {
        load_backends();
    }
}

#[cfg(not(feature = "dynamic-backends"))]
fn load_plugins() {}
