//! A certificate: what was measured on which bytes, what the guard said, and up to which scale it holds.
//!
//! It is bound to content hashes of base, adapters, suite and budget. Each part of the body has its own hash, and the
//! certificate's id is the hash of those, so that a change is not only noticed but named. With a key it is signed:
//! without one it only guards against accidents, as anybody can compute hashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::canonical;
use super::frontier::SweepPoint;
use super::key::{PublicKey, SecretKey, Signed};
use super::overlap::Overlap;
use super::verdict::{Outcome, Verdict};
use crate::engine::{ContentHash, LayerProfile};
use crate::{Error, Result};

/// What the file says it is.
const FORMAT: &str = "unforget-certificate";
/// Version of the format.
pub const VERSION: u32 = 1;
/// A certificate lists the items that flipped, not the items: more than this is something else.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Scales are kept to nine digits: what differs less is the same scale.
const SCALE_SLACK: f64 = 1e-9;

/// A file known by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name at the time.
    pub name: String,
    /// Its hash.
    pub sha256: ContentHash,
}

/// An adapter and how strongly it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredAdapter {
    /// Its name at the time.
    pub name: String,
    /// Its hash.
    pub sha256: ContentHash,
    /// The scale: the certificate holds from 0 up to it.
    pub scale: f64,
    /// How that is spread over the layers.
    pub profile: LayerProfile,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// The base.
    pub base: Identity,
    /// The adapters that were measured together, in their order.
    pub adapters: Vec<MeasuredAdapter>,
    /// Hash of the suite.
    pub suite_sha256: ContentHash,
    /// Hash of the budget.
    pub budget_sha256: ContentHash,
    /// The largest scale of any adapter.
    pub max_scale: f64,
    /// How thorough the check was: `smoke`, `gate` or `certify`.
    pub tier: String,
    /// Version of the code that measured.
    pub code_version: String,
    /// When, in UTC as RFC 3339.
    pub created: String,
    /// All figures and the verdict.
    pub outcome: Outcome,
    /// The sweep that the scale was picked from, if any.
    #[serde(default)]
    pub sweep: Vec<SweepPoint>,
    /// Suite items that stand in the adapter's training rows too, where those were given.
    #[serde(default)]
    pub overlap: Option<Overlap>,
}

/// A body with its hashes and perhaps a signature. Made by [`Certificate::seal`] or [`Certificate::verify`] only, so
/// that its hashes hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    id: ContentHash,
    body: Body,
    signed: Option<Signed>,
    file: Value,
}

/// What a certificate has to be about, see [`Certificate::check_covers`].
#[derive(Debug, Clone, PartialEq)]
pub struct Use<'a> {
    /// Hash of the base.
    pub base: ContentHash,
    /// The adapters in their order, each with how strongly it is used.
    pub adapters: &'a [UsedAdapter],
}

/// An adapter as it is to be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsedAdapter {
    /// Its hash.
    pub sha256: ContentHash,
    /// The scale.
    pub scale: f64,
    /// How that is spread over the layers.
    pub profile: LayerProfile,
}

impl Certificate {
    /// Seals a body, and signs it if there is a key.
    ///
    /// # Errors
    /// [`Error::Certificate`] for a scale or a figure that is not a number.
    pub fn seal(body: &Body, key: Option<&SecretKey>) -> Result<Self> {
        if !(body.max_scale.is_finite() && body.max_scale >= 0.0) {
            return Err(wrong(format!(
                "scale {} cannot be certified",
                body.max_scale
            )));
        }
        if let Some(adapter) = body
            .adapters
            .iter()
            .find(|adapter| adapter.scale.is_nan() || adapter.scale < 0.0)
        {
            let (name, scale) = (&adapter.name, adapter.scale);
            return Err(wrong(format!(
                "scale {scale} of {name} cannot be certified"
            )));
        }
        let canonical_body = canonical::value(body)?;
        let parts = parts(&canonical_body)?;
        let id = id(&parts)?;
        let signed = key.map(|key| key.sign(&statement(id)));
        let mut file = Map::new();
        file.insert("format".to_owned(), FORMAT.into());
        file.insert("version".to_owned(), VERSION.into());
        file.insert("id".to_owned(), id.to_string().into());
        file.insert("parts".to_owned(), canonical::value(&parts)?);
        if let Some(signed) = &signed {
            file.insert("signature".to_owned(), canonical::value(signed)?);
        }
        file.insert("body".to_owned(), canonical_body);
        // Reading it back is the proof that it can be read: JSON turns what is not a number into null.
        Self::of_file(Value::Object(file), None)
    }

    /// Reads a certificate and checks all its hashes and its signature, offline. With `trusted` it has to be signed by
    /// that key.
    ///
    /// # Errors
    /// [`Error::Certificate`] for what is no certificate, is of a newer version, was changed (naming the parts), or is
    /// not signed as it should be.
    pub fn verify(text: &str, trusted: Option<&PublicKey>) -> Result<Self> {
        if text.len() > MAX_BYTES {
            let n = text.len();
            return Err(wrong(format!(
                "{n} bytes are too many; at most {MAX_BYTES}"
            )));
        }
        let file: Value = serde_json::from_str(text)
            .map_err(|error| wrong(format!("it is not JSON: {error}; check the adapter again")))?;
        Self::of_file(file, trusted)
    }

    fn of_file(file: Value, trusted: Option<&PublicKey>) -> Result<Self> {
        check_format(&file)?;
        let body = file.get("body").cloned().unwrap_or_default();
        let claimed: BTreeMap<String, ContentHash> = field(&file, "parts")?;
        let canonical_body = canonical::sorted(body.clone());
        let found = parts(&canonical_body)?;
        let changed = differing(&claimed, &found);
        if !changed.is_empty() {
            let names = changed.join(", ");
            return Err(wrong(format!(
                "changed since it was made: {names}; check the adapter again"
            )));
        }
        let id = id(&found)?;
        let claimed_id: ContentHash = field(&file, "id")?;
        if claimed_id != id {
            let reason =
                format!("its id is {claimed_id}, its content's is {id}; check the adapter again");
            return Err(wrong(reason));
        }
        let signed: Option<Signed> = match file.get("signature") {
            None | Some(Value::Null) => None,
            Some(_) => Some(field(&file, "signature")?),
        };
        check_signature(id, signed.as_ref(), trusted)?;
        let body = serde_json::from_value(body)
            .map_err(|error| wrong(format!("a part cannot be read: {error}")))?;
        Ok(Self {
            id,
            body,
            signed,
            file,
        })
    }

    /// Hash of all it says.
    #[must_use]
    pub const fn id(&self) -> ContentHash {
        self.id
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// Who signed it, if anybody did.
    #[must_use]
    pub fn signer(&self) -> Option<PublicKey> {
        self.signed.as_ref().map(|signed| signed.public_key)
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.file)
    }

    /// Whether a use is what was measured and passed.
    ///
    /// # Errors
    /// [`Error::Certificate`] naming what differs: the base, the adapters, the scale, or a verdict that is not `pass`.
    pub fn check_covers(&self, wanted: &Use<'_>) -> Result<()> {
        let Body {
            base,
            adapters,
            outcome,
            ..
        } = &self.body;
        if base.sha256 != wanted.base {
            let (was, is) = (base.sha256.short(), wanted.base.short());
            return Err(wrong(format!(
                "the base was {was} when it was made and is {is} now; check the adapter again"
            )));
        }
        let hashes = adapters.iter().map(|adapter| &adapter.sha256);
        if !hashes.eq(wanted.adapters.iter().map(|adapter| &adapter.sha256)) {
            let short = |hashes: &mut dyn Iterator<Item = &ContentHash>| {
                hashes.map(ContentHash::short).collect::<Vec<_>>().join("+")
            };
            let was = short(&mut adapters.iter().map(|adapter| &adapter.sha256));
            let is = short(&mut wanted.adapters.iter().map(|adapter| &adapter.sha256));
            return Err(wrong(format!(
                "it is about adapter {was}, not {is}; check that one"
            )));
        }
        if outcome.verdict != Verdict::Pass {
            let verdict = outcome.verdict;
            return Err(wrong(format!(
                "its verdict is {verdict}: {}",
                outcome.reason
            )));
        }
        let pairs = adapters.iter().zip(wanted.adapters);
        pairs
            .into_iter()
            .try_for_each(|(measured, used)| check_strength(measured, used))
    }
}

fn wrong(reason: String) -> Error {
    Error::Certificate { reason }
}

fn check_strength(measured: &MeasuredAdapter, used: &UsedAdapter) -> Result<()> {
    let (name, scale, most) = (&measured.name, used.scale, measured.scale);
    if !(0.0..=most + SCALE_SLACK).contains(&scale) {
        return Err(wrong(format!(
            "it holds for scales of {name} from 0 to {most}, not for {scale}; check with --scale {scale}"
        )));
    }
    let (was, is) = (measured.profile, used.profile);
    if scale != 0.0 && was != is {
        return Err(wrong(format!(
            "it holds for {name} with profile {was}, not {is}; check {name}={scale}:{is}"
        )));
    }
    Ok(())
}

fn check_format(file: &Value) -> Result<()> {
    if file.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(wrong(format!("the file is not of format {FORMAT}")));
    }
    let version: u64 = field(file, "version")?;
    if version != u64::from(VERSION) {
        let reason = format!(
            "version {version} is not {VERSION}, which this program reads; update unforget"
        );
        return Err(wrong(reason));
    }
    Ok(())
}

fn check_signature(
    id: ContentHash,
    signed: Option<&Signed>,
    trusted: Option<&PublicKey>,
) -> Result<()> {
    if let Some(signed) = signed
        && !signed.is_valid(&statement(id))
    {
        let reason = "its signature does not belong to its content; check the adapter again";
        return Err(wrong(reason.to_owned()));
    }
    match (trusted, signed) {
        (None, _) => Ok(()),
        (Some(key), None) => Err(wrong(format!("it is not signed; key {key} is asked for"))),
        (Some(key), Some(signed)) if signed.public_key == *key => Ok(()),
        (Some(key), Some(signed)) => {
            let other = signed.public_key;
            Err(wrong(format!("it is signed by key {other}, not by {key}")))
        }
    }
}

/// What is signed: format and version take part, so that a signature means nothing anywhere else.
fn statement(id: ContentHash) -> Vec<u8> {
    format!("{FORMAT} {VERSION} {id}").into_bytes()
}

/// A hash for each field of the body; the outcome, which holds nearly everything, by its own fields.
fn parts(canonical_body: &Value) -> Result<BTreeMap<String, ContentHash>> {
    let Value::Object(fields) = canonical_body else {
        return Err(wrong("it has no body".to_owned()));
    };
    let mut parts = BTreeMap::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("outcome", Value::Object(inner)) => {
                for (inner_name, value) in inner {
                    parts.insert(format!("outcome.{inner_name}"), hash(value));
                }
            }
            _ => {
                parts.insert(name.clone(), hash(value));
            }
        }
    }
    Ok(parts)
}

fn hash(value: &Value) -> ContentHash {
    ContentHash::of(&canonical::bytes(value))
}

fn id(parts: &BTreeMap<String, ContentHash>) -> Result<ContentHash> {
    Ok(hash(&canonical::value(parts)?))
}

fn differing(
    claimed: &BTreeMap<String, ContentHash>,
    found: &BTreeMap<String, ContentHash>,
) -> Vec<String> {
    let mut names: Vec<&String> = claimed.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| claimed.get(*name) != found.get(*name));
    names.into_iter().cloned().collect()
}

fn field<T: serde::de::DeserializeOwned>(file: &Value, name: &str) -> Result<T> {
    let value = file.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| wrong(format!("field '{name}': {error}")))
}

#[cfg(test)]
mod tests;
