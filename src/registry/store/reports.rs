//! The guard's reports, and adapters that were used against its advice: rows of `reports` and `forced_uses`. The
//! reports themselves are files, see [`crate::registry::Home::reports`].

use std::path::PathBuf;

use rusqlite::{Row, params};
use serde::Serialize;

use super::{Registry, now, path_text};
use crate::engine::ContentHash;
use crate::registry::adapter_state::AdapterState;
use crate::{Error, Result};

const COLUMNS: &str =
    "id, adapter, adapter_sha256, base_sha256, verdict, tier, scale, path, created_at";
/// Fewest digits that name a report.
const MIN_PREFIX: usize = 4;

/// A stored report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRecord {
    /// Hash of what it says.
    pub id: ContentHash,
    /// Names of the adapters, joined by `+`.
    pub adapter: String,
    /// Hash of the first adapter.
    pub adapter_sha256: ContentHash,
    /// Hash of the base.
    pub base_sha256: ContentHash,
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// How thorough the check was.
    pub tier: String,
    /// Scale that was measured.
    pub scale: f32,
    /// The file.
    pub path: PathBuf,
    /// When it was stored, in seconds since 1970. The registry sets it.
    pub created_at: i64,
}

/// An adapter that was run with `--force` against what the guard says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForcedUse {
    /// Its name.
    pub adapter: String,
    /// Its content.
    pub sha256: ContentHash,
    /// Its state at the time.
    pub state: AdapterState,
    /// The scale it was run at.
    pub scale: f32,
    /// When, in seconds since 1970. The registry sets it.
    pub used_at: i64,
}

impl ReportRecord {
    /// Whether the guard failed what it is about.
    #[must_use]
    pub fn is_fail(&self) -> bool {
        self.verdict == "fail"
    }
}

impl Registry {
    /// Adds a report, or replaces the same one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path that is not UTF-8, [`Error::Store`].
    pub fn add_report(&self, report: &ReportRecord) -> Result<()> {
        let path = path_text(&report.path)?;
        self.run(|connection| {
            connection.execute(
                &format!(
                    "INSERT OR REPLACE INTO reports ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                ),
                params![
                    report.id,
                    report.adapter,
                    report.adapter_sha256,
                    report.base_sha256,
                    report.verdict,
                    report.tier,
                    report.scale,
                    path,
                    now(),
                ],
            )
        })?;
        Ok(())
    }

    /// All reports, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn reports(&self) -> Result<Vec<ReportRecord>> {
        self.run(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM reports ORDER BY created_at DESC, rowid DESC"
                ))?
                .query_map([], from_row)?
                .collect()
        })
    }

    /// The newest report about this content alone on this base, whatever name it had.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn last_report(
        &self,
        adapter: ContentHash,
        base: ContentHash,
    ) -> Result<Option<ReportRecord>> {
        let about = |report: &ReportRecord| {
            // Several measured together are joined by a sign that no name has.
            (report.adapter_sha256, report.base_sha256) == (adapter, base)
                && !report.adapter.contains('+')
        };
        Ok(self.reports()?.into_iter().find(about))
    }

    /// The report with this id, or the beginning of it (at least 4 digits), or else the newest of the adapter of that name.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::InvalidArgument`] where several begin so.
    pub fn report(&self, text: &str) -> Result<ReportRecord> {
        let reports = self.reports()?;
        let begins = |report: &&ReportRecord| {
            text.len() >= MIN_PREFIX && report.id.to_string().starts_with(text)
        };
        let mut found = reports.iter().filter(begins);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Error::InvalidArgument {
                what: "report",
                value: text.to_owned(),
                expected: "more digits, since several reports begin so".to_owned(),
            }),
            (Some(only), None) => Ok(only.clone()),
            (None, _) => reports
                .iter()
                .find(|report| report.adapter == text)
                .cloned()
                .ok_or_else(|| Error::UnknownName {
                    what: "report",
                    name: text.to_owned(),
                    nearest: crate::registry::name::nearest(
                        text,
                        reports.iter().map(|report| report.adapter.as_str()),
                    ),
                }),
        }
    }

    /// Records that an adapter was used against what the guard says.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn add_forced_use(&self, used: &ForcedUse) -> Result<()> {
        self.run(|connection| {
            connection.execute(
                "INSERT INTO forced_uses (adapter, sha256, state, scale, used_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![used.adapter, used.sha256, used.state, used.scale, now()],
            )
        })?;
        Ok(())
    }

    /// What was used against what the guard says, the oldest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn forced_uses(&self) -> Result<Vec<ForcedUse>> {
        self.run(|connection| {
            connection
                .prepare_cached(
                    "SELECT adapter, sha256, state, scale, used_at FROM forced_uses ORDER BY rowid",
                )?
                .query_map([], |row| {
                    Ok(ForcedUse {
                        adapter: row.get(0)?,
                        sha256: row.get(1)?,
                        state: row.get(2)?,
                        scale: row.get(3)?,
                        used_at: row.get(4)?,
                    })
                })?
                .collect()
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ReportRecord> {
    Ok(ReportRecord {
        id: row.get(0)?,
        adapter: row.get(1)?,
        adapter_sha256: row.get(2)?,
        base_sha256: row.get(3)?,
        verdict: row.get(4)?,
        tier: row.get(5)?,
        scale: row.get(6)?,
        path: PathBuf::from(row.get::<_, String>(7)?),
        created_at: row.get(8)?,
    })
}
