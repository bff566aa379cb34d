//! What an answer came to: why it ended, tokens, timings.

use unforget::Result;
use unforget::engine::{FinishReason, Outcome};

use crate::boundary::call;
use crate::handle::borrow;
use crate::out::Out;
use crate::session::uf_session;
use crate::status::uf_status;
use crate::text;

/// For finish reasons: the model ended the answer, or a stop string came.
pub const UF_FINISH_STOP: u32 = 0;
/// For finish reasons: as many tokens as allowed, or as fit into the context.
pub const UF_FINISH_LENGTH: u32 = 1;
/// For finish reasons: stopped from outside.
pub const UF_FINISH_CANCELLED: u32 = 2;

/// For counts: tokens of the prompt.
pub const UF_COUNT_PROMPT_TOKENS: u32 = 0;
/// For counts: tokens of the prompt that had been computed before.
pub const UF_COUNT_CACHED_TOKENS: u32 = 1;
/// For counts: tokens of the answer.
pub const UF_COUNT_COMPLETION_TOKENS: u32 = 2;

/// For timings: checking and loading the model, in milliseconds.
pub const UF_TIMING_LOAD_MS: u32 = 0;
/// For timings: from the start to the first token, in milliseconds.
pub const UF_TIMING_TTFT_MS: u32 = 1;
/// For timings: prompt tokens computed a second.
pub const UF_TIMING_PREFILL_TOKENS_PER_S: u32 = 2;
/// For timings: tokens of the answer after the first a second, with the time that the caller took between them.
pub const UF_TIMING_DECODE_TOKENS_PER_S: u32 = 3;
/// For timings: from the start to the last token, in milliseconds.
pub const UF_TIMING_TOTAL_MS: u32 = 4;

/// Why the last answer of a session ended.
///
/// out: gets one of UF_FINISH_.
/// Threads: calls on one session wait for each other.
/// UF_USAGE: a pointer is null, or no answer has ended since one was last started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_finish_reason(
    session: *const uf_session,
    out: *mut u32,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { of_last(session, out, |outcome| Ok(finish_reason(outcome))) }
}

/// A count of tokens of the last answer of a session.
///
/// which: one of UF_COUNT_.
/// out: gets the number.
/// Threads: calls on one session wait for each other.
/// UF_USAGE: a pointer is null, `which` is unknown, or no answer has ended since one was last started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_count(
    session: *const uf_session,
    which: u32,
    out: *mut u64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { of_last(session, out, |outcome| count(outcome, which)) }
}

/// A timing of the last answer of a session.
///
/// which: one of UF_TIMING_.
/// out: gets the figure.
/// Threads: calls on one session wait for each other.
/// UF_USAGE: a pointer is null, `which` is unknown, or no answer has ended since one was last started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_session_timing(
    session: *const uf_session,
    which: u32,
    out: *mut f64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { of_last(session, out, |outcome| timing(outcome, which)) }
}

/// Something of a session's last answer.
///
/// # Safety
/// The header's rules.
unsafe fn of_last<T>(
    session: *const uf_session,
    out: *mut T,
    get: impl FnOnce(&Outcome) -> Result<T>,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (session, out) = unsafe { (borrow("session", session)?, Out::new("out", out)?) };
        let value = session
            .timeline
            .with("session", |timeline| get(timeline.outcome()?))?;
        out.write(value);
        Ok(())
    })
}

pub(crate) fn finish_reason(outcome: &Outcome) -> u32 {
    match outcome.finish_reason {
        FinishReason::Stop => UF_FINISH_STOP,
        FinishReason::Length => UF_FINISH_LENGTH,
        FinishReason::Cancelled => UF_FINISH_CANCELLED,
    }
}

pub(crate) fn count(outcome: &Outcome, which: u32) -> Result<u64> {
    let usage = &outcome.usage;
    Ok(match which {
        UF_COUNT_PROMPT_TOKENS => usage.prompt_tokens,
        UF_COUNT_CACHED_TOKENS => usage.cached_tokens,
        UF_COUNT_COMPLETION_TOKENS => usage.completion_tokens,
        _ => return Err(text::unknown("which", which, "one of UF_COUNT_")),
    } as u64)
}

pub(crate) fn timing(outcome: &Outcome, which: u32) -> Result<f64> {
    let timings = &outcome.timings;
    Ok(match which {
        UF_TIMING_LOAD_MS => timings.load_ms,
        UF_TIMING_TTFT_MS => timings.ttft_ms,
        UF_TIMING_PREFILL_TOKENS_PER_S => timings.prefill_tokens_per_s,
        UF_TIMING_DECODE_TOKENS_PER_S => timings.decode_tokens_per_s,
        UF_TIMING_TOTAL_MS => timings.total_ms,
        _ => return Err(text::unknown("which", which, "one of UF_TIMING_")),
    })
}
