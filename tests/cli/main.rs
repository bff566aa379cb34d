//! The `unforget` binary as a person or a script uses it, on the real models.

#[path = "../common/mod.rs"]
mod common;

mod adapters;
mod answers;
mod bad_files;
mod documents;
mod interrupt;
mod lifecycle;
mod memory;
mod offline;
mod output;
mod prefixes;
mod prompts;
mod rewriting;
mod scratch;
#[cfg(feature = "train")]
#[path = "../conversion/tiny.rs"]
#[allow(dead_code)]
mod tiny;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "train")]
mod training_stops;
#[cfg(feature = "train")]
mod training_versions;
mod tuned;
