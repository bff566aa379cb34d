//! The guard: measures what an adapter makes the base forget, and decides with evidence whether it may be used.
//!
//! Base and base with adapter score the same items side by side. What they scored is a [`measurement`]; a budget
//! says how much may be lost where.

pub mod budget;
pub mod cache;
pub mod check;
pub mod measure;
pub mod measurement;
pub mod metric;
pub mod stats;
pub mod suite;
