//! Rows: what is read from and written to the database of one collection.
//!
//! One document is one transaction, so that a reader never sees half of one and a killed writer leaves none. Tables and
//! opening are `schema`'s; nothing here embeds, ranks or knows of the graph file.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::embed::EmbedderId;
use super::files::Stat;
use super::filter::{Allowed, Filed};
use super::past::{self, Text};
use super::pending::Key;
use super::position::Position;
use super::rows::{CHUNK, ChunkRow, DocumentSummary, TAGS, chunk, select_summaries, summary, tags};
use super::{schema, vectors};
use crate::{Error, Result};

/// A document on its way into the database.
#[derive(Debug)]
pub(super) struct NewDocument<'a> {
    pub path: &'a str,
    pub sha256: &'a str,
    pub stat: Stat,
    pub chunking: &'a str,
    pub parser: &'a str,
    pub encoding: &'a str,
    pub chunks: Vec<NewChunk<'a>>,
}

/// A chunk on its way into the database.
#[derive(Debug)]
pub(super) struct NewChunk<'a> {
    pub bytes: Range<usize>,
    pub position: Position,
    pub tokens: usize,
    pub heading: &'a str,
    pub text: &'a str,
    pub key: Key,
    pub vector: &'a [f32],
}

/// What is known of a file that was added before.
#[derive(Debug)]
pub(super) struct Known {
    pub id: i64,
    pub path: String,
    pub sha256: String,
    pub chunking: String,
    pub parser: String,
    pub stat: Stat,
}

/// The database of one collection.
#[derive(Debug)]
pub(super) struct Store {
    conn: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the database at `path`, made new where `create` says so.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        Ok(Self {
            conn: schema::open(path, create)?,
            path: path.to_owned(),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads with `read`, its errors explained.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.conn).map_err(|error| schema::explain(&self.path, error))
    }

    /// Reads with `read` from one unmoving snapshot.
    pub fn snapshot<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let explain = |error| schema::explain(&self.path, error);
        let tx = self.conn.unchecked_transaction().map_err(explain)?;
        let value = read(self)?;
        tx.finish().map_err(explain)?;
        Ok(value)
    }

    pub(super) fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let run = |conn: &mut Connection| {
            // Immediate: waits for another writer here, where waiting is possible, not in the middle.
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run(&mut self.conn).map_err(|error| schema::explain(path, error))
    }

    /// A value of `meta`.
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>> {
        self.read(|conn| {
            conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
        })
    }

    /// The random name that this database got when it was made.
    pub fn collection_id(&self) -> Result<String> {
        self.meta("collection")?
            .ok_or_else(|| self.damaged("it has no collection id"))
    }

    /// The embedder that the vectors come from; none before [`Store::bind`].
    pub fn embedder(&self) -> Result<Option<EmbedderId>> {
        let Some(sha256) = self.meta("embedder_sha256")? else {
            return Ok(None);
        };
        let dimension = self.meta("dimension")?.and_then(|text| text.parse().ok());
        Ok(Some(EmbedderId {
            name: self.meta("embedder_name")?.unwrap_or_default(),
            sha256,
            dimension: dimension.ok_or_else(|| self.damaged("it has no vector dimension"))?,
            recipe: self
                .meta("embedder_recipe")?
                .unwrap_or_else(|| EmbedderId::PLAIN.into()),
        }))
    }

    /// Binds the collection to `embedder`, unless it is bound already.
    pub fn bind(&mut self, embedder: &EmbedderId) -> Result<()> {
        self.write(|tx| {
            let mut insert = tx.prepare("INSERT OR IGNORE INTO meta VALUES (?1, ?2)")?;
            insert.execute(["embedder_name", &embedder.name])?;
            insert.execute(["embedder_sha256", &embedder.sha256])?;
            insert.execute(["dimension", &embedder.dimension.to_string()])?;
            insert.execute(["embedder_recipe", &embedder.recipe])?;
            Ok(())
        })
    }

    /// Remembers what `add` was given.
    pub fn remember_sources(&mut self, paths: &[String]) -> Result<()> {
        self.write(|tx| {
            let mut insert = tx.prepare("INSERT OR IGNORE INTO sources VALUES (?1)")?;
            for path in paths {
                insert.execute([path])?;
            }
            Ok(())
        })
    }

    /// What `add` was given, ever.
    pub fn sources(&self) -> Result<Vec<PathBuf>> {
        self.read(|conn| {
            conn.prepare("SELECT path FROM sources ORDER BY path")?
                .query_map([], |row| Ok(PathBuf::from(row.get::<_, String>(0)?)))?
                .collect()
        })
    }

    /// What is known of the file at `path`.
    pub fn known(&self, path: &str) -> Result<Option<Known>> {
        self.read(|conn| {
            conn.prepare_cached(&format!("{KNOWN} WHERE path = ?1"))?
                .query_row([path], known)
                .optional()
        })
    }

    /// What is known of every file.
    pub fn all_known(&self) -> Result<Vec<Known>> {
        self.read(|conn| {
            conn.prepare(&format!("{KNOWN} ORDER BY path"))?
                .query_map([], known)?
                .collect()
        })
    }

    /// Notes length and time of a file that was found to be as it was.
    pub fn touch(&mut self, id: i64, stat: Stat) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "UPDATE documents SET modified_at = ?2 WHERE id = ?1",
                params![id, stat.modified_at],
            )?;
            Ok(())
        })
    }

    /// Gives a document the path that its file was moved to.
    pub fn rename(&mut self, id: i64, path: &str, stat: Stat) -> Result<()> {
        self.write(|tx| {
            past::keep(tx, id, Text::IsStillThere)?;
            tx.execute(
                "UPDATE documents SET path = ?2, modified_at = ?3 WHERE id = ?1",
                params![id, path, stat.modified_at],
            )?;
            Ok(())
        })
    }

    /// Puts a document in place of what its path had before, all or nothing.
    pub fn replace(&mut self, document: &NewDocument<'_>) -> Result<()> {
        self.write(|tx| {
            let before: Option<(i64, String)> = tx
                .prepare_cached("SELECT id, sha256 FROM documents WHERE path = ?1")?
                .query_row([document.path], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((id, _)) = before.filter(|(_, sha256)| sha256 != document.sha256) {
                past::keep(tx, id, Text::Keep)?;
            }
            let id: i64 = tx
                .prepare_cached(
                    "INSERT INTO documents (path, sha256, bytes, chunking, parser, encoding, modified_at,
                         added_at, first_added_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, unixepoch(), unixepoch())
                     ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes,
                         chunking = excluded.chunking, parser = excluded.parser, encoding = excluded.encoding,
                         modified_at = excluded.modified_at, added_at = excluded.added_at
                     RETURNING id",
                )?
                .query_row(
                    params![
                        document.path,
                        document.sha256,
                        document.stat.bytes,
                        document.chunking,
                        document.parser,
                        document.encoding,
                        document.stat.modified_at
                    ],
                    |row| row.get(0),
                )?;
            tx.execute("DELETE FROM chunks WHERE document = ?1", [id])?;
            let mut chunk = tx.prepare_cached(
                "INSERT INTO chunks (document, start, \"end\", n_tokens, heading, text, page, line, span, key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            let mut vector = tx.prepare_cached("INSERT INTO vectors VALUES (?1, ?2)")?;
            for new in &document.chunks {
                let row = chunk.insert(params![
                    id,
                    new.bytes.start,
                    new.bytes.end,
                    new.tokens,
                    new.heading,
                    new.text,
                    new.position.page,
                    new.position.line,
                    new.position.span.code(),
                    new.key.0
                ])?;
                vector.execute(params![row, vectors::to_bytes(new.vector)])?;
            }
            Ok(())
        })
    }

    /// Builds the full-text index anew from the chunks.
    pub fn rebuild_words(&mut self) -> Result<()> {
        self.write(|tx| {
            tx.execute("INSERT INTO words (words) VALUES ('rebuild')", [])?;
            Ok(())
        })
    }

    /// Removes a document with its chunks, and what it said before. False when there is none with that number.
    pub fn remove(&mut self, id: i64) -> Result<bool> {
        self.write(|tx| {
            past::keep(tx, id, Text::Forget)?;
            tx.execute("DELETE FROM chunks WHERE document = ?1", [id])?;
            Ok(tx.execute("DELETE FROM documents WHERE id = ?1", [id])? > 0)
        })
    }

    /// All documents by path.
    pub fn documents(&self) -> Result<Vec<DocumentSummary>> {
        self.read(|conn| {
            conn.prepare(&format!(
                "{} GROUP BY d.id ORDER BY d.path",
                select_summaries()
            ))?
            .query_map([], summary)?
            .collect()
        })
    }

    /// The chunks of one document in order.
    pub fn chunks_of(&self, document: i64) -> Result<Vec<ChunkRow>> {
        self.read(|conn| {
            conn.prepare(&format!(
                "{CHUNK} WHERE c.document = ?1 ORDER BY c.start, c.id"
            ))?
            .query_map([document], chunk)?
            .collect()
        })
    }

    /// One chunk.
    pub fn chunk(&self, id: i64) -> Result<Option<ChunkRow>> {
        self.read(|conn| {
            conn.prepare_cached(&format!("{CHUNK} WHERE c.id = ?1"))?
                .query_row([id], chunk)
                .optional()
        })
    }

    /// Changes whenever another connection has committed.
    pub fn data_version(&self) -> Result<i64> {
        self.read(|conn| conn.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    /// Hands the vectors with ids from `first` on to `each`, ascending.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when `each` refuses one.
    pub fn each_vector(&self, first: i64, mut each: impl FnMut(i64, &[u8]) -> bool) -> Result<()> {
        let refused = self.read(|conn| {
            let mut select =
                conn.prepare("SELECT chunk, vector FROM vectors WHERE chunk >= ?1 ORDER BY chunk")?;
            let mut rows = select.query([first])?;
            while let Some(row) = rows.next()? {
                let (id, blob) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
                if !each(id, blob) {
                    return Ok(Some(id));
                }
            }
            Ok(None)
        })?;
        match refused {
            None => Ok(()),
            Some(id) => Err(Error::Damaged {
                path: self.path.clone(),
                reason: format!(
                    "the vector of chunk {id} is not usable; run `unforget docs rebuild`, which embeds the stored text"
                ),
            }),
        }
    }

    /// The `limit` chunks that match the FTS5 `query` best, with their BM25 scores, best first, ties by id; of the `allowed`
    /// ones, where some are.
    pub fn matching(
        &self,
        query: &str,
        limit: usize,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<(i64, f64)>> {
        self.read(|conn| {
            let mut select = conn.prepare_cached(
                "SELECT rowid, rank FROM words WHERE words MATCH ?1 ORDER BY rank, rowid LIMIT ?2",
            )?;
            // The ranking is made whole in any case; among allowed ones it is read until there are enough.
            let read = if allowed.is_none() {
                limit
            } else {
                usize::MAX >> 1
            };
            select
                // SQLite's rank is the negative of BM25, so that the best come first.
                .query_map(params![query, read], |row| {
                    Ok((row.get(0)?, -row.get::<_, f64>(1)?))
                })?
                .filter(|found| match (found, allowed) {
                    (Ok((id, _)), Some(allowed)) => allowed.has(*id),
                    _ => true,
                })
                .take(limit)
                .collect()
        })
    }

    /// Every document, as a filter looks at it.
    pub fn filed(&self) -> Result<Vec<Filed>> {
        self.read(|conn| {
            conn.prepare(&format!(
                "SELECT id, path, coalesce(modified_at / 1000000000, added_at), {TAGS} FROM documents d"
            ))?
            .query_map([], |row| {
                Ok(Filed {
                    id: row.get(0)?,
                    path: row.get(1)?,
                    at: row.get(2)?,
                    tags: tags(&row.get::<_, String>(3)?),
                })
            })?
            .collect()
        })
    }

    /// Ids of the chunks of `documents`, ascending.
    pub fn chunks_in(&self, documents: &HashSet<i64>) -> Result<Vec<i64>> {
        let mut chunks: Vec<i64> = self.read(|conn| {
            let mut select = conn.prepare_cached("SELECT id FROM chunks WHERE document = ?1")?;
            let mut chunks = Vec::new();
            for document in documents {
                let ids = select.query_map([document], |row| row.get(0))?;
                for id in ids {
                    chunks.push(id?);
                }
            }
            Ok(chunks)
        })?;
        chunks.sort_unstable();
        Ok(chunks)
    }

    /// An error that says this database is damaged.
    pub fn damaged(&self, what: &str) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            reason: format!("{what}; remove the collection and add its files again"),
        }
    }
}

/// Selects what [`known`] reads.
const KNOWN: &str = "SELECT id, path, sha256, chunking, parser, bytes, modified_at FROM documents";

fn known(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        id: row.get(0)?,
        path: row.get(1)?,
        sha256: row.get(2)?,
        chunking: row.get(3)?,
        parser: row.get(4)?,
        stat: Stat {
            bytes: row.get(5)?,
            modified_at: row.get(6)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document<'a>(path: &'a str, texts: &[&'a str]) -> NewDocument<'a> {
        let chunks = texts.iter().map(|text| NewChunk {
            bytes: 0..text.len(),
            position: Position::default(),
            tokens: 1,
            heading: "",
            text,
            key: Key::of("", text),
            vector: &[1.0, 0.0],
        });
        NewDocument {
            path,
            sha256: "00",
            stat: Stat {
                bytes: 1,
                modified_at: None,
            },
            chunking: "200/40",
            parser: "text/1",
            encoding: "UTF-8",
            chunks: chunks.collect(),
        }
    }

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open(&dir.path().join("documents.db"), true).expect("opens")
    }

    /// The words of replaced and removed chunks must leave the full-text index too.
    #[test]
    fn words_follow_chunks() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = store(&dir);
        store
            .replace(&document("/a", &["apples", "pears"]))
            .expect("inserts");
        assert_eq!(
            store.matching("\"apple\"", 9, None).expect("matches").len(),
            1
        );
        store
            .replace(&document("/a", &["plums"]))
            .expect("replaces");
        assert!(
            store
                .matching("\"apple\"", 9, None)
                .expect("matches")
                .is_empty()
        );
        assert_eq!(
            store.matching("\"plum\"", 9, None).expect("matches").len(),
            1
        );
        let id = store.known("/a").expect("reads").expect("is there").id;
        assert!(store.remove(id).expect("removes"));
        assert!(!store.remove(id).expect("finds nothing"));
        assert!(
            store
                .matching("\"plum\"", 9, None)
                .expect("matches")
                .is_empty()
        );
        let mut vectors = 0;
        let count = |_: i64, _: &[u8]| {
            vectors += 1;
            true
        };
        store.each_vector(i64::MIN, count).expect("reads");
        assert_eq!(vectors, 0);
    }

    /// What SQLite reports for a disk without room, without needing one.
    #[test]
    fn full_database_says_so_and_stays_usable() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = store(&dir);
        store
            .replace(&document("/a", &["apples"]))
            .expect("inserts");
        let pages: i64 = store
            .read(|conn| conn.pragma_query_value(None, "page_count", |row| row.get(0)))
            .expect("reads");
        let limit = |store: &Store, pages: i64| {
            store
                .read(|conn| {
                    conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                })
                .expect("sets");
        };
        limit(&store, pages + 2);
        let long = "pears ".repeat(20_000);
        let error = store
            .replace(&document("/b", &[&long]))
            .expect_err("is full");
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert_eq!(store.documents().expect("reads").len(), 1);
        limit(&store, pages + 1000);
        store.replace(&document("/b", &[&long])).expect("fits now");
        assert_eq!(store.documents().expect("reads").len(), 2);
    }
}
