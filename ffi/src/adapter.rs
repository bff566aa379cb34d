//! An adapter's handle.

use std::ffi::{c_char, c_int};
use std::path::Path;
use std::sync::Arc;

use unforget::Result;
use unforget::engine::Adapter;

use crate::boundary::call;
use crate::handle::{borrow, free, give};
use crate::model::uf_model;
use crate::opened::Opened;
use crate::out::{Out, TextOut};
use crate::status::uf_status;
use crate::{descriptor, text};

/// A LoRA adapter, loaded for one model. Opaque. Any number of threads may use it at once.
pub struct uf_adapter {
    pub(crate) adapter: Adapter,
    pub(crate) opened: Arc<Opened>,
    sha256: String,
}

impl uf_adapter {
    fn load(opened: &Arc<Opened>, path: &Path, name: &str) -> Result<Self> {
        let adapter = Adapter::load(&opened.model, path, name)?;
        Ok(Self {
            sha256: adapter.sha256().to_string(),
            adapter,
            opened: Arc::clone(opened),
        })
    }
}

/// Loads an adapter for a model: a GGUF file with a LoRA, such as `unforget adapter import` makes. Architecture, shapes
/// and numbers are checked. Whether it was made for this base only its maker knows, and what it costs nobody before
/// uf_adapter_check.
///
/// model: from uf_model_open. The adapter keeps it alive: it may be freed before the adapter.
/// path: UTF-8, `path_len` bytes (at most 32,768), read only during the call. The file is not needed afterwards.
/// out: gets the adapter. The caller owns it and releases it with uf_adapter_free.
/// Threads: any; loading while sessions compute is fine.
///
/// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
/// UF_NOT_FOUND: there is no such file, or it is no adapter or does not fit the model. UF_FAILED: it is damaged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_open(
    model: *const uf_model,
    path: *const c_char,
    path_len: usize,
    out: *mut *mut uf_adapter,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (model, path, out) = unsafe {
            (
                borrow("model", model)?,
                text::path(path, path_len)?,
                Out::new("out", out)?,
            )
        };
        let stem = path.file_stem().unwrap_or(path.as_os_str());
        let adapter = uf_adapter::load(&model.opened, path, &stem.to_string_lossy())?;
        out.write(give(adapter));
        Ok(())
    })
}

/// Loads an adapter by file descriptor.
///
/// fd: open for reading, of a regular file; only borrowed, and not needed afterwards.
/// The rest is as in uf_adapter_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_open_fd(
    model: *const uf_model,
    fd: c_int,
    out: *mut *mut uf_adapter,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (model, out) = unsafe { (borrow("model", model)?, Out::new("out", out)?) };
        let (_file, path) = descriptor::file(fd)?;
        let adapter = uf_adapter::load(&model.opened, &path, &format!("fd {fd}"))?;
        out.write(give(adapter));
        Ok(())
    })
}

/// sha256 of the adapter's file, 64 hexadecimal digits: what the adapter is, whatever its name.
///
/// text, text_len: get the digits, which belong to the adapter and live as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_sha256(
    adapter: *const uf_adapter,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (adapter, out) =
            unsafe { (borrow("adapter", adapter)?, TextOut::new(text, text_len)?) };
        out.write(&adapter.sha256);
        Ok(())
    })
}

/// The adapter's rank: the largest of its matrices.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_rank(adapter: *const uf_adapter, out: *mut u32) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (adapter, out) = unsafe { (borrow("adapter", adapter)?, Out::new("out", out)?) };
        out.write(adapter.adapter.rank());
        Ok(())
    })
}

/// Releases an adapter. Null is allowed and does nothing. Sessions that use it go on using it; the memory is given back
/// with the last of them.
///
/// Threads: any, once no other call uses this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_free(adapter: *mut uf_adapter) {
    // SAFETY: the header's rules.
    unsafe { free(adapter) }
}
