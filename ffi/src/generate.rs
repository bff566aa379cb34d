//! Answers: started with a prompt, then pulled piece by piece, or pushed through a callback.

use std::ffi::{c_char, c_int, c_void};

use unforget::engine::{GenerateOptions, Model, Token};
use unforget::{Error, Result};

use crate::boundary::call;
use crate::chat::uf_chat;
use crate::generate_options::uf_generate_options;
use crate::handle::{borrow, optional};
use crate::out::TextOut;
use crate::session::uf_session;
use crate::status::uf_status;
use crate::{text, tokens};

/// Gets a piece of an answer as soon as it is certain: `text_len` bytes of whole UTF-8 characters, at least one, without
/// a NUL at the end. `text` is valid only during the call. `user_data` is what the call was given.
///
/// Return 0 to go on, anything else to stop. It runs on the thread that made the call, and must return to it: no longjmp
/// and no C++ exception may leave it. It may use any handle but those that the call was given, and must free none of
/// them.
pub type uf_text_callback = Option<
    unsafe extern "C" fn(text: *const c_char, text_len: usize, user_data: *mut c_void) -> c_int,
>;

/// Begins an answer to the last message of a chat: puts the chat into the model's own template and computes what of it
/// is new. An answer in the making ends. Take the answer with uf_session_next or uf_session_run.
///
/// chat: from uf_chat_new; read only during the call.
/// options: from uf_generate_options_new, or null for the defaults; only borrowed.
/// Threads: calls on one session wait for each other.
///
/// UF_USAGE: `session` or `chat` is null, the chat has no message, or an option is out of range or a grammar does not
/// parse. UF_INTERRUPTED: the options' switch was raised; what was computed by then is kept. UF_FAILED: the chat does not
/// fit into the context, the model has no template or it refuses the chat, or the engine failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_start_chat(
    session: *mut uf_session,
    chat: *const uf_chat,
    options: *const uf_generate_options,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        start(session, options, |model| {
            let chat = borrow("chat", chat)?;
            if chat.messages.is_empty() {
                return Err(text::invalid("chat", String::new(), "at least one message"));
            }
            model.tokenize_chat(&chat.messages)
        })
    }
}

/// Begins an answer that goes on where a text ends, without any template.
///
/// prompt: UTF-8, `prompt_len` bytes (at most 16 MiB), read only during the call.
/// The rest is as in uf_session_start_chat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_start_text(
    session: *mut uf_session,
    prompt: *const c_char,
    prompt_len: usize,
    options: *const uf_generate_options,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        start(session, options, |model| {
            model.tokenize(text::long("prompt", prompt, prompt_len)?)
        })
    }
}

/// Begins an answer that goes on where tokens end.
///
/// prompt: `n_tokens` tokens of the model's vocabulary, as uf_model_tokenize gives them, read only during the call.
/// The rest is as in uf_session_start_chat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_start_tokens(
    session: *mut uf_session,
    prompt: *const i32,
    n_tokens: usize,
    options: *const uf_generate_options,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        start(session, options, |model| {
            tokens::read(model, prompt, n_tokens)
        })
    }
}

/// Begins an answer to what `prompt` makes.
///
/// # Safety
/// The header's rules, for both handles.
unsafe fn start(
    session: *mut uf_session,
    options: *const uf_generate_options,
    prompt: impl FnOnce(&Model) -> Result<Vec<Token>>,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (session, options) = unsafe { (borrow("session", session)?, optional(options)) };
        let prompt = prompt(&session.opened.model)?;
        let options = options.map_or_else(GenerateOptions::default, |it| it.options.clone());
        session
            .timeline
            .with("session", |timeline| timeline.start(&prompt, &options))
    })
}

/// Gets the next piece of the answer that was started.
///
/// text, text_len: get whole UTF-8 characters, which belong to the session and are valid until the next call on it. At
/// the end of the answer, and at every call after it, `text_len` is 0.
/// Threads: calls on one session wait for each other.
///
/// UF_USAGE: a pointer is null, or no answer was started. UF_INTERRUPTED: the options' switch was raised, or the answer
/// was ended early. UF_FAILED: the engine failed, and the answer is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_next(
    session: *mut uf_session,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (session, out) =
            unsafe { (borrow("session", session)?, TextOut::new(text, text_len)?) };
        session.timeline.with("session", |timeline| {
            out.write(timeline.next()?.unwrap_or(""));
            Ok(())
        })
    })
}

/// Hands the rest of the answer that was started to a callback, piece by piece, and returns at its end.
///
/// callback: gets the pieces; must not be null.
/// user_data: handed to the callback; may be null.
/// Threads: calls on one session wait for each other.
///
/// UF_USAGE: `session` or `callback` is null, or no answer was started. UF_INTERRUPTED: the callback ended the answer, or
/// the options' switch was raised. UF_FAILED: the engine failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_run(
    session: *mut uf_session,
    callback: uf_text_callback,
    user_data: *mut c_void,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let session = unsafe { borrow("session", session) }?;
        let callback = callback.ok_or_else(|| text::null("callback"))?;
        session.timeline.with("session", |timeline| {
            while let Some(piece) = timeline.next()? {
                // SAFETY: the caller promises a function with this signature that returns; the piece outlives the call.
                if unsafe { callback(piece.as_ptr().cast(), piece.len(), user_data) } != 0 {
                    timeline.stop();
                    return Err(Error::Interrupted);
                }
            }
            Ok(())
        })
    })
}

/// Ends the answer in the making, between two calls of uf_session_next; without one it does nothing. What was computed is
/// kept. From another thread, or during prefill, use a uf_cancel.
///
/// UF_USAGE: `session` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_stop(session: *mut uf_session) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let session = unsafe { borrow("session", session) }?;
        session.timeline.with("session", |timeline| {
            timeline.stop();
            Ok(())
        })
    })
}
