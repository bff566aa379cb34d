//! The documents of a collection from outside: files in, hits and citations out, and what breaks on the way.

#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod citation;
mod durability;
mod index;
mod ingest;
mod offsets;
mod prompt;
mod quality;
mod toy;
