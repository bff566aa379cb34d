//! The fastest layout of a model on this machine that stays near enough to the file as shipped.
//!
//! [`tune`] stores the model in candidate layouts (a type for each part of it), measures each beside the file as shipped
//! (prefill, decode, memory, size, mean KL divergence and perplexity), and takes the fastest one inside a budget of KL.
//! What was measured is kept in a journal, so that work that was stopped goes on where it was.
//!
//! The result is a *copy* with an identity of its own, its sha256, which remembers what it was made from. Adapters belong
//! to the file as shipped and run on the copy, since it differs from it by less than the budget; caches and
//! measurements hold for one of the two files and are never shared between them.
//!
//! It leaves to others: how types are stored (`unforget_quant`), how models compute ([`crate::engine`]), which file
//! a command opens ([`crate::registry`] keeps the record, the command line reads it).

mod candidates;
mod choice;
mod journal;
mod layout;
mod machine;
mod measure;
mod search;
mod settings;

pub use crate::engine::Job;
pub use choice::{Budget, Verdict};
pub use layout::{Layout, Part};
pub use machine::machine;
pub use measure::{Distance, Measured};
pub use search::{Candidate, Progress, Request, Tuned, tune};
pub use settings::Settings;
