//! `registry.db`: the database of what is installed. The truth about names, origins, hashes and trust; the files
//! themselves lie in [`Home`].
//!
//! A connection each: open a [`Registry`] where it is needed. Writers of several threads and processes wait for each other.

mod adapters;
mod file_hashes;
mod models;
mod reports;
mod sql_types;
mod stack_costs;
mod tuned;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

pub use adapters::AdapterRecord;
pub use models::ModelRecord;
pub use reports::{ForcedUse, ReportRecord};
pub use tuned::TunedRecord;

use super::home::Home;
use crate::{Error, Result};

/// Version of the tables, in SQLite's `user_version`. A file with a higher one was written by a newer program.
const SCHEMA_VERSION: i64 = 4;

/// How long a statement waits for another writer. Writes are single rows: whoever takes longer hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE models (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
    architecture TEXT, source TEXT NOT NULL, licence TEXT, added_at INTEGER NOT NULL
) STRICT;
CREATE TABLE adapters (
    name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, base_sha256 TEXT NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
    scale REAL NOT NULL, provenance TEXT NOT NULL, added_at INTEGER NOT NULL, state_changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE file_hashes (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT;
";

/// What version 2 added: the guard's reports, and adapters used against its advice.
const SCHEMA_2: &str = "
CREATE TABLE reports (
    id TEXT PRIMARY KEY, adapter TEXT NOT NULL, adapter_sha256 TEXT NOT NULL, base_sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL, tier TEXT NOT NULL, scale REAL NOT NULL, path TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE forced_uses (
    adapter TEXT NOT NULL, sha256 TEXT NOT NULL, state TEXT NOT NULL, scale REAL NOT NULL, used_at INTEGER NOT NULL
) STRICT;
";

/// What version 3 added: an adapter is certified for one spread of its scale over the layers.
const SCHEMA_3: &str = "ALTER TABLE adapters ADD COLUMN profile TEXT NOT NULL DEFAULT 'flat'";

/// What version 4 added: copies of models in layouts that are fast on one machine, and what stacks of adapters cost there.
const SCHEMA_4: &str = "
CREATE TABLE tuned (
    base_sha256 TEXT NOT NULL, machine TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, layout TEXT NOT NULL,
    settings TEXT NOT NULL, report TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (base_sha256, machine)
) STRICT;
CREATE TABLE stack_costs (key TEXT PRIMARY KEY, speed_ratio REAL NOT NULL) STRICT;
";

/// The database of installed models, adapters and file hashes.
///
/// # Examples
/// ```
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))?;
/// use unforget::registry::{Home, Registry};
///
/// let home = Home::resolve(Some("test-home".into()))?;
/// let registry = Registry::open(&home)?;
/// let base = registry.model("smollm2")?;
/// assert_eq!(registry.sha256_of(&base.path)?, base.sha256);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Registry {
    connection: Connection,
    path: PathBuf,
}

impl Registry {
    /// Opens the database of a data folder, making both where they are not there yet.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is not a database, or is of a newer version; [`Error::Io`] where the folder
    /// cannot be made; [`Error::Store`] otherwise.
    pub fn open(home: &Home) -> Result<Self> {
        home.create(home.root())?;
        let path = home.registry_db();
        let opened = (|| {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        })();
        let connection = opened.map_err(|error| store_error(error, &path))?;
        let registry = Self { connection, path };
        registry.migrate()?;
        Ok(registry)
    }

    fn migrate(&self) -> Result<()> {
        match self.run(schema_version)? {
            SCHEMA_VERSION => return Ok(()),
            0..SCHEMA_VERSION => {}
            newer => {
                return Err(Error::Damaged {
                    path: self.path.clone(),
                    reason: format!(
                        "it has version {newer} and this program knows {SCHEMA_VERSION}; update unforget, or choose another data folder"
                    ),
                });
            }
        }
        self.run(|connection| {
            // Switching the journal takes the file alone, and the loser of two first opens is told "busy" at once,
            // since waiting could deadlock. The winner has switched it for both.
            match connection.pragma_update(None, "journal_mode", "WAL") {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                other => other?,
            }
            let transaction =
                Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let found = schema_version(&transaction)?;
            for (version, tables) in (1..).zip([SCHEMA, SCHEMA_2, SCHEMA_3, SCHEMA_4]) {
                if found < version {
                    transaction.execute_batch(tables)?;
                }
            }
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()
        })
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.connection).map_err(|error| store_error(error, &self.path))
    }

    /// Read, decide, write, with no other writer in between. Rolls back unless `work` succeeds.
    fn change<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(|error| store_error(error, &self.path))?;
        let done = work()?;
        transaction
            .commit()
            .map_err(|error| store_error(error, &self.path))?;
        Ok(done)
    }
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A database that cannot be read is a damaged file, which no other command will mend; the rest stays SQLite's error.
fn store_error(error: rusqlite::Error, path: &Path) -> Error {
    let unreadable = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    );
    let unexpected = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    );
    if unreadable || unexpected {
        return Error::Damaged {
            path: path.to_owned(),
            reason: format!(
                "{error}; move it away and pull again: files that are there already are verified, not downloaded"
            ),
        };
    }
    Error::Store(error)
}

/// Seconds since 1970; 0 on a clock before that.
fn now() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// A path as it is stored. Databases hold text, so it has to be text.
fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::InvalidArgument {
        what: "path",
        value: path.display().to_string(),
        expected: "a path in UTF-8".to_owned(),
    })
}

fn size_column(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(|_| Error::InvalidArgument {
        what: "size",
        value: bytes.to_string(),
        expected: "at most 2^63 - 1 bytes".to_owned(),
    })
}
