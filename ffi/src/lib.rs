//! The C ABI of unforget: what `include/unforget.h` declares.
//!
//! Each function turns C's arguments into Rust's (`text`), calls the library inside the panic boundary (`boundary`)
//! and turns the result into a [`uf_status`], with the message kept for [`uf_last_error`]. Nothing is computed here.
//!
//! The names are C's own, so that the Rust, the header and a C program's source all say the same.

#![allow(non_camel_case_types)]

mod boundary;
mod generate;
mod last_error;
mod model;
mod status;
mod text;
mod version;

pub use generate::{uf_generate, uf_text_callback};
pub use last_error::uf_last_error;
pub use model::{uf_model, uf_model_free, uf_model_open};
pub use status::uf_status;
pub use version::{UF_ABI_VERSION, uf_abi_version, uf_version};
