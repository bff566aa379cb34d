//! The database of a collection: its tables, how it is opened, and what its errors mean to a person.
//!
//! Reading and writing rows is `store`'s. The format is versioned by `PRAGMA user_version`; an older one is migrated
//! here, in one transaction, a newer one is refused.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::pending::Key;
use crate::{Error, Result};

/// Version of the tables below.
pub(super) const SCHEMA_VERSION: i64 = 4;

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

/// From version 1 to 2: where chunks stand, what documents were, and what was embedded by what was said.
///
/// `chunks.key` names what was embedded (see `pending`), so that the same text is embedded once in a collection.
/// `documents.parser` of what version 1 added stays empty, so that its files are read again once, for their lines,
/// without being embedded again.
const TO_VERSION_2: &str = "
ALTER TABLE documents ADD COLUMN parser TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN encoding TEXT NOT NULL DEFAULT 'UTF-8';
-- Nanoseconds since 1970; NULL where the file's time cannot be trusted.
ALTER TABLE documents ADD COLUMN modified_at INTEGER;
ALTER TABLE documents ADD COLUMN first_added_at INTEGER NOT NULL DEFAULT 0;
UPDATE documents SET first_added_at = added_at;
CREATE INDEX documents_by_sha256 ON documents (sha256);

ALTER TABLE chunks ADD COLUMN page INTEGER;
ALTER TABLE chunks ADD COLUMN line INTEGER;
-- 0: start and end are bytes of the file that are the text, 1: that it was made from, 2: bytes of an extracted text.
ALTER TABLE chunks ADD COLUMN span INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chunks ADD COLUMN key BLOB;
CREATE INDEX chunks_by_key ON chunks (key);

-- Vectors of documents that are still being embedded.
CREATE TABLE pending (
    key    BLOB PRIMARY KEY,
    vector BLOB NOT NULL
) WITHOUT ROWID;

-- Vectors of another embedder, until all chunks have one.
CREATE TABLE next_vectors (
    chunk  INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
);

-- What documents were before: the hash tells whether a file is the one that an answer saw.
CREATE TABLE versions (
    id          INTEGER PRIMARY KEY,
    document    INTEGER NOT NULL,
    path        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    parser      TEXT NOT NULL,
    added_at    INTEGER NOT NULL,
    replaced_at INTEGER NOT NULL
);
CREATE INDEX versions_by_document ON versions (document);
";

/// From version 2 to 3: tags, and what became of vectors since the index file was written.
///
/// `meta.index_epoch` names a state of the rows. The index file says which one it was made from; vectors with greater ids
/// have come since, and those in `gone` have left. A new file begins a new epoch and empties `gone`, so that whoever has an
/// old file open notices.
const TO_VERSION_3: &str = "
-- All documents at or below `path`, those to come too.
CREATE TABLE tags (
    path TEXT NOT NULL,
    tag  TEXT NOT NULL,
    PRIMARY KEY (path, tag)
) WITHOUT ROWID;

CREATE TABLE gone (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    chunk INTEGER NOT NULL
);
CREATE TRIGGER vectors_gone AFTER DELETE ON vectors BEGIN
    INSERT INTO gone (chunk) VALUES (old.chunk);
END;
INSERT INTO meta VALUES ('index_epoch', lower(hex(randomblob(8))));
";

/// From version 3 to 4: what past versions said (see `past`), as far as it is kept.
const TO_VERSION_4: &str = "
ALTER TABLE versions ADD COLUMN chunks BLOB;
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
    if !create && is_on_read_only_disk(path) {
        return open_read_only(path);
    }
    let mut conn = Connection::open_with_flags(path, flags).map_err(explain)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    check_version(&conn, path)?;
    configure(&conn).map_err(explain)?;
    create_tables(&mut conn).map_err(explain)?;
    Ok(conn)
}

/// Whether the disk itself refuses writing; missing rights are another matter, since others may have them.
fn is_on_read_only_disk(path: &Path) -> bool {
    let opened = std::fs::File::options().write(true).open(path);
    opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
}

/// Opens a database that nobody can change, for reading. SQLite needs no log and no shared memory for it then.
fn open_read_only(path: &Path) -> Result<Connection> {
    let refuse = |reason: &str| Error::Damaged {
        path: path.to_owned(),
        reason: format!(
            "its disk is read-only, and {reason}; use it once where it can be written to"
        ),
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(refuse("its last changes are still in its log"));
    }
    let explain = |error| explain(path, error);
    let name = path
        .to_str()
        .ok_or_else(|| refuse("its name is not UTF-8"))?;
    let name = name
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let name = format!("file:{name}?immutable=1");
    let conn = Connection::open_with_flags(name, flags).map_err(explain)?;
    check_version(&conn, path)?;
    if pragma(&conn, "user_version").map_err(explain)? != SCHEMA_VERSION {
        return Err(refuse(
            "it is of an older version, which has to be migrated",
        ));
    }
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

/// Makes the tables, or brings older ones up to date, in one transaction, unless another process was first.
fn create_tables(conn: &mut Connection) -> rusqlite::Result<()> {
    if pragma(conn, "user_version")? == SCHEMA_VERSION {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = pragma(&tx, "user_version")?;
    if version < 1 {
        tx.execute_batch(TABLES)?;
        tx.execute(
            "INSERT INTO meta VALUES ('collection', lower(hex(randomblob(16))))",
            [],
        )?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if version < 2 {
        tx.execute_batch(TO_VERSION_2)?;
        name_embedded(&tx)?;
    }
    if version < 3 {
        tx.execute_batch(TO_VERSION_3)?;
    }
    if version < 4 {
        tx.execute_batch(TO_VERSION_4)?;
    }
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()
}

/// Gives the chunks of version 1 their keys.
fn name_embedded(conn: &Connection) -> rusqlite::Result<()> {
    let mut select = conn.prepare("SELECT id, heading, text FROM chunks")?;
    let mut update = conn.prepare("UPDATE chunks SET key = ?2 WHERE id = ?1")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (heading, text): (String, String) = (row.get(1)?, row.get(2)?);
        update.execute(rusqlite::params![
            row.get::<_, i64>(0)?,
            Key::of(&heading, &text).0
        ])?;
    }
    Ok(())
}

/// SQLite's extended code for "the shared-memory file could not grow": what a full disk looks like to a reader.
const IOERR_SHMSIZE: std::ffi::c_int = 10 | (19 << 8);

/// What an error of SQLite means for the database at `path`.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied,
        ReadOnly, SystemIoFailure,
    };
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
        Some(code) if code.code == DatabaseBusy => Error::Busy {
            collection: path.display().to_string(),
            pid: None,
            since: None,
        },
        Some(code)
            if matches!(
                code.code,
                CannotOpen | PermissionDenied | ReadOnly | SystemIoFailure
            ) =>
        {
            Error::Io(std::io::Error::other(format!(
                "cannot use {}: {error}; is its disk there, and may it be written to?",
                path.display()
            )))
        }
        _ => Error::Store(error),
    }
}
