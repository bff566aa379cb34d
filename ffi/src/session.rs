//! A session's handle.

use std::sync::Arc;

use unforget::Result;
use unforget::engine::{AdapterStack, Session, SessionOptions};

use crate::adapter::uf_adapter;
use crate::boundary::call;
use crate::exclusive::Exclusive;
use crate::handle::{borrow, free, give, optional};
use crate::model::uf_model;
use crate::opened::Opened;
use crate::out::Out;
use crate::session_options::uf_session_options;
use crate::status::uf_status;
use crate::text;
use crate::timeline::Timeline;

/// Most adapters of a stack: each costs time for every token, and a handful is many.
const MAX_ADAPTERS: usize = 64;

/// A session: one timeline of tokens over a model, which reuses what it has computed before. Opaque. Calls from several
/// threads wait for each other; for work at the same time open a session for each thread.
pub struct uf_session {
    pub(crate) opened: Arc<Opened>,
    pub(crate) timeline: Exclusive<Timeline>,
}

/// Opens a session over a model.
///
/// model: from uf_model_open. The session keeps it alive: it may be freed before the session.
/// options: from uf_session_options_new, or null for the defaults; only borrowed.
/// out: gets the session. The caller owns it and releases it with uf_session_free.
/// Threads: any.
///
/// UF_USAGE: `model` or `out` is null. UF_NOT_FOUND: the model embeds text and cannot answer. UF_FAILED: the memory
/// cannot be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_open(
    model: *const uf_model,
    options: *const uf_session_options,
    out: *mut *mut uf_session,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (model, options, out) = unsafe {
            (
                borrow("model", model)?,
                optional(options),
                Out::new("out", out)?,
            )
        };
        let options = options.map_or_else(SessionOptions::default, |it| it.options.clone());
        let session = Session::new(&model.opened.model, &options)?;
        out.write(give(uf_session {
            opened: Arc::clone(&model.opened),
            timeline: Exclusive::new(Timeline::new(session)),
        }));
        Ok(())
    })
}

/// Sets the stack of adapters that a session computes with, in place of those before. An answer in the making ends. What
/// was computed is kept only if the new stack computes the same.
///
/// adapters: `n` adapters, each loaded for the session's model, read only during the call; they may be freed afterwards.
/// Null with `n` 0 is the base alone.
/// scales: a scale for each, from -100 to 100; 1 is as trained, 0 has no effect.
///
/// UF_USAGE: a pointer is null, there are more than 64 adapters, one is there twice, or a scale is out of range.
/// UF_FAILED: an adapter was loaded for another model. Then the stack is as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_set_adapters(
    session: *mut uf_session,
    adapters: *const *const uf_adapter,
    scales: *const f32,
    n: usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (session, stack) =
            unsafe { (borrow("session", session)?, stack(adapters, scales, n)?) };
        session
            .timeline
            .with("session", |timeline| timeline.session().set_adapters(stack))
    })
}

/// Reads a stack of adapters.
///
/// # Safety
/// The header's rules.
unsafe fn stack(
    adapters: *const *const uf_adapter,
    scales: *const f32,
    n: usize,
) -> Result<AdapterStack> {
    let mut stack = AdapterStack::base();
    if n == 0 {
        return Ok(stack);
    }
    if n > MAX_ADAPTERS {
        let expected = format!("at most {MAX_ADAPTERS}");
        return Err(text::invalid("n", n.to_string(), expected));
    }
    if adapters.is_null() {
        return Err(text::null("adapters"));
    }
    if scales.is_null() {
        return Err(text::null("scales"));
    }
    // SAFETY: neither is null, and the caller promises `n` of both.
    let (adapters, scales) = unsafe {
        (
            std::slice::from_raw_parts(adapters, n),
            std::slice::from_raw_parts(scales, n),
        )
    };
    for (&adapter, &scale) in adapters.iter().zip(scales) {
        // SAFETY: the header's rules.
        let adapter = unsafe { borrow("adapter", adapter) }?;
        stack.push(adapter.adapter.clone(), scale)?;
    }
    Ok(stack)
}

/// Forgets all that a session has computed. An answer in the making ends. Its memory stays taken until uf_session_free.
///
/// UF_USAGE: `session` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_forget(session: *mut uf_session) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let session = unsafe { borrow("session", session) }?;
        session.timeline.with("session", |timeline| {
            timeline.session().forget();
            Ok(())
        })
    })
}

/// Releases a session, and the answer that it may be making. Null is allowed and does nothing.
///
/// Threads: any, once no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_free(session: *mut uf_session) {
    // SAFETY: the header's rules.
    unsafe { free(session) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_a_session() {
        const fn shareable<T: Send + Sync>() {}
        shareable::<uf_session>();
    }
}
