//! The library's log, handed to the program that uses it.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};
use unforget::{Error, Result};

use crate::boundary::call;
use crate::status::uf_status;
use crate::text;

/// For uf_log_set: nothing.
pub const UF_LOG_OFF: u32 = 0;
/// For uf_log_set: what failed.
pub const UF_LOG_ERROR: u32 = 1;
/// For uf_log_set: and what may be wrong.
pub const UF_LOG_WARN: u32 = 2;
/// For uf_log_set: and what happens.
pub const UF_LOG_INFO: u32 = 3;
/// For uf_log_set: and the details, the engine's among them.
pub const UF_LOG_DEBUG: u32 = 4;
/// For uf_log_set: everything.
pub const UF_LOG_TRACE: u32 = 5;

/// Gets a line of the log: its level, one of UF_LOG_, and `text_len` bytes of UTF-8 without a NUL at the end, valid only
/// during the call. It runs on whichever thread logs, perhaps on several at once, must return (no longjmp, no C++
/// exception), and may call no function of this library but uf_last_error.
pub type uf_log_callback = Option<
    unsafe extern "C" fn(level: u32, text: *const c_char, text_len: usize, user_data: *mut c_void),
>;

/// Where lines go.
struct Sink {
    callback: unsafe extern "C" fn(u32, *const c_char, usize, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the pointer is only handed back to the callback, which the caller promises to be callable on any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static LEVEL: AtomicU32 = AtomicU32::new(UF_LOG_OFF);

thread_local! {
    /// Whether this thread is in the callback: what that causes is not logged.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Sets where the log goes, in place of what was set before. When it returns, the callback of before does not run any
/// more.
///
/// level: one of UF_LOG_: lines of that importance and above. UF_LOG_OFF turns the log off.
/// callback: gets the lines; null turns the log off. It must stay callable until another is set.
/// user_data: handed to the callback; may be null.
/// Threads: any; not from within the callback.
///
/// UF_USAGE: `level` is unknown, or this is within the callback. UF_FAILED: the program has another receiver of this
/// library's log (only in a Rust program).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_log_set(
    level: u32,
    callback: uf_log_callback,
    user_data: *mut c_void,
) -> uf_status {
    call(|| {
        if level > UF_LOG_TRACE {
            return Err(text::unknown("level", level, "one of UF_LOG_"));
        }
        if IN_CALLBACK.get() {
            let value = "called by the log callback".to_owned();
            return Err(text::invalid("uf_log_set", value, "a call from elsewhere"));
        }
        install()?;
        let sink = callback.map(|callback| Sink {
            callback,
            user_data,
        });
        let level = if sink.is_some() { level } else { UF_LOG_OFF };
        // Waits for callbacks that are running.
        *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
        LEVEL.store(level, Ordering::Relaxed);
        Ok(())
    })
}

/// Makes this module the receiver of the process's log.
fn install() -> Result<()> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    if *INSTALLED.get_or_init(|| set_global_default(Forward).is_ok()) {
        return Ok(());
    }
    Err(Error::Engine(
        "the log has another receiver in this process: a tracing subscriber".to_owned(),
    ))
}

/// Forwards events to the sink. Spans have no place in a log of lines.
struct Forward;

impl Subscriber for Forward {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The level may change at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed) && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if IN_CALLBACK.replace(true) {
            return;
        }
        let _leave = Leave;
        let mut line = Line(format!("{}:", event.metadata().target()));
        event.record(&mut line);
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Sink {
            callback,
            user_data,
        }) = &*sink
        {
            let level = number(*event.metadata().level());
            // SAFETY: the caller of `uf_log_set` promised a function with this signature that returns and can be
            // called on any thread until another is set, which waits for this lock; the line outlives the call.
            unsafe { callback(level, line.0.as_ptr().cast(), line.0.len(), *user_data) };
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Leaves the callback, also by a panic before it.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        IN_CALLBACK.set(false);
    }
}

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => UF_LOG_ERROR,
        Level::WARN => UF_LOG_WARN,
        Level::INFO => UF_LOG_INFO,
        Level::DEBUG => UF_LOG_DEBUG,
        _ => UF_LOG_TRACE,
    }
}

/// An event as text: the message, then its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
