//! Whether an adapter may be used at a strength: what the guard found, obeyed.

use super::{AdapterRecord, AdapterState};
use crate::Error;
use crate::engine::Strength;

/// What the guard says to a use.
#[derive(Debug)]
pub enum Admission {
    /// It was measured at this strength or a larger one, and passed.
    Trusted,
    /// It was never measured: usable, with this warning.
    Unmeasured(String),
    /// It may not be used unless forced: [`Error::GuardRefused`] or [`Error::AdapterRefused`], with what to do.
    Refused(Error),
}

/// Decides by the adapter's state, and for a certified one by the strength that it was certified up to.
#[must_use]
pub fn admit(record: &AdapterRecord, used: Strength) -> Admission {
    let name = &record.name;
    let refused = |reason: String| {
        Admission::Refused(Error::GuardRefused {
            adapter: name.clone(),
            reason,
        })
    };
    match record.state {
        AdapterState::Certified if record.strength().covers(used) => Admission::Trusted,
        AdapterState::Certified => refused(format!(
            "it is certified from scale 0 up to {0}, not for {used}; use {name}={0}, or measure it with \
             `unforget check {name}={used}`",
            record.strength()
        )),
        AdapterState::Quarantined => Admission::Unmeasured(format!(
            "adapter '{name}' is quarantined: what it makes the base forget has not been measured; measure it with \
             `unforget check {name}`"
        )),
        AdapterState::Failed => refused(format!(
            "it makes the base forget more than its budget allows; see `unforget report {name}`, find a scale that \
             passes with `unforget sweep {name}`, or use --force"
        )),
        AdapterState::Retired => Admission::Refused(Error::AdapterRefused {
            adapter: name.clone(),
            reason: "it is retired; use --force to run it all the same".to_owned(),
        }),
    }
}
