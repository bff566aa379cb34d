//! Text to tokens and back.

use std::ffi::c_char;

use unforget::Result;
use unforget::engine::{Model, Token};

use crate::boundary::call;
use crate::handle::borrow;
use crate::model::uf_model;
use crate::out::ArrayOut;
use crate::status::uf_status;
use crate::text;

/// For uf_model_tokenize: plain text, without any tokens around it: what goes on after other text.
pub const UF_TOKENIZE_TEXT: u32 = 0;
/// For uf_model_tokenize: plain text with the tokens that the model wants around it.
pub const UF_TOKENIZE_DOCUMENT: u32 = 1;
/// For uf_model_tokenize: a rendered prompt: control tokens that are written out in it count as such. Do not use it on
/// text from others.
pub const UF_TOKENIZE_PROMPT: u32 = 2;

/// Most tokens that are taken at once: far more than any context holds.
const MAX_TOKENS: usize = 16 * 1024 * 1024;

/// Splits a text into tokens.
///
/// string: UTF-8, `string_len` bytes (at most 16 MiB), read only during the call.
/// kind: one of UF_TOKENIZE_.
/// tokens: gets the tokens, if there are at most `capacity`; null to learn their number alone. A text has at most as
/// many tokens as bytes, and four around it.
/// n_tokens: gets their number.
/// Threads: any.
///
/// UF_USAGE: `model`, `string` or `n_tokens` is null, the text is empty, too long or not UTF-8, `kind` is unknown, or
/// `capacity` is too small (the message says what is needed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_tokenize(
    model: *const uf_model,
    string: *const c_char,
    string_len: usize,
    kind: u32,
    tokens: *mut i32,
    capacity: usize,
    n_tokens: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (model, string, out) = unsafe {
            (
                borrow("model", model)?,
                text::long("string", string, string_len)?,
                ArrayOut::new(tokens, capacity, n_tokens)?,
            )
        };
        let model = &model.opened.model;
        let made = match kind {
            UF_TOKENIZE_TEXT => model.tokenize_text(string),
            UF_TOKENIZE_DOCUMENT => model.tokenize(string),
            UF_TOKENIZE_PROMPT => model.tokenize_prompt(string),
            _ => return Err(text::unknown("kind", kind, "one of UF_TOKENIZE_")),
        }?;
        out.write(&made.iter().map(|token| token.0).collect::<Vec<_>>())
    })
}

/// The text of tokens, with U+FFFD where they end inside a character. Control tokens have none.
///
/// tokens: `n_tokens` numbers of the model's vocabulary, read only during the call.
/// string: gets the text, if it has at most `capacity` bytes; null to learn its length alone. No NUL is added.
/// string_len: gets its length.
/// Threads: any.
///
/// UF_USAGE: `model`, `tokens` or `string_len` is null, there are no tokens or more than 16,777,216, one is not of the
/// vocabulary, or `capacity` is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_detokenize(
    model: *const uf_model,
    tokens: *const i32,
    n_tokens: usize,
    string: *mut c_char,
    capacity: usize,
    string_len: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (model, out) = unsafe {
            (
                borrow("model", model)?,
                ArrayOut::new(string.cast::<u8>(), capacity, string_len)?,
            )
        };
        // SAFETY: the header's rules.
        let tokens = unsafe { read(&model.opened.model, tokens, n_tokens) }?;
        out.write(model.opened.model.detokenize(&tokens)?.as_bytes())
    })
}

/// Tokens of `model`, at least one.
///
/// # Safety
/// If `pointer` is not null and `n` is not absurd, `pointer` is valid for reading `n` numbers.
pub(crate) unsafe fn read(model: &Model, pointer: *const i32, n: usize) -> Result<Vec<Token>> {
    if pointer.is_null() {
        return Err(text::null("tokens"));
    }
    if n == 0 || n > MAX_TOKENS {
        let expected = format!("1 to {MAX_TOKENS}");
        return Err(text::invalid("n_tokens", n.to_string(), expected));
    }
    // SAFETY: not null, and the caller promises `n` numbers.
    let numbers = unsafe { std::slice::from_raw_parts(pointer, n) };
    let tokens: Vec<Token> = numbers.iter().copied().map(Token).collect();
    model.check_tokens(&tokens)?;
    Ok(tokens)
}
