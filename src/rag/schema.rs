//! The database of a collection: its tables, how it is opened, and what its errors mean to a person.
//!
//! Reading and writing rows is `store`'s. The format is versioned by `PRAGMA user_version`; an older one is migrated
//! here when there is one, a newer one is refused.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Error, Result};

/// Version of the tables below.
pub(super) const SCHEMA_VERSION: i64 = 1;

/// Marks a SQLite file as ours, `PRAGMA application_id`: "ufgt".
const APPLICATION_ID: i64 = 0x7566_6774;

/// How long to wait for another process that is writing. One document is one transaction of milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Version 1.
///
/// `AUTOINCREMENT` matters for chunks: an id is never given twice, so that the graph file, which names chunks by id,
/// cannot mistake a new chunk for an old one.
const TABLES: &str = "
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What `add` was given: `sync` walks it again.
CREATE TABLE sources (
    path TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE documents (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    path     TEXT NOT NULL UNIQUE,
    sha256   TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    chunking TEXT NOT NULL,
    added_at INTEGER NOT NULL
);

CREATE TABLE chunks (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    start    INTEGER NOT NULL,
    \"end\"    INTEGER NOT NULL CHECK (\"end\" > start),
    n_tokens INTEGER NOT NULL,
    heading  TEXT NOT NULL,
    text     TEXT NOT NULL
);
CREATE INDEX chunks_by_document ON chunks (document, start);

-- f32, little-endian, unit length.
CREATE TABLE vectors (
    chunk  INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
);

CREATE VIRTUAL TABLE words USING fts5 (
    heading, text, content = 'chunks', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER words_insert AFTER INSERT ON chunks BEGIN
    INSERT INTO words (rowid, heading, text) VALUES (new.id, new.heading, new.text);
END;
CREATE TRIGGER words_delete AFTER DELETE ON chunks BEGIN
    INSERT INTO words (words, rowid, heading, text) VALUES ('delete', old.id, old.heading, old.text);
END;
";

/// Opens the database at `path`, with its tables, or makes it where `create` says so.
///
/// # Errors
///
/// [`Error::Damaged`] when the file is no database of ours, is damaged or newer; otherwise what SQLite says.
pub(super) fn open(path: &Path, create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let explain = |error| explain(path, error);
    let mut conn = Connection::open_with_flags(path, flags).map_err(explain)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    check_version(&conn, path)?;
    configure(&conn).map_err(explain)?;
    create_tables(&mut conn).map_err(explain)?;
    Ok(conn)
}

/// Write-ahead log: readers go on while one writes. With `synchronous = NORMAL` a kill loses nothing committed; a
/// power cut may lose the last commits, never the database.
fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "normal")?;
    conn.pragma_update(None, "foreign_keys", true)
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

fn check_version(conn: &Connection, path: &Path) -> Result<()> {
    let explain = |error| explain(path, error);
    let version = pragma(conn, "user_version").map_err(explain)?;
    let application = pragma(conn, "application_id").map_err(explain)?;
    let refuse = |reason: String| {
        Err(Error::Damaged {
            path: path.to_owned(),
            reason,
        })
    };
    match (application, version) {
        (0, 0) | (APPLICATION_ID, 0..=SCHEMA_VERSION) => Ok(()),
        (APPLICATION_ID, newer) => refuse(format!(
            "it has schema version {newer} and this program knows up to {SCHEMA_VERSION}; update unforget"
        )),
        _ => refuse("it is not a document collection of unforget".into()),
    }
}

/// Makes the tables in one transaction, unless another process was first.
fn create_tables(conn: &mut Connection) -> rusqlite::Result<()> {
    if pragma(conn, "user_version")? == SCHEMA_VERSION {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if pragma(&tx, "user_version")? == 0 {
        tx.execute_batch(TABLES)?;
        tx.execute(
            "INSERT INTO meta VALUES ('collection', lower(hex(randomblob(16))))",
            [],
        )?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    tx.commit()
}

/// SQLite's extended code for "the shared-memory file could not grow": what a full disk looks like to a reader.
const IOERR_SHMSIZE: std::ffi::c_int = 10 | (19 << 8);

/// What an error of SQLite means for the database at `path`.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    match error.sqlite_error() {
        Some(code) if code.code == DiskFull || code.extended_code == IOERR_SHMSIZE => {
            Error::DiskFull {
                path: path.to_owned(),
                needed_and_free: None,
            }
        }
        Some(code) if matches!(code.code, DatabaseCorrupt | NotADatabase) => Error::Damaged {
            path: path.to_owned(),
            reason: format!(
                "{error}; restore it, or remove the collection and add its files again"
            ),
        },
        _ => Error::Store(error),
    }
}
