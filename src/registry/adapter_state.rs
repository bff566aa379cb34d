//! Whether an adapter may be trusted, and how that may change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Trust in an adapter. Every new content starts as [`AdapterState::Quarantined`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterState {
    /// Not measured, or not thoroughly enough.
    Quarantined,
    /// The guard measured it up to its scale and passed it.
    Certified,
    /// The guard measured it and it makes the base forget more than its budget allows.
    Failed,
    /// Taken out of use; kept for its history.
    Retired,
}

impl AdapterState {
    /// All states.
    pub const ALL: [Self; 4] = [
        Self::Quarantined,
        Self::Certified,
        Self::Failed,
        Self::Retired,
    ];

    /// As it is written everywhere: lowercase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Certified => "certified",
            Self::Failed => "failed",
            Self::Retired => "retired",
        }
    }

    /// Whether the state may change to `next`. Staying is allowed. What is closed is the way from retired straight
    /// to a verdict: what was out of use is made quarantined and measured again first.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        !matches!(
            (self, next),
            (Self::Retired, Self::Certified | Self::Failed)
        )
    }
}

impl fmt::Display for AdapterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for AdapterState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::InvalidArgument {
                what: "adapter state",
                value: text.to_owned(),
                expected: "quarantined, certified, failed or retired".to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::AdapterState::{Certified, Failed, Quarantined, Retired};
    use super::*;

    #[test]
    fn every_transition_is_decided() {
        let allowed = [
            (Quarantined, Quarantined, true),
            (Quarantined, Certified, true),
            (Quarantined, Retired, true),
            (Quarantined, Failed, true),
            (Failed, Quarantined, true),
            (Failed, Certified, true),
            (Failed, Failed, true),
            (Failed, Retired, true),
            (Certified, Failed, true),
            (Certified, Quarantined, true),
            (Certified, Certified, true),
            (Certified, Retired, true),
            (Retired, Quarantined, true),
            (Retired, Certified, false),
            (Retired, Failed, false),
            (Retired, Retired, true),
        ];
        for (from, to, expected) in allowed {
            assert_eq!(from.may_become(to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn json_and_text_agree() {
        for state in AdapterState::ALL {
            assert_eq!(
                serde_json::to_string(&state).unwrap(),
                format!("\"{state}\"")
            );
            assert_eq!(state.as_str().parse::<AdapterState>().unwrap(), state);
        }
    }
}
