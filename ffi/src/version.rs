//! Which library this is, for a program that loads it at run time.

use std::ffi::{CStr, c_char};

/// Version of the interface that this header declares. It rises when a function or a type changes in a way that
/// breaks compiled programs; new functions and new status numbers do not raise it.
pub const UF_ABI_VERSION: u32 = 1;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version has a NUL in it"),
    };

/// Version of the library, such as "0.1.0". The string lives as long as the library is loaded; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn uf_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The library's UF_ABI_VERSION. If it is not the header's, do not call anything else.
#[unsafe(no_mangle)]
pub extern "C" fn uf_abi_version() -> u32 {
    UF_ABI_VERSION
}
