//! An answer, piece by piece through a callback.

use std::ffi::{c_char, c_int, c_void};

use unforget::engine::{
    ChatMessage, FinishReason, GenerateOptions, Model, Session, SessionOptions, Token,
};
use unforget::{Error, Result};

use crate::boundary::call;
use crate::model::uf_model;
use crate::status::uf_status;
use crate::text;

/// Gets a piece of an answer as soon as it is certain: `len` bytes of whole UTF-8 characters, at least one, without
/// a NUL at the end. `text` is valid only during the call. `user_data` is what uf_generate was given.
///
/// Return 0 to go on, anything else to stop. It runs on the thread that called uf_generate, and must return to it: no
/// longjmp and no C++ exception may leave it. It may call any function of this library except uf_model_free of the model
/// that is answering.
pub type uf_text_callback =
    Option<unsafe extern "C" fn(text: *const c_char, len: usize, user_data: *mut c_void) -> c_int>;

/// Answers a prompt, choosing the likeliest token each time, so that the same prompt gets the same answer. Returns when
/// the answer is complete.
///
/// model: from uf_model_open; only borrowed.
/// prompt: the user's message, UTF-8, `prompt_len` bytes (at most 16 MiB), read only during the call. It is put into the
/// model's own chat template; a model without one continues the text.
/// max_tokens: most tokens of the answer; 0 computes the prompt and answers nothing.
/// callback: gets the answer; must not be null.
/// user_data: handed to the callback; may be null.
///
/// UF_USAGE: `model`, `prompt` or `callback` is null, or the prompt is empty, too long or not UTF-8.
/// UF_INTERRUPTED: the callback stopped the answer. UF_NOT_FOUND: the model embeds text and cannot answer.
/// UF_FAILED: the prompt does not fit into the model's context, or the engine failed.
///
/// # Safety
/// `model` is null or came from uf_model_open and is not released before this returns; `prompt` is null or valid for
/// reading `prompt_len` bytes that nobody changes meanwhile; `callback` keeps the rules of uf_text_callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate(
    model: *const uf_model,
    prompt: *const c_char,
    prompt_len: usize,
    max_tokens: u32,
    callback: uf_text_callback,
    user_data: *mut c_void,
) -> uf_status {
    call(|| {
        // SAFETY: null, or a model that the caller keeps alive during this call; handles are never changed.
        let model = unsafe { model.as_ref() }.ok_or_else(|| text::null("model"))?;
        // SAFETY: the caller promises `prompt_len` readable bytes, for the time of this call.
        let prompt = unsafe { text::prompt(prompt, prompt_len) }?;
        let callback = callback.ok_or_else(|| text::null("callback"))?;
        answer(&model.model, prompt, max_tokens, |piece| {
            // SAFETY: the caller promises a function with this signature that returns; the piece outlives the call.
            unsafe { callback(piece.as_ptr().cast(), piece.len(), user_data) == 0 }
        })
    })
}

/// Answers in a session of its own, so that calls from several threads do not wait for each other.
fn answer(
    model: &Model,
    prompt: &str,
    max_tokens: u32,
    on_text: impl FnMut(&str) -> bool,
) -> Result<()> {
    let tokens = prompt_tokens(model, prompt)?;
    let mut session = Session::new(model, &session_options(model, tokens.len(), max_tokens))?;
    let options = GenerateOptions {
        max_tokens: max_tokens as usize,
        ..GenerateOptions::default()
    };
    let outcome = session.generate(&tokens, &options)?.run(on_text)?;
    match outcome.finish_reason {
        FinishReason::Cancelled => Err(Error::Interrupted),
        FinishReason::Stop | FinishReason::Length => Ok(()),
    }
}

fn prompt_tokens(model: &Model, prompt: &str) -> Result<Vec<Token>> {
    match model.chat_template() {
        Ok(template) => model.tokenize_prompt(&template.render(&[ChatMessage::user(prompt)])?),
        Err(Error::Template(_)) => model.tokenize(prompt),
        Err(error) => Err(error),
    }
}

/// Memory for this prompt and its answer, and no more. A context as long as the model was trained with would take
/// gigabytes for some.
fn session_options(model: &Model, prompt_tokens: usize, max_tokens: u32) -> SessionOptions {
    // One token is always left to answer with, so that a prompt that fills the context is told from one that fits.
    let wanted = prompt_tokens.saturating_add(max_tokens.max(1) as usize);
    let n_ctx = wanted.min(model.n_ctx_train());
    SessionOptions {
        n_ctx: u32::try_from(n_ctx).ok(),
        ..SessionOptions::default()
    }
}
