//! How to answer: a builder.

use std::ffi::c_char;

use unforget::engine::{GenerateOptions, grammar_of_json_schema};

use crate::boundary::call;
use crate::cancel::uf_cancel;
use crate::handle::{borrow, edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// Most stop strings: each is looked for in every piece of an answer.
const MAX_STOPS: usize = 64;

/// How to answer. Opaque; used by one thread at a time. Values out of range are refused when an answer is started.
pub struct uf_generate_options {
    pub(crate) options: GenerateOptions,
}

/// Makes options with the defaults: at most 512 tokens, always the likeliest one.
///
/// out: gets them. The caller owns them and releases them with uf_generate_options_free; an answer that was started with
/// them does not need them any more.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_new(out: *mut *mut uf_generate_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_generate_options {
            options: GenerateOptions::default(),
        }));
        Ok(())
    })
}

/// Sets the most tokens of an answer; 0 computes the prompt and answers nothing.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_max_tokens(
    options: *mut uf_generate_options,
    max_tokens: u32,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        builder.options.max_tokens = max_tokens as usize;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets what the logits are divided by: 0, the default, always takes the likeliest token; at most 100.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_temperature(
    options: *mut uf_generate_options,
    temperature: f32,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        builder.options.sampling.temperature = temperature;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets among which tokens is chosen, where the temperature is above 0: the `top_k` likeliest (40; 0 for all), the
/// likeliest that together have probability `top_p` (0.95; 1 for all), and those with at least `min_p` times the
/// probability of the likeliest (0.05; 0 for all).
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_choice(
    options: *mut uf_generate_options,
    top_k: u32,
    top_p: f32,
    min_p: f32,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        let sampling = &mut builder.options.sampling;
        (sampling.top_k, sampling.top_p, sampling.min_p) = (top_k, top_p, min_p);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets what tokens of the last `last_n` (64) cost: their logits are divided by `repeat` (1 is off), and lose `frequency`
/// for each occurrence and `presence` once (0 is off).
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_penalties(
    options: *mut uf_generate_options,
    repeat: f32,
    frequency: f32,
    presence: f32,
    last_n: u32,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        let sampling = &mut builder.options.sampling;
        sampling.repeat_penalty = repeat;
        sampling.frequency_penalty = frequency;
        sampling.presence_penalty = presence;
        sampling.repeat_last_n = last_n;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets the seed of the random choice (0): the same seed gives the same text.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_seed(
    options: *mut uf_generate_options,
    seed: u32,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        builder.options.sampling.seed = seed;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets a grammar that the answer must follow, in llama.cpp's GBNF.
///
/// grammar: UTF-8, `grammar_len` bytes (at most 16 MiB), copied.
/// UF_USAGE: a pointer is null, or the text is empty, too long or not UTF-8; also from the start of an answer, if the
/// grammar does not parse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_grammar(
    options: *mut uf_generate_options,
    grammar: *const c_char,
    grammar_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        // SAFETY: the header's rules.
        let grammar = unsafe { text::long("grammar", grammar, grammar_len) }?;
        builder.options.sampling.grammar = Some(grammar.to_owned());
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets a JSON schema that the answer must follow, in place of a grammar.
///
/// schema: UTF-8, `schema_len` bytes (at most 16 MiB), read only during the call.
/// UF_USAGE: a pointer is null, the text is empty, too long or not UTF-8, or it is no schema that can be followed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_json_schema(
    options: *mut uf_generate_options,
    schema: *const c_char,
    schema_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        // SAFETY: the header's rules.
        let schema = unsafe { text::long("schema", schema, schema_len) }?;
        builder.options.sampling.grammar = Some(grammar_of_json_schema(schema)?);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Adds a text that ends the answer and is not part of it.
///
/// stop: UTF-8, `stop_len` bytes (at most 32,768), copied.
/// UF_USAGE: a pointer is null, the text is empty, too long or not UTF-8, or there are 64 already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_add_stop(
    options: *mut uf_generate_options,
    stop: *const c_char,
    stop_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        // SAFETY: the header's rules.
        let stop = unsafe { text::short("stop", stop, stop_len) }?;
        let stops = &mut builder.options.stop;
        if stops.len() >= MAX_STOPS {
            let expected = format!("at most {MAX_STOPS} stop strings");
            return Err(text::invalid("stop", stop.to_owned(), expected));
        }
        stops.push(stop.to_owned());
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets the switch that stops the answer from another thread.
///
/// cancel: from uf_cancel_new. Answers keep it alive: it may be freed before them.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_set_cancel(
    options: *mut uf_generate_options,
    cancel: *const uf_cancel,
) -> uf_status {
    let change = |builder: &mut uf_generate_options| {
        // SAFETY: the header's rules.
        let cancel = unsafe { borrow("cancel", cancel) }?;
        builder.options.cancel = cancel.token.clone();
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_generate_options_free(options: *mut uf_generate_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
