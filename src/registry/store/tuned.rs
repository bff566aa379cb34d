//! Copies of models in layouts that are fast on one machine: rows of the table `tuned`.

use std::path::PathBuf;

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Registry, now, path_text};
use crate::Result;
use crate::engine::ContentHash;

const COLUMNS: &str = "base_sha256, machine, path, sha256, layout, settings, report, created_at";

/// The layout that a model runs in on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TunedRecord {
    /// The model as it was shipped, which adapters belong to.
    pub base_sha256: ContentHash,
    /// The machine that it was measured on.
    pub machine: ContentHash,
    /// The file to run: a copy in another layout, or the one as shipped with other settings.
    pub path: PathBuf,
    /// That file's hash.
    pub sha256: ContentHash,
    /// The layout, in words.
    pub layout: String,
    /// Threads, batch sizes and how weights are held, as JSON.
    pub settings: serde_json::Value,
    /// All that was measured, as JSON.
    pub report: serde_json::Value,
    /// When it was stored, in seconds since 1970. The registry sets it.
    pub created_at: i64,
}

impl TunedRecord {
    /// Whether the file is a copy, and not the one as shipped.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.sha256 != self.base_sha256
    }
}

impl Registry {
    /// Stores the layout of a model on a machine, in place of the one before, which is returned.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for a path that is not UTF-8, [`crate::Error::Store`].
    pub fn set_tuned(&self, record: &TunedRecord) -> Result<Option<TunedRecord>> {
        let path = path_text(&record.path)?;
        let before = self.change(|| {
            let before = self.tuned(record.base_sha256, record.machine)?;
            self.run(|connection| {
                connection.execute(
                    &format!(
                        "INSERT OR REPLACE INTO tuned ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                    ),
                    params![
                        record.base_sha256,
                        record.machine,
                        path,
                        record.sha256,
                        record.layout,
                        record.settings.to_string(),
                        record.report.to_string(),
                        now(),
                    ],
                )
            })?;
            Ok(before)
        })?;
        Ok(before)
    }

    /// The layout of a model on a machine.
    ///
    /// # Errors
    /// [`crate::Error::Store`], [`crate::Error::Damaged`].
    pub fn tuned(&self, base: ContentHash, machine: ContentHash) -> Result<Option<TunedRecord>> {
        self.run(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM tuned WHERE base_sha256 = ?1 AND machine = ?2"
                ))?
                .query_row(params![base, machine], from_row)
                .optional()
        })
    }

    /// The layouts of a model on all machines.
    ///
    /// # Errors
    /// As [`Self::tuned`].
    pub fn tuned_of(&self, base: ContentHash) -> Result<Vec<TunedRecord>> {
        self.run(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM tuned WHERE base_sha256 = ?1"
                ))?
                .query_map([base], from_row)?
                .collect()
        })
    }

    /// Forgets the layouts of a model. Their files are the caller's to remove.
    pub(in crate::registry) fn forget_tuned(&self, base: ContentHash) -> Result<()> {
        self.run(|connection| {
            connection.execute("DELETE FROM tuned WHERE base_sha256 = ?1", [base])
        })?;
        Ok(())
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TunedRecord> {
    let json = |column: usize| -> rusqlite::Result<serde_json::Value> {
        serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                column,
                rusqlite::types::Type::Text,
                error.into(),
            )
        })
    };
    Ok(TunedRecord {
        base_sha256: row.get(0)?,
        machine: row.get(1)?,
        path: PathBuf::from(row.get::<_, String>(2)?),
        sha256: row.get(3)?,
        layout: row.get(4)?,
        settings: json(5)?,
        report: json(6)?,
        created_at: row.get(7)?,
    })
}
