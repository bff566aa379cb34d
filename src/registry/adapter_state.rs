//! Whether an adapter may be trusted, and how that may change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Trust in an adapter. Every new content starts as [`AdapterState::Quarantined`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterState {
    /// Not measured, or measured and failed.
    Quarantined,
    /// The guard measured it up to its scale and passed it.
    Certified,
    /// Taken out of use; kept for its history.
    Retired,
}

impl AdapterState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Quarantined, Self::Certified, Self::Retired];

    /// As it is written everywhere: lowercase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Certified => "certified",
            Self::Retired => "retired",
        }
    }

    /// Whether the state may change to `next`. Staying is allowed. The one way closed is from retired straight to
    /// certified: what was out of use has to be measured again first.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        !matches!((self, next), (Self::Retired, Self::Certified))
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
                expected: "quarantined, certified or retired".to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::AdapterState::{Certified, Quarantined, Retired};
    use super::*;

    #[test]
    fn every_transition_is_decided() {
        let allowed = [
            (Quarantined, Quarantined, true),
            (Quarantined, Certified, true),
            (Quarantined, Retired, true),
            (Certified, Quarantined, true),
            (Certified, Certified, true),
            (Certified, Retired, true),
            (Retired, Quarantined, true),
            (Retired, Certified, false),
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
