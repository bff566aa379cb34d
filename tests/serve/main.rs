//! The server: its routes over the real model, and the binary on loopback.

#[path = "../common/mod.rs"]
mod common;

mod api;
mod faults;
mod lora_files;
mod process;
mod routes;
