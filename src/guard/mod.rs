//! The guard: measures what an adapter makes the base forget, and decides with evidence whether it may be used.
//!
//! Base and base with adapter score the same items side by side. What they scored is a [`measurement`]: for each group
//! of items and each [`metric`] a pair of scores for each item. A [`budget`] declares how much may be lost where.
//! [`verdict`] compares the two: the interval of each loss (see [`stats`]) is within the budget, beyond it, or neither,
//! which makes `pass`, `fail` or `undecided`.

pub mod budget;
pub mod cache;
pub mod canonical;
pub mod certificate;
pub mod check;
pub mod continual;
pub mod estimate;
pub mod flips;
pub mod frontier;
mod judge;
pub mod key;
pub mod measure;
pub mod measurement;
pub mod metric;
pub mod overlap;
pub mod report;
#[cfg(test)]
mod sample;
pub mod stats;
pub mod suite;
pub mod sweep;
pub mod verdict;
