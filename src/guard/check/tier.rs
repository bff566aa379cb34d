//! How thoroughly to check: how many items of each kind, and how often to look.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How thorough a check is. Written lowercase everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Under a minute: finds careless tuning by free answers, texts, clozes and the adapter's own task.
    Smoke,
    /// Some minutes: what a pipeline asks before it takes an adapter.
    Gate,
    /// All items: what a certificate should rest on.
    Certify,
}

/// What a kind of group gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Questions of a multiple-choice group; 0 leaves these groups out.
    pub choices: usize,
    /// Sentences of a cloze group. They are short, and a budget in nats needs many.
    pub clozes: usize,
    /// General prompts. A budget for format collapse needs some 50: none of 60 in the format proves a share below 8 %.
    pub prompts: usize,
    /// Windows of a text.
    pub windows: usize,
    /// Items of the adapter's own task.
    pub domain: usize,
    /// Longer items are left out, in tokens: an item of a thousand costs as much as twenty others.
    pub max_tokens: usize,
    /// Looks at the figures before all is measured, the last one included.
    pub looks: usize,
    /// Groups that are still undecided then are measured on up to so many times their items; 1 asks for no more.
    pub extension: usize,
    /// Items of each kind that the base is measured against itself on.
    pub noise: usize,
    /// Items of each kind that other nulls are measured on, see [`crate::guard::null`]; 0 leaves them out.
    pub nulls: usize,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Gate, Self::Certify];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Gate => "gate",
            Self::Certify => "certify",
        }
    }

    /// What it measures.
    #[must_use]
    pub const fn sizes(self) -> Sizes {
        match self {
            Self::Smoke => Sizes {
                // The fewest that a group is judged by are 50: too many for a first look.
                choices: 0,
                clozes: 50,
                prompts: 60,
                windows: 10,
                domain: 20,
                max_tokens: 96,
                looks: 2,
                extension: 3,
                noise: 2,
                nulls: 0,
            },
            Self::Gate => Sizes {
                choices: 100,
                clozes: 200,
                prompts: 80,
                windows: 32,
                domain: 60,
                max_tokens: 256,
                looks: 3,
                extension: 2,
                noise: 6,
                nulls: 4,
            },
            Self::Certify => Sizes {
                choices: usize::MAX,
                clozes: usize::MAX,
                prompts: usize::MAX,
                windows: usize::MAX,
                domain: usize::MAX,
                max_tokens: 2000,
                // The second, the first at everything, is at a quarter of the items: at 50 of a group's 200, which is the fewest
                // that it is judged by.
                looks: 5,
                extension: 1,
                noise: 16,
                nulls: 16,
            },
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| Error::InvalidArgument {
                what: "tier",
                value: text.to_owned(),
                expected: "smoke, gate or certify".to_owned(),
            })
    }
}
