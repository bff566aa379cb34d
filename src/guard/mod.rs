//! The guard: measures what an adapter makes the base forget, and decides with evidence whether it may be used.
//!
//! ```
//! use unforget::guard::budget::Budget;
//! use unforget::guard::measurement::{Measurements, Pair, Series, Work};
//! use unforget::guard::metric::Metric;
//! use unforget::guard::verdict::{Verdict, judge_all};
//!
//! // 200 items of which the base gets 160 right and the adapted model 80.
//! let score = |i: usize| Pair::new(format!("item {i}"), (i % 5 < 4) as u8 as f64, (i % 5 < 2) as u8 as f64);
//! let series = Series::new("arithmetic", Metric::AccNorm, Some(0.25), (0..200).map(score).collect())?;
//! let measured = Measurements::new(vec![series], vec![], vec![], Work::default())?;
//! let outcome = judge_all(&measured, &Budget::embedded()?);
//! assert_eq!(outcome.verdict, Verdict::Fail);
//! assert_eq!(outcome.reason, "beyond the budget: arithmetic acc_norm");
//! # Ok::<(), unforget::Error>(())
//! ```
//!
//! The concepts, in the order in which a check meets them:
//!
//! - Base and base with adapter score the same items side by side. What they scored is a [`measurement`]: for each
//!   group of items and each [`metric`] a pair of scores for each item.
//! - A [`budget`] declares how much may be lost where, and what follows.
//! - [`verdict`] compares the two: the interval of each loss ([`estimate`], [`stats`]) lies within the budget, beyond
//!   it, or neither, which makes `pass`, `fail` or `undecided`. [`flips`] lists the items that changed sides.
//! - A [`certificate`] binds that to the content of base, adapters, suite and budget; a [`key`] signs it. [`report`]
//!   shows it.
//! - [`frontier`] picks a scale from a sweep, [`versions`] scores an adapter's versions on their tasks for
//!   [`continual`], [`overlap`] finds suite items
//!   that were trained on.
//!
//! All of that is plain computation. What needs the engine produces a [`measurement::Measurements`].

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
pub mod null;
pub mod overlap;
pub mod report;
#[cfg(test)]
mod sample;
pub mod stats;
pub mod suite;
pub mod sweep;
pub mod verdict;
pub mod versions;
