//! How to answer from documents: a builder.

use std::ffi::c_char;

use unforget::rag::{AnswerStyle, AskOptions, Policy};

use crate::boundary::call;
use crate::generate_options::uf_generate_options;
use crate::handle::{borrow, edit, free, give};
use crate::out::Out;
use crate::search_options::uf_search_options;
use crate::status::uf_status;
use crate::text;

/// For uf_ask_options_set_style: with a sentence of the documents, word for word. The default: a small model makes things
/// up as soon as it is let go.
pub const UF_STYLE_QUOTE: u32 = 0;
/// For uf_ask_options_set_style: in the model's own words.
pub const UF_STYLE_FREE: u32 = 1;

/// Most passages in a prompt: more than any context takes.
const MAX_PASSAGES: u32 = 1000;

/// How to answer from documents. Opaque; used by one thread at a time.
pub struct uf_ask_options {
    pub(crate) options: AskOptions,
}

/// Makes options with the defaults: three passages, quoted, and the collection's own policy.
///
/// out: gets them. The caller owns them and releases them with uf_ask_options_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_new(out: *mut *mut uf_ask_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_ask_options {
            options: AskOptions::default(),
        }));
        Ok(())
    })
}

/// Sets the most passages that the model gets to read.
///
/// UF_USAGE: `options` is null, or the number is 0 or above 1,000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_passages(
    options: *mut uf_ask_options,
    n_passages: u32,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        if n_passages == 0 || n_passages > MAX_PASSAGES {
            let expected = format!("1 to {MAX_PASSAGES}");
            return Err(text::unknown("n_passages", n_passages, &expected));
        }
        builder.options.passages = n_passages as usize;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets in which way to answer: one of UF_STYLE_. With a grammar in the options of generating it is free within that.
///
/// UF_USAGE: `options` is null, or `style` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_style(
    options: *mut uf_ask_options,
    style: u32,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        builder.options.style = match style {
            UF_STYLE_QUOTE => AnswerStyle::Quote,
            UF_STYLE_FREE => AnswerStyle::Free,
            _ => return Err(text::unknown("style", style, "one of UF_STYLE_")),
        };
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets how near to the question, as a cosine, the best passage has to be; where none is, the documents do not answer it.
///
/// UF_USAGE: `options` is null, or the number is not between -1 and 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_threshold(
    options: *mut uf_ask_options,
    threshold: f32,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        if !(-1.0..=1.0).contains(&threshold) {
            return Err(text::invalid("threshold", threshold.to_string(), "-1 to 1"));
        }
        builder.options.threshold = threshold;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets which documents to answer from: the paths, documents, tags and time of options for searching. Their limit and mode
/// have no effect here.
///
/// search: from uf_search_options_new; copied as it is now.
///
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_filter(
    options: *mut uf_ask_options,
    search: *const uf_search_options,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        // SAFETY: the header's rules.
        let search = unsafe { borrow("search", search) }?;
        builder.options.filter = search.options.filter.clone();
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets a policy to follow in place of the collection's own. The file is read now.
///
/// path: name of a TOML file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
///
/// UF_USAGE: `options` or `path` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or the policy is not
/// sound. UF_NOT_FOUND: there is no such file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_policy(
    options: *mut uf_ask_options,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        // SAFETY: the header's rules.
        let path = unsafe { text::path(path, path_len) }?;
        builder.options.policy = Some(Policy::read(path)?);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets how to generate: tokens, sampling, grammar, switch.
///
/// generate: from uf_generate_options_new; copied as it is now.
///
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_set_generate(
    options: *mut uf_ask_options,
    generate: *const uf_generate_options,
) -> uf_status {
    let change = |builder: &mut uf_ask_options| {
        // SAFETY: the header's rules.
        let generate = unsafe { borrow("generate", generate) }?;
        builder.options.generate = generate.options.clone();
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_ask_options_free(options: *mut uf_ask_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
