//! Text from C: pointer and length, checked before anything reads it.

use std::ffi::c_char;
use std::path::Path;

use unforget::{Error, Result};

/// Longest path in bytes: the longest that any supported system takes (Windows: 32,767 characters). A length beyond
/// it is a variable that was never set, and believing it would read past the caller's memory.
const MAX_PATH_LEN: usize = 32 * 1024;

/// Longest name, word of a vocabulary of ours or stop string in bytes: far more than any has.
const MAX_SHORT_LEN: usize = 32 * 1024;

/// Longest prompt in bytes: several times what fits into the largest context of any model (about a million tokens of
/// some four bytes). Tokenizing takes many times the text's memory, so that an absurd length must stop here.
const MAX_LONG_LEN: usize = 16 * 1024 * 1024;

/// A file's path.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn path<'a>(pointer: *const c_char, len: usize) -> Result<&'a Path> {
    // SAFETY: the caller keeps this function's promise, which is the same.
    let text = unsafe { text("path", pointer, len, MAX_PATH_LEN) }?;
    if text.contains('\0') {
        return Err(invalid(
            "path",
            text.replace('\0', "\u{fffd}"),
            "a path without NUL; do not count the one that ends a C string",
        ));
    }
    Ok(Path::new(text))
}

/// A prompt, a message, a text to embed.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn long<'a>(
    what: &'static str,
    pointer: *const c_char,
    len: usize,
) -> Result<&'a str> {
    // SAFETY: the caller keeps this function's promise, which is the same.
    unsafe { text(what, pointer, len, MAX_LONG_LEN) }
}

/// A name, a stop string.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn short<'a>(
    what: &'static str,
    pointer: *const c_char,
    len: usize,
) -> Result<&'a str> {
    // SAFETY: the caller keeps this function's promise, which is the same.
    unsafe { text(what, pointer, len, MAX_SHORT_LEN) }
}

/// Text of `len` bytes, at least one.
///
/// # Safety
/// If `pointer` is not null and `len` is at most `limit`, `pointer` must be valid for reading `len` bytes, which
/// nobody changes for as long as the result is used.
unsafe fn text<'a>(
    what: &'static str,
    pointer: *const c_char,
    len: usize,
    limit: usize,
) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(what));
    }
    if len == 0 {
        return Err(invalid(what, String::new(), "at least one byte"));
    }
    if len > limit {
        return Err(invalid(
            what,
            format!("{len} bytes"),
            format!("at most {limit} bytes"),
        ));
    }
    // SAFETY: not null, and the caller promises `len` readable bytes; `limit` is far below `isize::MAX`.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len) };
    std::str::from_utf8(bytes).map_err(|error| {
        invalid(
            what,
            format!("invalid byte at offset {}", error.valid_up_to()),
            "text in UTF-8",
        )
    })
}

/// The error for an argument that must not be null.
pub(crate) fn null(what: &'static str) -> Error {
    invalid(what, "NULL".to_owned(), "a pointer")
}

/// The error for a number that has no meaning here.
pub(crate) fn unknown(what: &'static str, value: u32, expected: &str) -> Error {
    invalid(what, value.to_string(), expected)
}

/// The error for an index that is not below the number of things there are.
pub(crate) fn beyond(index: usize, n: usize) -> Error {
    invalid("index", index.to_string(), format!("less than {n}"))
}

/// The error for a wrong argument.
pub(crate) fn invalid(what: &'static str, value: String, expected: impl Into<String>) -> Error {
    Error::InvalidArgument {
        what,
        value,
        expected: expected.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn read_prompt(bytes: &[u8]) -> Result<&str> {
        // SAFETY: pointer and length are a slice's.
        unsafe { long("prompt", bytes.as_ptr().cast(), bytes.len()) }
    }

    fn read_path(bytes: &[u8]) -> Result<&Path> {
        // SAFETY: pointer and length are a slice's.
        unsafe { path(bytes.as_ptr().cast(), bytes.len()) }
    }

    fn message<T>(result: Result<T>) -> String {
        result
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn text_comes_as_it_is() {
        assert_eq!(
            read_prompt("Grüße, 😀\0!".as_bytes()).ok(),
            Some("Grüße, 😀\0!")
        );
        assert_eq!(read_path(b"a/b.gguf").ok(), Some(Path::new("a/b.gguf")));
    }

    #[test]
    fn null_is_an_error_whatever_the_length() {
        for len in [0, 1] {
            // SAFETY: null is never read.
            let result = unsafe { long("prompt", ptr::null(), len) };
            assert_eq!(message(result), "invalid prompt 'NULL': a pointer");
        }
    }

    #[test]
    fn an_absurd_length_is_refused_before_reading() {
        let byte = b'x';
        // SAFETY: lengths beyond the limit are never read.
        let result = unsafe { path((&raw const byte).cast(), MAX_PATH_LEN + 1) };
        assert_eq!(
            message(result),
            "invalid path '32769 bytes': at most 32768 bytes"
        );
        // SAFETY: as above.
        let result = unsafe { long("prompt", (&raw const byte).cast(), usize::MAX) };
        assert!(message(result).ends_with("at most 16777216 bytes"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_offset() {
        assert_eq!(
            message(read_prompt(b"abc\xff")),
            "invalid prompt 'invalid byte at offset 3': text in UTF-8"
        );
    }

    #[test]
    fn empty_text_is_an_error() {
        assert_eq!(
            message(read_path(b"")),
            "invalid path '': at least one byte"
        );
        assert_eq!(
            message(read_prompt(b"")),
            "invalid prompt '': at least one byte"
        );
    }

    #[test]
    fn a_path_has_no_nul() {
        assert!(message(read_path(b"a.gguf\0")).contains("without NUL"));
    }
}
