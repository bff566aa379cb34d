//! An embedder's handle: text to vectors.

use std::ffi::c_char;
use std::sync::Arc;

use unforget::Result;
use unforget::engine::{CancelToken, Embedder, SessionOptions};
use unforget::rag::{Embed as _, EngineEmbedder};

use crate::boundary::call;
use crate::cancel::uf_cancel;
use crate::exclusive::Exclusive;
use crate::handle::{borrow, free, give, optional};
use crate::model::uf_model;
use crate::out::Out;
use crate::session_options::uf_session_options;
use crate::status::uf_status;
use crate::text;

/// Most texts that are embedded in one call.
const MAX_TEXTS: usize = 1 << 20;

/// Turns text into vectors of length 1, whose dot products say how near texts are in meaning. Opaque. Calls from several
/// threads wait for each other.
pub struct uf_embedder {
    pub(crate) shared: Arc<SharedEmbedder>,
}

/// An embedder as collections share it.
pub(crate) struct SharedEmbedder {
    dimension: usize,
    pub(crate) engine: Exclusive<EngineEmbedder>,
    /// Keeps the file of a model that was opened by descriptor.
    _opened: Arc<crate::opened::Opened>,
}

/// Opens an embedder over a model.
///
/// model: from uf_model_open, one that embeds text. The embedder keeps it alive: it may be freed before the embedder.
/// options: for the number of threads; null for the defaults; only borrowed.
/// cancel: stops whatever the embedder is doing; null for none. The embedder keeps it alive.
/// out: gets the embedder. The caller owns it and releases it with uf_embedder_free.
/// Threads: any.
///
/// UF_USAGE: `model` or `out` is null. UF_NOT_FOUND: the model generates text instead. UF_FAILED: the memory cannot be
/// had, or the model's file cannot be read any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_embedder_open(
    model: *const uf_model,
    options: *const uf_session_options,
    cancel: *const uf_cancel,
    out: *mut *mut uf_embedder,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (model, options, cancel, out) = unsafe {
            (
                borrow("model", model)?,
                optional(options),
                optional(cancel),
                Out::new("out", out)?,
            )
        };
        let options = options.map_or_else(SessionOptions::default, |it| it.options.clone());
        let cancel = cancel.map_or_else(CancelToken::default, |cancel| cancel.token.clone());
        let embedder = Embedder::new(&model.opened.model, &options)?;
        let dimension = embedder.dimension();
        let engine = Exclusive::new(EngineEmbedder::new(embedder, cancel)?);
        out.write(give(uf_embedder {
            shared: Arc::new(SharedEmbedder {
                dimension,
                engine,
                _opened: Arc::clone(&model.opened),
            }),
        }));
        Ok(())
    })
}

/// Length of the vectors.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_embedder_dimension(
    embedder: *const uf_embedder,
    out: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (embedder, out) = unsafe { (borrow("embedder", embedder)?, Out::new("out", out)?) };
        out.write(embedder.shared.dimension);
        Ok(())
    })
}

/// Embeds texts.
///
/// texts, text_lens: `n` texts, UTF-8, with their lengths in bytes (each at least 1 and at most 16 MiB), read only during
/// the call. What is longer than the model takes is cut.
/// vectors: gets `n` vectors, one after the other.
/// n_floats: how many numbers `vectors` has room for; exactly `n` times uf_embedder_dimension.
/// Threads: calls on one embedder wait for each other.
///
/// UF_USAGE: a pointer is null, there are no texts or more than 1,048,576, one is empty, too long or not UTF-8, or
/// `n_floats` is another number. UF_INTERRUPTED: the embedder's switch was raised. UF_FAILED: the engine failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_embedder_embed(
    embedder: *const uf_embedder,
    texts: *const *const c_char,
    text_lens: *const usize,
    n: usize,
    vectors: *mut f32,
    n_floats: usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (embedder, texts, vectors) = unsafe {
            (
                borrow("embedder", embedder)?,
                read(texts, text_lens, n)?,
                Out::new("vectors", vectors)?,
            )
        };
        let shared = &embedder.shared;
        if n.checked_mul(shared.dimension) != Some(n_floats) {
            let expected = format!("{n} times {}", shared.dimension);
            return Err(text::invalid("n_floats", n_floats.to_string(), expected));
        }
        let made = shared
            .engine
            .with("embedder", |engine| engine.embed(&texts))?
            .concat();
        if made.len() != n_floats {
            let message = format!("{} numbers instead of {n_floats}", made.len());
            return Err(unforget::Error::Engine(message));
        }
        // SAFETY: the caller promises room for `n_floats` numbers, which is how many there are.
        unsafe { vectors.write_all(&made) };
        Ok(())
    })
}

/// Reads the texts.
///
/// # Safety
/// The header's rules.
unsafe fn read<'a>(
    texts: *const *const c_char,
    text_lens: *const usize,
    n: usize,
) -> Result<Vec<&'a str>> {
    if texts.is_null() {
        return Err(text::null("texts"));
    }
    if text_lens.is_null() {
        return Err(text::null("text_lens"));
    }
    if n == 0 || n > MAX_TEXTS {
        let expected = format!("1 to {MAX_TEXTS}");
        return Err(text::invalid("n", n.to_string(), expected));
    }
    // SAFETY: neither is null, and the caller promises `n` of both.
    let (texts, lens) = unsafe {
        (
            std::slice::from_raw_parts(texts, n),
            std::slice::from_raw_parts(text_lens, n),
        )
    };
    texts
        .iter()
        .zip(lens)
        // SAFETY: the header's rules, for each text.
        .map(|(&text, &len)| unsafe { text::long("text", text, len) })
        .collect()
}

/// Releases an embedder. Null is allowed and does nothing. Collections that use it go on using it.
///
/// Threads: any, once no other call uses this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_embedder_free(embedder: *mut uf_embedder) {
    // SAFETY: the header's rules.
    unsafe { free(embedder) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_an_embedder() {
        const fn shareable<T: Send + Sync>() {}
        shareable::<uf_embedder>();
    }
}
