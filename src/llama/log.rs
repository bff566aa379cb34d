//! llama.cpp's log: forwarded to `tracing`, and kept while something is being loaded.
//!
//! llama.cpp reports a failed load as a bare null pointer; the reason exists only as a log line. So [`capture`]
//! collects the warnings and errors that the calling thread causes.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};

use llama_cpp_sys_2 as sys;

/// Lines kept by one capture. A broken file can log a line a tensor; the first ones name the cause.
const MAX_CAPTURED_LINES: usize = 64;

thread_local! {
    static CAPTURED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Routes the engine's log here. Called once, when the backend starts.
pub(super) fn install() {
    // SAFETY: `forward` is a plain function that lives as long as the process and ignores its user data.
    unsafe { sys::llama_log_set(Some(forward), std::ptr::null_mut()) };
}

/// Runs `work` and returns its result with the last error (or else warning) that it logged on this thread.
pub(super) fn capture<T>(work: impl FnOnce() -> T) -> (T, String) {
    CAPTURED.with_borrow_mut(|lines| *lines = Some(Vec::new()));
    let result = work();
    let lines = CAPTURED.with_borrow_mut(Option::take).unwrap_or_default();
    (result, reason(&lines))
}

/// The most telling line: llama.cpp logs the cause first and what failed because of it after, with the
/// function's name in front.
fn reason(lines: &[String]) -> String {
    let line = lines
        .iter()
        .find(|line| line.contains("error") || line.contains("failed"))
        .or_else(|| lines.first());
    match line {
        Some(line) => line
            .split_once(": ")
            .map_or(line.as_str(), |(_function, rest)| rest)
            .to_owned(),
        None => "the engine gave no reason".to_owned(),
    }
}

unsafe extern "C" fn forward(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a NUL-terminated string that lives for the duration of the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = text.trim_end();
    if line.is_empty() {
        return;
    }
    match level {
        sys::GGML_LOG_LEVEL_ERROR => tracing::warn!(target: "llama.cpp", "{line}"),
        sys::GGML_LOG_LEVEL_WARN => tracing::info!(target: "llama.cpp", "{line}"),
        _ => tracing::debug!(target: "llama.cpp", "{line}"),
    }
    if matches!(level, sys::GGML_LOG_LEVEL_ERROR | sys::GGML_LOG_LEVEL_WARN) {
        // `try_borrow_mut` and not `borrow_mut`: a panic must not cross into C.
        CAPTURED.with(|captured| {
            if let Ok(mut captured) = captured.try_borrow_mut()
                && let Some(lines) = captured.as_mut()
                && lines.len() < MAX_CAPTURED_LINES
            {
                lines.push(line.to_owned());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_preferred_over_what_followed_from_it() {
        let lines = [
            "gguf_init_from_file: odd padding".to_owned(),
            "llama_model_load: error loading model: tensor 'x' is missing".to_owned(),
            "llama_model_load_from_file_impl: failed to load model".to_owned(),
        ];
        assert_eq!(reason(&lines), "error loading model: tensor 'x' is missing");
    }

    #[test]
    fn silence_is_said() {
        assert_eq!(reason(&[]), "the engine gave no reason");
    }
}
