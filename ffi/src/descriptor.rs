//! Files by descriptor: what Android's and macOS' file pickers give to an app.

use std::ffi::c_int;
use std::fs::File;
use std::path::PathBuf;

use unforget::{Error, Result};

use crate::text;

/// A file of our own on what the descriptor refers to, with a path that leads there for as long as it is open. The
/// caller may close the descriptor at once.
#[cfg(unix)]
pub(crate) fn file(descriptor: c_int) -> Result<(File, PathBuf)> {
    use std::os::fd::{AsRawFd as _, BorrowedFd};

    let wrong = |value: String, expected: &str| text::invalid("fd", value, expected);
    if descriptor < 0 {
        let value = descriptor.to_string();
        return Err(wrong(value, "a descriptor that is open"));
    }
    // SAFETY: not -1. The borrow lasts for the copy only, which fails if the descriptor is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let file = File::from(
        borrowed
            .try_clone_to_owned()
            .map_err(|error| wrong(format!("{descriptor} ({error})"), "one that is open"))?,
    );
    // Opening a pipe by path would wait for its other end.
    if !file.metadata().map_err(Error::Io)?.is_file() {
        return Err(wrong(descriptor.to_string(), "one of a regular file"));
    }
    let folder = if cfg!(any(target_os = "linux", target_os = "android")) {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    let path = PathBuf::from(format!("{folder}/{}", file.as_raw_fd()));
    Ok((file, path))
}

#[cfg(not(unix))]
pub(crate) fn file(descriptor: c_int) -> Result<(File, PathBuf)> {
    Err(text::invalid(
        "fd",
        descriptor.to_string(),
        "a path: this system has no file descriptors",
    ))
}
