//! The documents of a collection from outside: files in, hits and citations out, and what breaks on the way.

#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod bad_files;
mod citation;
mod durability;
mod filter;
mod formats;
#[cfg(target_os = "linux")]
mod full_disk;
mod hostile;
mod index;
mod ingest;
mod migrate;
mod offsets;
mod prompt;
mod quality;
mod redact;
mod reembed;
mod repair;
mod rerank;
mod resume;
mod sync;
mod toy;
