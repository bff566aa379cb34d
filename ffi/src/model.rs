//! A model's handle.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use unforget::engine::{Model, ModelOptions};
use unforget::{Error, Result};

use crate::boundary::call;
use crate::handle::{borrow, free, give, optional};
use crate::model_options::uf_model_options;
use crate::opened::Opened;
use crate::out::{Out, TextOut};
use crate::status::uf_status;
use crate::{descriptor, text};

/// For uf_model_number: length of the context that the model was trained with, in tokens.
pub const UF_MODEL_N_CTX_TRAIN: u32 = 0;
/// For uf_model_number: tokens of the vocabulary.
pub const UF_MODEL_N_VOCAB: u32 = 1;
/// For uf_model_number: parameters.
pub const UF_MODEL_N_PARAMS: u32 = 2;
/// For uf_model_number: bytes of all tensors.
pub const UF_MODEL_SIZE: u32 = 3;
/// For uf_model_number: 1 if the model embeds text, 0 if it generates text.
pub const UF_MODEL_IS_EMBEDDER: u32 = 4;

/// A model: one GGUF file, checked and mapped. Opaque. Any number of threads may use it at once.
pub struct uf_model {
    pub(crate) opened: Arc<Opened>,
}

/// Opens a model. The file is checked, mapped read-only and never changed; it must stay as it is until the model and all
/// that was opened on it are freed.
///
/// path: name of a GGUF file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
/// options: from uf_model_options_new, or null for the defaults; only borrowed.
/// out: gets the model. The caller owns it and releases it with uf_model_free.
/// Threads: any.
///
/// UF_USAGE: `path` or `out` is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
/// UF_NOT_FOUND: there is no such file, or it is of another format or kind, or layers are wanted on a GPU and there is
/// none. UF_FAILED: it is damaged, or cannot be loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_open(
    path: *const c_char,
    path_len: usize,
    options: *const uf_model_options,
    out: *mut *mut uf_model,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (out, path, options) = unsafe {
            (
                Out::new("out", out)?,
                text::path(path, path_len)?,
                optional(options),
            )
        };
        let model = Model::open(path, model_options(options))?;
        out.write(give(uf_model {
            opened: Arc::new(Opened::new(model, None)),
        }));
        Ok(())
    })
}

/// Opens a model by file descriptor. The descriptor is copied: the caller keeps it, and may close it at once. The file
/// needs no name any more, and is read from its beginning.
///
/// fd: open for reading, of a regular file.
/// The rest is as in uf_model_open. UF_USAGE: also, `fd` is not such a descriptor, or the system has none (Windows).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_open_fd(
    fd: c_int,
    options: *const uf_model_options,
    out: *mut *mut uf_model,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (out, options) = unsafe { (Out::new("out", out)?, optional(options)) };
        let (file, path) = descriptor::file(fd)?;
        let mut options = model_options(options);
        options.name.get_or_insert_with(|| format!("fd {fd}"));
        let model = Model::open(&path, options)?;
        out.write(give(uf_model {
            opened: Arc::new(Opened::new(model, Some(file))),
        }));
        Ok(())
    })
}

fn model_options(options: Option<&uf_model_options>) -> ModelOptions {
    options.map_or_else(ModelOptions::default, |options| options.options.clone())
}

/// Releases a model. Null is allowed and does nothing. Sessions, adapters and all else that was opened on it stay usable;
/// the memory is given back with the last of them.
///
/// Threads: any, once no other call uses this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_free(model: *mut uf_model) {
    // SAFETY: the header's rules.
    unsafe { free(model) }
}

/// The model's name: that of the options, or else the file's without its ending.
///
/// text, text_len: get the name, which belongs to the model and lives as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_name(
    model: *const uf_model,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(model, text, text_len, |opened| Ok(opened.model.name())) }
}

/// The model's architecture, such as "llama".
///
/// As uf_model_name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_architecture(
    model: *const uf_model,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        lend(model, text, text_len, |opened| {
            Ok(opened.model.architecture())
        })
    }
}

/// sha256 of the model's file, 64 hexadecimal digits: what the model is, whatever its name. The first call reads the
/// whole file.
///
/// As uf_model_name. UF_FAILED: the file cannot be read any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_sha256(
    model: *const uf_model,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(model, text, text_len, Opened::sha256) }
}

/// Lends a text of the model.
///
/// # Safety
/// The header's rules.
unsafe fn lend(
    model: *const uf_model,
    text: *mut *const c_char,
    text_len: *mut usize,
    get: impl FnOnce(&Opened) -> Result<&str>,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps the header's rules.
        let (model, out) = unsafe { (borrow("model", model)?, TextOut::new(text, text_len)?) };
        out.write(get(&model.opened)?);
        Ok(())
    })
}

/// A number that describes the model.
///
/// which: one of UF_MODEL_.
/// out: gets the number.
/// Threads: any.
/// UF_USAGE: a pointer is null, or `which` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_number(
    model: *const uf_model,
    which: u32,
    out: *mut u64,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (model, out) = unsafe { (borrow("model", model)?, Out::new("out", out)?) };
        out.write(number(&model.opened.model, which)?);
        Ok(())
    })
}

fn number(model: &Model, which: u32) -> Result<u64, Error> {
    Ok(match which {
        UF_MODEL_N_CTX_TRAIN => model.n_ctx_train() as u64,
        UF_MODEL_N_VOCAB => model.n_vocab() as u64,
        UF_MODEL_N_PARAMS => model.n_params(),
        UF_MODEL_SIZE => model.size(),
        UF_MODEL_IS_EMBEDDER => u64::from(model.is_encoder()),
        _ => return Err(text::unknown("which", which, "one of UF_MODEL_")),
    })
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
