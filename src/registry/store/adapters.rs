//! Imported adapters and the trust in each: rows of the table `adapters`.

use std::path::PathBuf;

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Registry, now, path_text};
use crate::engine::{ContentHash, LayerProfile, Strength};
use crate::registry::adapter_state::AdapterState;
use crate::registry::name::{check_name, nearest};
use crate::{Error, Result};

const COLUMNS: &str = "name, sha256, base_sha256, path, state, scale, provenance, added_at, state_changed_at, profile";

/// Key of the provenance under which reasons for suspicion stand.
const QUARANTINE: &str = "quarantine";

/// An imported adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterRecord {
    /// The name it is called by.
    pub name: String,
    /// Its identity: the hash of its file.
    pub sha256: ContentHash,
    /// The hash of the one base it belongs to.
    pub base_sha256: ContentHash,
    /// Its GGUF file.
    pub path: PathBuf,
    /// The trust in it.
    pub state: AdapterState,
    /// The scale it is used at where none is given; of a certified one the largest that the guard passed.
    pub scale: f32,
    /// How that scale is spread over the layers.
    pub profile: LayerProfile,
    /// Where it came from and how it was made, as its importer wrote it down.
    pub provenance: serde_json::Value,
    /// When it was added, in seconds since 1970. The registry sets it.
    pub added_at: i64,
    /// When the state last changed, in seconds since 1970. The registry sets it.
    pub state_changed_at: i64,
}

impl AdapterRecord {
    /// A newly imported adapter: not trusted yet, at scale 1.
    #[must_use]
    pub fn imported(
        name: &str,
        sha256: ContentHash,
        base_sha256: ContentHash,
        path: PathBuf,
        provenance: serde_json::Value,
    ) -> Self {
        let now = now();
        Self {
            name: name.to_owned(),
            sha256,
            base_sha256,
            path,
            state: AdapterState::Quarantined,
            scale: 1.0,
            profile: LayerProfile::FLAT,
            provenance,
            added_at: now,
            state_changed_at: now,
        }
    }

    /// Scale and profile.
    #[must_use]
    pub const fn strength(&self) -> Strength {
        Strength {
            scale: self.scale,
            profile: self.profile,
        }
    }

    /// Why it was set apart, where there was a reason beyond not having been measured yet.
    #[must_use]
    pub fn quarantine_reasons(&self) -> Vec<&str> {
        let reasons = self.provenance[QUARANTINE].as_array();
        reasons
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .collect()
    }

    /// Writes down why it is set apart.
    pub(in crate::registry) fn set_quarantine_reasons(&mut self, reasons: &[String]) {
        if !self.provenance.is_object() {
            self.provenance = serde_json::json!({ "source": self.provenance });
        }
        self.provenance[QUARANTINE] = reasons.into();
    }
}

impl Registry {
    /// All adapters, by name.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn adapters(&self) -> Result<Vec<AdapterRecord>> {
        self.run(|connection| {
            let mut rows = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM adapters ORDER BY name"))?;
            rows.query_map([], from_row)?.collect()
        })
    }

    /// The adapter of this name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn adapter(&self, name: &str) -> Result<AdapterRecord> {
        if let Some(adapter) = self.imported(name)? {
            return Ok(adapter);
        }
        let adapters = self.adapters()?;
        Err(Error::UnknownName {
            what: "adapter",
            name: name.to_owned(),
            nearest: nearest(name, adapters.iter().map(|adapter| adapter.name.as_str())),
        })
    }

    /// Adds an adapter, quarantined whatever the record says, since only [`Registry::certify`] makes trust. Where the name is
    /// taken, the same content on the same base keeps its state and scale; other content replaces it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name, path or scale that cannot be stored.
    pub fn add_adapter(&self, adapter: &AdapterRecord) -> Result<()> {
        check_name("adapter name", &adapter.name)?;
        check_scale(adapter.scale)?;
        let path = path_text(&adapter.path)?;
        self.change(|| {
            let same = self.imported(&adapter.name)?.filter(|old| {
                (old.sha256, old.base_sha256) == (adapter.sha256, adapter.base_sha256)
            });
            let now = now();
            let kept = match same {
                Some(old) => old,
                None => AdapterRecord {
                    state: AdapterState::Quarantined,
                    added_at: now,
                    state_changed_at: now,
                    ..adapter.clone()
                },
            };
            self.run(|connection| {
                connection.execute(
                    &format!("INSERT OR REPLACE INTO adapters ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"),
                    params![
                        adapter.name,
                        adapter.sha256,
                        adapter.base_sha256,
                        path,
                        kept.state,
                        kept.scale,
                        adapter.provenance.to_string(),
                        kept.added_at,
                        kept.state_changed_at,
                        kept.profile,
                    ],
                )
            })?;
            Ok(())
        })
    }

    /// Changes the state of an adapter, and keeps its scale. Trust is not given here: only [`Registry::certify`] does.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::InvalidArgument`] for a change that [`AdapterState::may_become`] forbids, and for
    /// certified where it is not certified already.
    pub fn set_state(&self, name: &str, state: AdapterState) -> Result<()> {
        if state == AdapterState::Certified && self.adapter(name)?.state != state {
            return Err(Error::InvalidArgument {
                what: "state",
                value: state.to_string(),
                expected: format!(
                    "quarantined or retired: an adapter is certified by measuring alone, with `unforget check {name}`"
                ),
            });
        }
        self.change_state(name, state, None)
    }

    /// Sets an adapter apart, with the reasons, which stay with it and are listed.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::Store`].
    pub fn quarantine(&self, name: &str, reasons: &[String]) -> Result<()> {
        self.change_state(name, AdapterState::Quarantined, None)?;
        self.change(|| {
            let mut adapter = self.adapter(name)?;
            adapter.set_quarantine_reasons(reasons);
            self.run(|connection| {
                connection.execute(
                    "UPDATE adapters SET provenance = ?2 WHERE name = ?1",
                    params![name, adapter.provenance.to_string()],
                )
            })?;
            Ok(())
        })
    }

    /// Takes the row of an adapter away. Its file is the caller's to remove.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(in crate::registry) fn forget_adapter(&self, name: &str) -> Result<()> {
        self.run(|connection| connection.execute("DELETE FROM adapters WHERE name = ?1", [name]))?;
        Ok(())
    }

    /// Records that the guard passed an adapter at scales up to that of `strength`, with its profile.
    ///
    /// # Errors
    /// As for [`Registry::set_state`], and [`Error::InvalidArgument`] for a scale that is not a positive number.
    pub fn certify(&self, name: &str, strength: Strength) -> Result<()> {
        check_scale(strength.scale)?;
        self.change_state(name, AdapterState::Certified, Some(strength))
    }

    /// Records that the guard failed an adapter at `strength`. One that is certified up to a smaller scale, or with another
    /// profile, keeps that: it was measured too.
    ///
    /// # Errors
    /// As for [`Registry::set_state`].
    pub fn fail(&self, name: &str, strength: Strength) -> Result<AdapterState> {
        let adapter = self.adapter(name)?;
        if adapter.state == AdapterState::Certified && !adapter.strength().covers(strength) {
            return Ok(AdapterState::Certified);
        }
        self.change_state(name, AdapterState::Failed, None)?;
        Ok(AdapterState::Failed)
    }

    fn change_state(
        &self,
        name: &str,
        next: AdapterState,
        strength: Option<Strength>,
    ) -> Result<()> {
        self.change(|| {
            let adapter = self.adapter(name)?;
            if !adapter.state.may_become(next) {
                return Err(Error::InvalidArgument {
                    what: "state",
                    value: next.to_string(),
                    expected: format!(
                        "another one for '{name}', which is {}: make it quarantined and check it again first",
                        adapter.state
                    ),
                });
            }
            let strength = strength.unwrap_or(adapter.strength());
            let changed_at = if adapter.state == next { adapter.state_changed_at } else { now() };
            self.run(|connection| {
                connection.execute(
                    "UPDATE adapters SET state = ?2, scale = ?3, state_changed_at = ?4, profile = ?5 WHERE name = ?1",
                    params![name, next, strength.scale, changed_at, strength.profile],
                )
            })?;
            Ok(())
        })
    }

    fn imported(&self, name: &str) -> Result<Option<AdapterRecord>> {
        self.run(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM adapters WHERE name = ?1"))?
                .query_row([name], from_row)
                .optional()
        })
    }
}

fn check_scale(scale: f32) -> Result<()> {
    if scale.is_finite() && scale > 0.0 {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        what: "scale",
        value: scale.to_string(),
        expected: "a number above 0".to_owned(),
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AdapterRecord> {
    Ok(AdapterRecord {
        name: row.get(0)?,
        sha256: row.get(1)?,
        base_sha256: row.get(2)?,
        path: PathBuf::from(row.get::<_, String>(3)?),
        state: row.get(4)?,
        scale: row.get(5)?,
        provenance: serde_json::from_str(&row.get::<_, String>(6)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, error.into())
        })?,
        added_at: row.get(7)?,
        state_changed_at: row.get(8)?,
        profile: row.get(9)?,
    })
}
