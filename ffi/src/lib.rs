//! The C ABI of unforget: what `include/unforget.h` declares.
//!
//! Each function turns C's arguments into Rust's (`text`, `handle`, `out`), calls the library inside the panic
//! boundary (`boundary`) and turns the result into a [`status::uf_status`], with the message kept for
//! [`last_error::uf_last_error`]. Nothing is computed here.
//!
//! The names are C's own, so that the Rust, the header and a C program's source all say the same. What a caller has to
//! keep to is the same for every function, and stands once, at the top of the header; the `SAFETY` comments call it
//! the header's rules.

#![allow(non_camel_case_types)]
// The rules of safety stand at the top of the header, for all functions alike.
#![allow(clippy::missing_safety_doc)]

// In the order in which a reader of the header meets them, one group after the other.
pub mod last_error;
pub mod status;
pub mod version;

pub mod cancel;
pub mod log;
pub mod progress;

pub mod model_options;

pub mod model;

pub mod tokens;

pub mod adapter;

pub mod chat;

pub mod session_options;

pub mod session;

pub mod generate_options;

pub mod generate;

pub mod outcome;

pub mod embedder;

pub mod add_options;

pub mod collection;

pub mod changes;

pub mod reranker;

pub mod policy;

pub mod search_options;

pub mod passages;

pub mod ask_options;

pub mod answer;

pub mod check_options;

pub mod check;

pub mod report;

mod boundary;
mod descriptor;
mod exclusive;
mod handle;
mod opened;
mod out;
mod text;
mod timeline;
