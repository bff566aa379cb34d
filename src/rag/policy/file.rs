//! The policy file: read, checked, and turned into rules that can be applied without failing.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::sources::Sources;
use super::topics::Topics;
use crate::rag::collection::Collection;
use crate::{Error, Result};

/// Name of the policy in a collection's folder.
pub const POLICY_FILE: &str = "policy.toml";

/// The layout that this program knows.
const VERSION: u32 = 1;

/// Longest file, 256 KiB: thousands of rules, each of which is compared with each question.
const MAX_BYTES: u64 = 256 << 10;

/// What is said where a rule that refuses has no reply.
const DEFAULT_REPLY: &str = "this collection's policy does not allow an answer to that question";

/// Longest age that means something, in days: a thousand years.
const MAX_AGE_DAYS: u32 = 366_000;

/// What a collection may be used for. See the documentation of the module for the file.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) sources: Sources,
    pub(super) freshness: Option<Freshness>,
    pub(super) disclaimer: Vec<Disclaimer>,
    pub(super) refuse: Vec<Refusal>,
}

/// How old a document may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freshness {
    pub max_age_days: Option<u32>,
    #[serde(default)]
    pub newest_version_wins: bool,
}

/// A text to put under answers: under those about its topics, or all.
#[derive(Debug, Clone)]
pub(super) struct Disclaimer {
    pub text: String,
    pub topics: Option<Topics>,
}

/// Topics that are not answered, and what is said instead.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub topics: Topics,
    pub reply: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: u32,
    sources: Option<RawSources>,
    freshness: Option<Freshness>,
    #[serde(default)]
    disclaimer: Vec<RawDisclaimer>,
    #[serde(default)]
    refuse: Vec<RawRefusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSources {
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDisclaimer {
    text: String,
    topics: Option<Vec<String>>,
    similarity: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRefusal {
    topics: Vec<String>,
    reply: Option<String>,
    similarity: Option<f32>,
}

impl Policy {
    /// Reads the policy at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] naming the file and what is wrong with it; [`Error::Io`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::Policy {
            path: path.to_owned(),
            reason,
        };
        let mut bytes = Vec::new();
        let file = fs_err::File::open(path)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refuse(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let sha256 = hex_sha256(&bytes);
        let text = String::from_utf8(bytes).map_err(|error| refuse(error.to_string()))?;
        let raw: RawPolicy = toml::from_str(&text).map_err(|error| refuse(one_line(&error)))?;
        Self::of(path, sha256, raw).map_err(refuse)
    }

    /// Reads a policy that came as JSON, with the names of the file. `name` stands for its path, and its hash is that of the
    /// JSON without white space.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] naming what is wrong with it.
    pub fn from_json(name: &str, json: serde_json::Value) -> Result<Self> {
        let refuse = |reason: String| Error::Policy {
            path: name.into(),
            reason,
        };
        let sha256 = hex_sha256(json.to_string().as_bytes());
        let raw: RawPolicy =
            serde_json::from_value(json).map_err(|error| refuse(error.to_string()))?;
        Self::of(Path::new(name), sha256, raw).map_err(refuse)
    }

    fn of(path: &Path, sha256: String, raw: RawPolicy) -> Result<Self, String> {
        if raw.version != VERSION {
            return Err(format!(
                "it has version {} and this program knows {VERSION}",
                raw.version
            ));
        }
        let days = raw.freshness.as_ref().and_then(|fresh| fresh.max_age_days);
        if days.is_some_and(|days| days == 0 || days > MAX_AGE_DAYS) {
            return Err(format!(
                "freshness.max_age_days has to be from 1 to {MAX_AGE_DAYS}"
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            sha256,
            sources: match &raw.sources {
                Some(raw) => Sources::new(raw.allow.as_deref(), &raw.deny)?,
                None => Sources::default(),
            },
            freshness: raw.freshness,
            disclaimer: (1..)
                .zip(raw.disclaimer)
                .map(|(nth, raw)| disclaimer(nth, raw))
                .collect::<Result<_, _>>()?,
            refuse: (1..)
                .zip(raw.refuse)
                .map(|(nth, raw)| refusal(nth, raw))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rules of each kind: sources, freshness, disclaimers, refusals.
    #[must_use]
    pub fn rules(&self) -> [(&'static str, usize); 4] {
        let freshness = self.freshness.as_ref().map_or(0, |fresh| {
            usize::from(fresh.max_age_days.is_some()) + usize::from(fresh.newest_version_wins)
        });
        [
            ("sources", self.sources.len()),
            ("freshness", freshness),
            ("disclaimers", self.disclaimer.len()),
            ("refusals", self.refuse.len()),
        ]
    }
}

impl Collection {
    /// Where its policy is, if it has one.
    #[must_use]
    pub fn policy_path(&self) -> PathBuf {
        self.database().with_file_name(POLICY_FILE)
    }

    /// Its policy, if it has one.
    ///
    /// # Errors
    ///
    /// As [`Policy::read`]: a policy that cannot be read is never passed over.
    pub fn policy(&self) -> Result<Option<Policy>> {
        match Policy::read(&self.policy_path()) {
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }
}

impl Collection {
    /// Makes the file at `path` its policy, if it is a sound one: copies it beside the database.
    ///
    /// # Errors
    ///
    /// As [`Policy::read`]; [`Error::Io`] when it cannot be written. The policy it had stays then.
    pub fn adopt_policy(&self, path: &Path) -> Result<Policy> {
        let mut policy = Policy::read(path)?;
        let target = self.policy_path();
        let folder = target.parent().unwrap_or(Path::new("."));
        let mut copy = tempfile::NamedTempFile::new_in(folder)?;
        let text = fs_err::read(path)?;
        copy.write_all(&text)?;
        copy.as_file().sync_all()?;
        copy.persist(&target)
            .map_err(|error| Error::Io(error.error))?;
        policy.path = target;
        Ok(policy)
    }

    /// Takes its policy away. False where it had none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be removed.
    pub fn drop_policy(&self) -> Result<bool> {
        match fs_err::remove_file(self.policy_path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }
}

fn hex_sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn disclaimer(nth: usize, raw: RawDisclaimer) -> Result<Disclaimer, String> {
    let rule = format!("disclaimer {nth}");
    if raw.text.trim().is_empty() {
        return Err(format!("{rule} has no text"));
    }
    if raw.topics.is_none() && raw.similarity.is_some() {
        return Err(format!("{rule} has a similarity but no topics"));
    }
    let topics = raw
        .topics
        .map(|topics| Topics::new(&rule, topics, raw.similarity));
    Ok(Disclaimer {
        text: raw.text.trim().to_owned(),
        topics: topics.transpose()?,
    })
}

fn refusal(nth: usize, raw: RawRefusal) -> Result<Refusal, String> {
    Ok(Refusal {
        topics: Topics::new(&format!("refuse {nth}"), raw.topics, raw.similarity)?,
        reply: raw
            .reply
            .map(|reply| reply.trim().to_owned())
            .filter(|reply| !reply.is_empty())
            .unwrap_or_else(|| DEFAULT_REPLY.to_owned()),
    })
}

/// What the parser says, with its line and column, on one line.
fn one_line(error: &toml::de::Error) -> String {
    error
        .to_string()
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('|') && !line.contains(" | "))
        .collect::<Vec<_>>()
        .join(": ")
        .to_lowercase()
}
