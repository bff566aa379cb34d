//! The message of a thread's last failure.

use std::cell::RefCell;
use std::ffi::{CString, c_char};

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps a message for this thread. While the thread is being torn down there is nobody left to ask for it.
pub(crate) fn set(message: String) {
    // C reads up to the first NUL: one inside the message would hide the rest.
    let message = CString::new(message.replace('\0', "\u{fffd}")).unwrap_or_default();
    let _ = LAST.try_with(|last| last.replace(message));
}

/// What went wrong in the last call on this thread that did not return UF_OK, and what to do about it: one line of
/// UTF-8, ending in NUL; empty if nothing has. Calls that succeed leave it alone.
///
/// The library owns the string. It is valid until the next call on this thread that fails, or until the thread ends;
/// copy it to keep it.
#[unsafe(no_mangle)]
pub extern "C" fn uf_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn last() -> String {
        // SAFETY: the string is valid until the next failure on this thread, and it is copied before that.
        let text = unsafe { CStr::from_ptr(uf_last_error()) };
        text.to_string_lossy().into_owned()
    }

    #[test]
    fn each_thread_has_its_own() {
        set("mine".to_owned());
        let other = std::thread::spawn(|| {
            let before = last();
            set("yours".to_owned());
            (before, last())
        });
        assert_eq!(other.join().ok(), Some((String::new(), "yours".to_owned())));
        assert_eq!(last(), "mine");
    }

    #[test]
    fn a_nul_does_not_hide_the_rest() {
        set("a\0b".to_owned());
        assert_eq!(last(), "a\u{fffd}b");
    }
}
