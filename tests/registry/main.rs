//! The registry through its public API: a real HTTP server on this machine, real pip, real files, killed processes.
#![allow(
    clippy::print_stdout,
    reason = "a test says why it is skipped, and what an ignored one found"
)]

mod catalog;
mod crash;
mod disk_full;
mod download;
mod hub;
mod pip;
mod remove;
mod server;
mod store;
mod support;
mod wheels;
