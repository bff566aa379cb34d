//! A LoRA adapter in memory: loaded while contexts live, unloaded on drop.

use std::ffi::CString;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use llama_cpp_sys_2 as sys;

use super::log;
use super::model::Model;
use crate::error::{Error, Result};

/// An adapter's tensors, next to the model that they fit.
///
/// A [`super::Context`] holds an `Arc` of each adapter in its set, so the memory is freed only when no
/// context can still read it.
#[derive(Debug)]
pub struct LoraAdapter {
    pointer: NonNull<sys::llama_adapter_lora>,
    model: Arc<Model>,
}

// SAFETY: llama.cpp never writes to an adapter after loading; only its creation and release touch the model's
// list of adapters, and both hold that model's lock.
unsafe impl Send for LoraAdapter {}
// SAFETY: as above: all access after loading is reading.
unsafe impl Sync for LoraAdapter {}

impl LoraAdapter {
    /// Loads a GGUF LoRA file. llama.cpp checks architecture and shapes only; whether the adapter was made for
    /// this base is for the caller to know.
    ///
    /// # Errors
    /// [`Error::AdapterLoad`] with the engine's reason.
    pub fn load(model: &Arc<Model>, path: &Path) -> Result<Self> {
        let fail = |reason: String| Error::AdapterLoad {
            path: path.to_owned(),
            reason,
        };
        let c_path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| fail("the path contains a NUL byte".to_owned()))?;
        let (pointer, reason) = log::capture(|| {
            let _list = model.lock_adapters();
            // SAFETY: the model is alive, its list of adapters is locked, and the path is NUL-terminated.
            unsafe { sys::llama_adapter_lora_init(model.as_ptr(), c_path.as_ptr()) }
        });
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self {
                pointer,
                model: Arc::clone(model),
            }),
            None => Err(fail(reason)),
        }
    }

    /// Whether this adapter was loaded for `model`.
    #[must_use]
    pub fn fits(&self, model: &Arc<Model>) -> bool {
        Arc::ptr_eq(&self.model, model)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::llama_adapter_lora {
        self.pointer.as_ptr()
    }
}

impl Drop for LoraAdapter {
    fn drop(&mut self) {
        let _list = self.model.lock_adapters();
        // SAFETY: made by `llama_adapter_lora_init`, freed once; every context that uses it holds an `Arc` of
        // it, so none is left; the model's list of adapters is locked.
        unsafe { sys::llama_adapter_lora_free(self.pointer.as_ptr()) };
    }
}
