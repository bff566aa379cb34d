//! How far long work has come, told through a callback.

use std::ffi::{c_char, c_int, c_void};

/// Hears how far long work has come. `label` says what is at hand, the path of a file or the name of a group of items:
/// `label_len` bytes without a NUL at the end, valid only during the call. `done` of `total` (bytes of files, or items)
/// are behind it. `user_data` is what the call was given.
///
/// Return 0 to go on, anything else to stop: the call then returns UF_INTERRUPTED. The rules of uf_text_callback hold
/// here too.
pub type uf_progress_callback = Option<
    unsafe extern "C" fn(
        label: *const c_char,
        label_len: usize,
        done: u64,
        total: u64,
        user_data: *mut c_void,
    ) -> c_int,
>;

/// A callback that may be missing, with its user data.
#[derive(Clone, Copy)]
pub(crate) struct Listener {
    callback: uf_progress_callback,
    user_data: *mut c_void,
}

impl Listener {
    /// # Safety
    /// `callback` is null or a function that keeps the rules of [`uf_progress_callback`].
    pub(crate) unsafe fn new(callback: uf_progress_callback, user_data: *mut c_void) -> Self {
        Self {
            callback,
            user_data,
        }
    }

    /// Tells; whether to go on.
    pub(crate) fn tell(&self, label: &str, done: u64, total: u64) -> bool {
        let Some(callback) = self.callback else {
            return true;
        };
        // SAFETY: `new` was promised a function with this signature that returns; the label outlives the call.
        unsafe {
            callback(
                label.as_ptr().cast(),
                label.len(),
                done,
                total,
                self.user_data,
            ) == 0
        }
    }
}
