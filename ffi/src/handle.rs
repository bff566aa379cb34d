//! Handles: values that C holds by pointer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use unforget::Result;

use crate::boundary::call;
use crate::status::uf_status;
use crate::text;

/// Gives a value to C, which hands it back to [`free`] once.
pub(crate) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// The value behind a handle.
///
/// # Safety
/// The handle is null, or from [`give`] and not freed for as long as the result is used.
pub(crate) unsafe fn borrow<'a, T>(what: &'static str, handle: *const T) -> Result<&'a T> {
    // SAFETY: null is checked for; otherwise the caller keeps this function's promise.
    unsafe { handle.as_ref() }.ok_or_else(|| text::null(what))
}

/// The value behind a handle that may be left out.
///
/// # Safety
/// As [`borrow`].
pub(crate) unsafe fn optional<'a, T>(handle: *const T) -> Option<&'a T> {
    // SAFETY: null is checked for; otherwise the caller keeps this function's promise.
    unsafe { handle.as_ref() }
}

/// One call that changes a builder.
///
/// # Safety
/// As [`borrow`]; no other thread uses the builder meanwhile.
pub(crate) unsafe fn edit<T>(
    what: &'static str,
    builder: *mut T,
    change: impl FnOnce(&mut T) -> Result<()>,
) -> uf_status {
    call(|| {
        // SAFETY: null is checked for; otherwise the caller keeps this function's promise.
        let builder = unsafe { builder.as_mut() }.ok_or_else(|| text::null(what))?;
        change(builder)
    })
}

/// Releases a handle; null does nothing.
///
/// # Safety
/// The handle is null, or from [`give`], not freed before, and used by nobody else.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    // SAFETY: the caller hands back what `give` made, once.
    let value = unsafe { Box::from_raw(handle) };
    // There is no status to report a panic by; what it leaves behind is lost memory, nothing worse.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}
