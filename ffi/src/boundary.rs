//! Where Rust ends: results become status numbers, and panics stop.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use unforget::Result;

use crate::last_error;
use crate::status::uf_status;

/// Does the work of one call. An unwinding panic in a C program's frames would be undefined behaviour, so none leaves
/// here.
///
/// Unwind safety is asserted, not proven: whatever a panic leaves half done is reachable only through a handle of the
/// call, and `UF_PANIC` tells the caller to use that for nothing but `_free`.
pub(crate) fn call(work: impl FnOnce() -> Result<()>) -> uf_status {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => uf_status::UF_OK,
        Ok(Err(error)) => {
            last_error::set(error.to_string());
            error.kind().into()
        }
        Err(panic) => {
            last_error::set(format!(
                "internal error, please report it: {}",
                message(panic.as_ref())
            ));
            uf_status::UF_PANIC
        }
    }
}

/// What `panic!` was called with.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use unforget::Error;

    use super::*;
    use crate::last_error::uf_last_error;

    fn last() -> String {
        // SAFETY: the string is valid until the next failure on this thread, and it is copied before that.
        let text = unsafe { CStr::from_ptr(uf_last_error()) };
        text.to_string_lossy().into_owned()
    }

    #[test]
    fn an_error_becomes_its_status_and_its_message() {
        assert_eq!(call(|| Err(Error::Interrupted)), uf_status::UF_INTERRUPTED);
        assert_eq!(last(), "interrupted");
    }

    #[test]
    fn success_leaves_the_last_message_alone() {
        call(|| Err(Error::Engine("no memory".to_owned())));
        assert_eq!(call(|| Ok(())), uf_status::UF_OK);
        assert_eq!(last(), "engine failed: no memory");
    }

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(call(|| panic!("at {}", 7)), uf_status::UF_PANIC);
        assert_eq!(last(), "internal error, please report it: at 7");
        assert_eq!(call(|| panic!("plain")), uf_status::UF_PANIC);
        assert_eq!(last(), "internal error, please report it: plain");
    }
}
