//! Places that the caller wants written: checked before any work begins, written after all of it succeeded.

use std::ffi::c_char;
use std::ptr::NonNull;

use unforget::Result;

use crate::text;

/// One such place.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Checks the pointer.
    ///
    /// # Safety
    /// `pointer` is null, or valid for writing one `T` for as long as the result is used.
    pub(crate) unsafe fn new(what: &'static str, pointer: *mut T) -> Result<Self> {
        NonNull::new(pointer)
            .map(Self)
            .ok_or_else(|| text::null(what))
    }

    /// Writes it.
    pub(crate) fn write(self, value: T) {
        // SAFETY: `new` was promised a place that can be written.
        unsafe { self.0.write(value) };
    }
}

impl Out<f32> {
    /// Writes an array there.
    ///
    /// # Safety
    /// There is room for as many.
    pub(crate) unsafe fn write_all(self, values: &[f32]) {
        // SAFETY: the caller promises the room; the values are ours.
        unsafe {
            self.0
                .copy_from_nonoverlapping(NonNull::from(values).cast(), values.len());
        }
    }
}

/// Where a text is wanted that a handle owns.
pub(crate) struct TextOut {
    text: Out<*const c_char>,
    len: Out<usize>,
}

impl TextOut {
    /// Checks the pointers.
    ///
    /// # Safety
    /// As [`Out::new`], for both.
    pub(crate) unsafe fn new(text: *mut *const c_char, len: *mut usize) -> Result<Self> {
        // SAFETY: the caller keeps this function's promise, which is the same.
        unsafe {
            Ok(Self {
                text: Out::new("text", text)?,
                len: Out::new("text_len", len)?,
            })
        }
    }

    /// Lends a text to the caller.
    pub(crate) fn write(self, value: &str) {
        self.text.write(value.as_ptr().cast());
        self.len.write(value.len());
    }
}

/// Where an array is wanted whose length the caller may not know: with a null pointer, only the length is written.
pub(crate) struct ArrayOut<T> {
    items: Option<NonNull<T>>,
    capacity: usize,
    len: Out<usize>,
}

impl<T: Copy> ArrayOut<T> {
    /// Checks the pointers.
    ///
    /// # Safety
    /// `items` is null or valid for writing `capacity` items, `len` as [`Out::new`].
    pub(crate) unsafe fn new(items: *mut T, capacity: usize, len: *mut usize) -> Result<Self> {
        Ok(Self {
            items: NonNull::new(items),
            capacity,
            // SAFETY: the caller keeps this function's promise.
            len: unsafe { Out::new("out_len", len) }?,
        })
    }

    /// Writes all or, if they do not fit, nothing.
    pub(crate) fn write(self, values: &[T]) -> Result<()> {
        if let Some(items) = self.items {
            if values.len() > self.capacity {
                return Err(text::invalid(
                    "capacity",
                    self.capacity.to_string(),
                    format!("room for {}", values.len()),
                ));
            }
            // SAFETY: room for `capacity` items, of which there are no more here; the values are ours.
            unsafe { items.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
        }
        self.len.write(values.len());
        Ok(())
    }
}
