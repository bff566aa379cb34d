//! An answer from documents, with its citations.

use std::ffi::{c_char, c_void};

use unforget::engine::Outcome;
use unforget::rag::{AskOptions, GroundedAnswer, Status, ask_streaming};

use crate::ask_options::uf_ask_options;
use crate::boundary::call;
use crate::collection::uf_collection;
use crate::generate::uf_text_callback;
use crate::handle::{borrow, free, give, optional};
use crate::out::{Out, TextOut};
use crate::passages::uf_passages;
use crate::session::uf_session;
use crate::status::uf_status;
use crate::{outcome, text};

/// For uf_answer_status: the model was asked, with passages.
pub const UF_ANSWER_GIVEN: u32 = 0;
/// For uf_answer_status: no passage is near enough to the question, or may be quoted. The model was not asked.
pub const UF_ANSWER_NOT_IN_DOCUMENTS: u32 = 1;
/// For uf_answer_status: the policy does not allow an answer. The model was not asked.
pub const UF_ANSWER_REFUSED: u32 = 2;

/// An answer from documents. Opaque, never changed: any number of threads may use it at once.
pub struct uf_answer {
    outcome: Outcome,
    status: Status,
    grounded: bool,
    citations: uf_passages,
    json: String,
}

impl uf_answer {
    fn new(answer: GroundedAnswer) -> Self {
        Self {
            json: answer.to_json(),
            outcome: answer.outcome,
            status: answer.status,
            grounded: answer.grounded,
            citations: uf_passages::cited(answer.citations),
        }
    }
}

/// Answers a question from a collection, with citations, under its policy. Where nothing relevant is found the answer says
/// so, and the model is not asked.
///
/// session: computes the answer, with its adapters; an answer that it is making ends.
/// question: UTF-8, `question_len` bytes (at most 16 MiB), read only during the call.
/// options: from uf_ask_options_new, or null for the defaults; only borrowed.
/// callback: gets what the model says as it says it, without the numbers of sources, which are known at the end; null for
/// none. What it stops is an answer that was cut short.
/// user_data: handed to the callback; may be null.
/// out: gets the answer. The caller owns it and releases it with uf_answer_free; it needs nothing else any more.
/// Threads: calls on one collection or session wait for each other. The callback may use neither of them, nor the
/// collection's embedder.
///
/// UF_USAGE: `collection`, `session`, `question` or `out` is null, the question is empty, too long or not UTF-8, an option
/// is out of range, or the collection's policy is not sound. UF_INTERRUPTED: a switch was raised before the first word of
/// the answer; afterwards the answer is cut short, and its finish reason says so. UF_FAILED: not even one passage fits
/// into the context, or the engine or the database failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_ask(
    collection: *mut uf_collection,
    session: *mut uf_session,
    question: *const c_char,
    question_len: usize,
    options: *const uf_ask_options,
    callback: uf_text_callback,
    user_data: *mut c_void,
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
        let options = options.map_or_else(AskOptions::default, |it| it.options.clone());
        let mut tell = |piece: &str| match callback {
            // SAFETY: the caller promises a function with this signature that returns; the piece outlives the call.
            Some(callback) => unsafe {
                callback(piece.as_ptr().cast(), piece.len(), user_data) == 0
            },
            None => true,
        };
        let answer = collection.with(|collection, embedder| {
            session.timeline.with("session", |timeline| {
                let session = timeline.session();
                ask_streaming(question, collection, embedder, session, &options, &mut tell)
            })
        })?;
        out.write(give(uf_answer::new(answer)));
        Ok(())
    })
}

/// What an answer says, with `[1]` and so on where it cites.
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
    // SAFETY: the header's rules.
    unsafe { lend(answer, text, text_len, |answer| &answer.outcome.text) }
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

/// What came of the question: one of UF_ANSWER_.
///
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_status(answer: *const uf_answer, out: *mut u32) -> uf_status {
    // SAFETY: the header's rules.
    unsafe {
        read(answer, out, |answer| {
            Ok(match answer.status {
                Status::Answered => UF_ANSWER_GIVEN,
                Status::NotInDocuments => UF_ANSWER_NOT_IN_DOCUMENTS,
                Status::Refused => UF_ANSWER_REFUSED,
            })
        })
    }
}

/// The whole answer as JSON: besides what the other functions say, each claim with how well it is supported, the passages
/// that the model read, and what policies decided.
///
/// text, text_len: get a text that belongs to the answer and lives as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_json(
    answer: *const uf_answer,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(answer, text, text_len, |answer| &answer.json) }
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

/// A text of an answer.
///
/// # Safety
/// The header's rules.
unsafe fn lend(
    answer: *const uf_answer,
    text: *mut *const c_char,
    text_len: *mut usize,
    get: impl FnOnce(&uf_answer) -> &str,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (answer, out) = unsafe { (borrow("answer", answer)?, TextOut::new(text, text_len)?) };
        out.write(get(answer));
        Ok(())
    })
}

/// Releases an answer with its citations. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_answer_free(answer: *mut uf_answer) {
    // SAFETY: the header's rules.
    unsafe { free(answer) }
}
