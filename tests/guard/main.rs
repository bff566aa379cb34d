//! The guard with the real base: the reference pair, null adapters, enforcement, and what it must not be fooled by.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)] // The command line's tests use all of it.
#[path = "../cli/scratch.rs"]
mod scratch;

mod adapters;
mod bad_input;
mod crosscheck;
mod enforcement;
mod own_suite;
mod reference;
