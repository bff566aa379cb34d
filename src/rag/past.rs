//! What documents were before: each version by its hash and times for ever, its text as long as there is room.
//!
//! So that an answer of last month can name the text it saw. The chunks of a version that was replaced are kept together,
//! as JSON, deflated. A document that is removed keeps its names alone: who takes a document out wants its text gone.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{CHUNK, ChunkRow, Version, chunk};
use super::store::Store;
use crate::Result;

/// Bytes of past texts that a collection keeps; the oldest are let go first. Deflated text takes about a third: these are
/// some hundred books.
const KEPT: i64 = 64 << 20;

/// Longest JSON of a version that is kept or read. What is longer is a table or a log rather than a text that somebody
/// would read again.
const MAX_JSON: u64 = 32 << 20;

/// What to do with the text of the version that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// It is replaced by another.
    Keep,
    /// It is the text of the next version, too.
    IsStillThere,
    /// It is to be gone, and that of all versions before.
    Forget,
}

/// Notes what document `id` is now, which is about to end.
pub(super) fn keep(conn: &Connection, id: i64, text: Text) -> rusqlite::Result<()> {
    let chunks = match text {
        Text::Keep => packed(&chunks_of(conn, id)?),
        Text::IsStillThere | Text::Forget => None,
    };
    conn.execute(
        "INSERT INTO versions (document, path, sha256, bytes, parser, added_at, replaced_at, chunks)
         SELECT id, path, sha256, bytes, parser, added_at, unixepoch(), ?2 FROM documents WHERE id = ?1",
        params![id, chunks],
    )?;
    if text == Text::Forget {
        conn.execute(
            "UPDATE versions SET chunks = NULL WHERE document = ?1",
            [id],
        )?;
    }
    Ok(())
}

impl Store {
    /// What a document was, oldest first, without what it is now.
    pub fn versions(&self, document: i64) -> Result<Vec<Version>> {
        self.read(|conn| {
            conn.prepare(
                "SELECT document, path, sha256, bytes, parser, added_at, replaced_at, chunks IS NOT NULL
                 FROM versions WHERE document = ?1 ORDER BY id",
            )?
            .query_map([document], |row| {
                Ok(Version {
                    document: row.get(0)?,
                    path: row.get(1)?,
                    sha256: row.get(2)?,
                    bytes: row.get(3)?,
                    parser: row.get(4)?,
                    added_at: row.get(5)?,
                    replaced_at: row.get(6)?,
                    has_text: row.get(7)?,
                })
            })?
            .collect()
        })
    }

    /// The chunks of a past version of a document; none where they were let go.
    pub fn past_chunks(&self, document: i64, sha256: &str) -> Result<Option<Vec<ChunkRow>>> {
        let packed: Option<Vec<u8>> = self.read(|conn| {
            conn.prepare(
                "SELECT chunks FROM versions WHERE document = ?1 AND sha256 = ?2 AND chunks IS NOT NULL
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![document, sha256], |row| row.get(0))
            .optional()
        })?;
        let chunks = packed.map(|packed| {
            unpacked(&packed)
                .ok_or_else(|| self.damaged("the text of a past version is unreadable"))
        });
        chunks.transpose()
    }

    /// Lets the oldest texts go that there is no room for.
    pub fn trim_past(&mut self) -> Result<()> {
        self.trim_past_to(KEPT)
    }

    fn trim_past_to(&mut self, kept: i64) -> Result<()> {
        let last: Option<i64> = self.read(|conn| {
            conn.query_row(
                "SELECT max(id) FROM (SELECT id, sum(length(chunks)) OVER (ORDER BY id DESC) AS newer
                 FROM versions WHERE chunks IS NOT NULL) WHERE newer > ?1",
                [kept],
                |row| row.get(0),
            )
        })?;
        let Some(last) = last else {
            return Ok(());
        };
        self.write(|tx| {
            tx.execute("UPDATE versions SET chunks = NULL WHERE id <= ?1", [last])?;
            Ok(())
        })
    }
}

fn chunks_of(conn: &Connection, document: i64) -> rusqlite::Result<Vec<ChunkRow>> {
    conn.prepare_cached(&format!(
        "{CHUNK} WHERE c.document = ?1 ORDER BY c.start, c.id"
    ))?
    .query_map([document], chunk)?
    .collect()
}

/// None for what is too long to be kept.
fn packed(chunks: &[ChunkRow]) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(chunks).ok()?;
    let fits = u64::try_from(json.len()).is_ok_and(|length| length <= MAX_JSON);
    let mut packed = Vec::new();
    let mut encoder = DeflateEncoder::new(json.as_slice(), Compression::default());
    let read = encoder.read_to_end(&mut packed);
    read.is_ok().then_some(packed).filter(|_| fits)
}

/// None for what is no packed version.
fn unpacked(packed: &[u8]) -> Option<Vec<ChunkRow>> {
    serde_json::from_reader(DeflateDecoder::new(packed).take(MAX_JSON)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::Position;

    fn row(text: &str) -> ChunkRow {
        ChunkRow {
            id: 7,
            document: 1,
            path: "/a.md".into(),
            sha256: "00".into(),
            start: 3,
            end: 3 + text.len(),
            position: Position::default(),
            tokens: 2,
            heading: "A > B".into(),
            text: text.into(),
        }
    }

    #[test]
    fn what_is_packed_comes_back() {
        let rows = [row("Herons stand."), row("Störche \u{0} \" nisten.")];
        let packed = packed(&rows).expect("is short");
        assert_eq!(unpacked(&packed).as_deref(), Some(&rows[..]));
        assert_eq!(unpacked(&packed[..packed.len() - 3]), None);
        assert_eq!(unpacked(b"no such thing"), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(&folder.path().join("a.db"), true).expect("opens");
        let packed = packed(&[row("Herons stand.")]).expect("is short");
        let length = i64::try_from(packed.len()).expect("short");
        for hash in ["a", "b", "c"] {
            let insert = "INSERT INTO versions (document, path, sha256, bytes, parser, added_at, replaced_at, chunks)
                 VALUES (1, '/a.md', ?1, 1, '', 0, 0, ?2)";
            let written = store.write(|tx| tx.execute(insert, params![hash, packed]));
            written.expect("writes");
        }
        let kept = |store: &Store| -> Vec<bool> {
            let versions = store.versions(1).expect("lists");
            versions.iter().map(|version| version.has_text).collect()
        };
        store.trim_past_to(3 * length).expect("trims");
        assert_eq!(kept(&store), [true, true, true]);
        store.trim_past_to(3 * length - 1).expect("trims");
        assert_eq!(kept(&store), [false, true, true]);
        assert!(store.past_chunks(1, "a").expect("reads").is_none());
        assert_eq!(
            store.past_chunks(1, "c").expect("reads"),
            Some(vec![row("Herons stand.")])
        );
    }
}
