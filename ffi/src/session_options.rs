//! Sizes of a session: a builder.

use unforget::engine::SessionOptions;

use crate::boundary::call;
use crate::handle::{edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// Most threads: more than any machine has cores.
const MAX_THREADS: u32 = 4096;

/// Sizes of a session. Opaque; used by one thread at a time.
pub struct uf_session_options {
    pub(crate) options: SessionOptions,
}

/// Makes options with the defaults.
///
/// out: gets them. The caller owns them and releases them with uf_session_options_free; what was opened with them does
/// not need them any more.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_options_new(out: *mut *mut uf_session_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_session_options {
            options: SessionOptions::default(),
        }));
        Ok(())
    })
}

/// Sets how many tokens fit, prompt and answer together. 0, the default: 4,096, or what the model was trained with if
/// that is less. More than it was trained with is possible and seldom good. Memory for all of them is taken when the
/// session is opened.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_options_set_n_ctx(
    options: *mut uf_session_options,
    n_ctx: u32,
) -> uf_status {
    let change = |builder: &mut uf_session_options| {
        builder.options.n_ctx = Some(n_ctx);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets how many tokens of a prompt go to the engine in one call (`n_batch`, 2,048 by default) and are computed at once
/// (`n_ubatch`, 512 by default). 0 is the default.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_options_set_batch(
    options: *mut uf_session_options,
    n_batch: u32,
    n_ubatch: u32,
) -> uf_status {
    let change = |builder: &mut uf_session_options| {
        builder.options.n_batch = Some(n_batch);
        builder.options.n_ubatch = Some(n_ubatch);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets how many threads compute. 0, the default: one a core.
///
/// UF_USAGE: `options` is null, or there are more than 4,096.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_options_set_n_threads(
    options: *mut uf_session_options,
    n_threads: u32,
) -> uf_status {
    let change = |builder: &mut uf_session_options| {
        builder.options.n_threads = Some(checked_threads(n_threads)?);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// A number of threads that can be had.
pub(crate) fn checked_threads(n_threads: u32) -> unforget::Result<u32> {
    if n_threads > MAX_THREADS {
        let expected = format!("at most {MAX_THREADS}");
        return Err(text::unknown("n_threads", n_threads, &expected));
    }
    Ok(n_threads)
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_options_free(options: *mut uf_session_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
