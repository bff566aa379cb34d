//! A model's handle.

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use unforget::engine::{Model, ModelOptions};

use crate::boundary::call;
use crate::status::uf_status;
use crate::text;

/// A model: one GGUF file, checked and mapped. Opaque. Any number of threads may use it at once.
pub struct uf_model {
    pub(crate) model: Model,
}

/// Opens a model. The file is checked, mapped read-only and never changed; it must stay as it is until uf_model_free.
///
/// path: name of a GGUF file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
/// out: gets the model on UF_OK. The caller owns it and releases it with uf_model_free.
///
/// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
/// UF_NOT_FOUND: there is no such file, or it is of another format or kind. UF_FAILED: it is damaged, or cannot be loaded.
///
/// # Safety
/// `path` is null or valid for reading `path_len` bytes; `out` is null or valid for writing a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_open(
    path: *const c_char,
    path_len: usize,
    out: *mut *mut uf_model,
) -> uf_status {
    call(|| {
        if out.is_null() {
            return Err(text::null("out"));
        }
        // SAFETY: the caller promises `path_len` readable bytes, for the time of this call.
        let path = unsafe { text::path(path, path_len) }?;
        let model = Model::open(path, ModelOptions::default())?;
        let handle = Box::into_raw(Box::new(uf_model { model }));
        // SAFETY: not null, and the caller promises that it can be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Releases a model. Null is allowed and does nothing. No call may be using the model, nor use it later.
///
/// # Safety
/// `model` is null or came from uf_model_open and was not released before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_free(model: *mut uf_model) {
    if model.is_null() {
        return;
    }
    // SAFETY: the caller hands back what `uf_model_open` made with `Box::into_raw`, once.
    let model = unsafe { Box::from_raw(model) };
    // There is no status to report a panic by; what it leaves behind is lost memory, nothing worse.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(model)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_a_model() {
        const fn shareable<T: Send + Sync>() {}
        shareable::<uf_model>();
    }
}
