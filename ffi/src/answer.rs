//! An answer from documents, with its citations.

use std::ffi::c_char;

use unforget::engine::{GenerateOptions, Outcome};
use unforget::rag::{AskOptions, GroundedAnswer, ask};

use crate::boundary::call;
use crate::collection::uf_collection;
use crate::generate_options::uf_generate_options;
use crate::handle::{borrow, free, give, optional};
use crate::out::{Out, TextOut};
use crate::passages::uf_passages;
use crate::session::uf_session;
use crate::status::uf_status;
use crate::{outcome, text};

/// Most passages in a prompt: more than any context takes.
const MAX_PASSAGES: u32 = 1000;

/// An answer from documents. Opaque, never changed: any number of threads may use it at once.
pub struct uf_answer {
    outcome: Outcome,
    grounded: bool,
    citations: uf_passages,
}

impl From<GroundedAnswer> for uf_answer {
    fn from(answer: GroundedAnswer) -> Self {
        Self {
            outcome: answer.outcome,
            grounded: answer.grounded,
            citations: uf_passages::cited(answer.citations),
        }
    }
}

/// Answers a question from a collection, with citations. Where nothing relevant is found the answer says so, and the
/// model is not asked.
///
/// session: computes the answer, with its adapters; an answer that it is making ends.
/// question: UTF-8, `question_len` bytes (at most 16 MiB), read only during the call.
/// n_passages: most passages that the model gets to read; 0 for the default.
/// options: from uf_generate_options_new, or null for the defaults; only borrowed.
/// out: gets the answer. The caller owns it and releases it with uf_answer_free; it needs nothing else any more.
/// Threads: calls on one collection or session wait for each other.
///
/// UF_USAGE: `collection`, `session`, `question` or `out` is null, the question is empty, too long or not UTF-8, there
/// are more than 1,000 passages, or an option is out of range. UF_INTERRUPTED: a switch was raised before the first word
/// of the answer; afterwards the answer is cut short, and its finish reason says so. UF_FAILED: not even one passage fits
/// into the context, or the engine or the database failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_ask(
    collection: *mut uf_collection,
    session: *mut uf_session,
    question: *const c_char,
    question_len: usize,
    n_passages: u32,
    options: *const uf_generate_options,
    out: *mut *mut uf_answer,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all five.
        let (collection, session, question, options, out) = unsafe {
            (
                borrow("collection", collection)?,
                borrow("session", session)?,
                text::long("question", question, question_len)?,
                optional(options),
                Out::new("out", out)?,
            )
        };
        let options = ask_options(n_passages, options)?;
        let answer = collection.with(|collection, embedder| {
            session.timeline.with("session", |timeline| {
                ask(question, collection, embedder, timeline.session(), &options)
            })
        })?;
        out.write(give(uf_answer::from(answer)));
        Ok(())
    })
}

fn ask_options(
    n_passages: u32,
    options: Option<&uf_generate_options>,
) -> unforget::Result<AskOptions> {
    if n_passages > MAX_PASSAGES {
        let expected = format!("at most {MAX_PASSAGES}");
        return Err(text::unknown("n_passages", n_passages, &expected));
    }
    let mut ask = AskOptions {
        generate: options.map_or_else(GenerateOptions::default, |it| it.options.clone()),
        ..AskOptions::default()
    };
    if n_passages > 0 {
        ask.passages = n_passages as usize;
    }
    Ok(ask)
}

/// What an answer says, with [1] and so on where it cites.
///
/// text, text_len: get a text that belongs to the answer and lives as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_text(
    answer: *const uf_answer,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (answer, out) = unsafe { (borrow("answer", answer)?, TextOut::new(text, text_len)?) };
        out.write(&answer.outcome.text);
        Ok(())
    })
}

/// What an answer cites.
///
/// out: gets passages that belong to the answer and live as long as it; do not free them.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_citations(
    answer: *const uf_answer,
    out: *mut *const uf_passages,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(answer, out, |answer| Ok(&raw const answer.citations)) }
}

/// Whether every sentence of an answer is supported by a passage: 1 if so, else 0.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_grounded(answer: *const uf_answer, out: *mut u32) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(answer, out, |answer| Ok(u32::from(answer.grounded))) }
}

/// Why an answer ended: one of UF_FINISH_.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_finish_reason(
    answer: *const uf_answer,
    out: *mut u32,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        read(answer, out, |answer| {
            Ok(outcome::finish_reason(&answer.outcome))
        })
    }
}

/// A count of an answer: one of UF_COUNT_.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or `which` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_count(
    answer: *const uf_answer,
    which: u32,
    out: *mut u64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(answer, out, |answer| outcome::count(&answer.outcome, which)) }
}

/// A timing of an answer, the search included: one of UF_TIMING_.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or `which` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_timing(
    answer: *const uf_answer,
    which: u32,
    out: *mut f64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        read(answer, out, |answer| {
            outcome::timing(&answer.outcome, which)
        })
    }
}

/// Something of an answer.
///
/// # Safety
/// The header's rules.
unsafe fn read<T>(
    answer: *const uf_answer,
    out: *mut T,
    get: impl FnOnce(&uf_answer) -> unforget::Result<T>,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (answer, out) = unsafe { (borrow("answer", answer)?, Out::new("out", out)?) };
        out.write(get(answer)?);
        Ok(())
    })
}

/// Releases an answer with its citations. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_free(answer: *mut uf_answer) {
    // SAFETY: the header's rules.
    unsafe { free(answer) }
}
