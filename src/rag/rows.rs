//! What rows look like from outside: documents and chunks as they are listed and shown.
//!
//! How they are found and written is `store`'s.

use super::position::{Position, Span};

/// A document as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DocumentSummary {
    /// Its number in the collection. Kept when the file changes.
    pub id: i64,
    /// Absolute path of the file.
    pub path: String,
    /// sha256 of the file when it was added, in hexadecimal.
    pub sha256: String,
    /// Length of the file then.
    pub bytes: u64,
    /// Chunks it was cut into.
    pub chunks: u64,
    /// Tokens of those chunks; what overlaps is counted twice.
    pub tokens: u64,
    /// When it was added or last updated, in seconds since 1970.
    pub added_at: i64,
    /// When it was first added, in seconds since 1970.
    pub first_added_at: i64,
    /// What read it, with the parser's version: `markdown/1`. Empty for what an older version of this program added.
    pub parser: String,
    /// The encoding that the file was in, `UTF-8`; empty where it is no text.
    pub encoding: String,
    /// Tags that its path was given.
    pub tags: Vec<String>,
}

/// What a document was at one time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// Number of the document.
    pub document: i64,
    /// Absolute path of the file then.
    pub path: String,
    /// sha256 of the file then, in hexadecimal.
    pub sha256: String,
    /// Length of the file then.
    pub bytes: u64,
    /// What read it.
    pub parser: String,
    /// From when on answers saw this version, in seconds since 1970.
    pub added_at: i64,
    /// When it was replaced or removed; none for the version that answers see now.
    pub replaced_at: Option<i64>,
    /// Whether its text can still be shown.
    pub has_text: bool,
}

/// A chunk as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChunkRow {
    /// Its number in the collection. Never given twice.
    pub id: i64,
    /// The document it is from.
    pub document: i64,
    /// Absolute path of that document's file.
    pub path: String,
    /// sha256 of that file as it was read, in hexadecimal.
    pub sha256: String,
    /// First byte in the file.
    pub start: usize,
    /// One past the last byte in the file.
    pub end: usize,
    /// Page and line, and what `start` and `end` are bytes of.
    #[serde(flatten)]
    pub position: Position,
    /// Tokens of the text.
    pub tokens: usize,
    /// Titles of the sections it starts in, joined by ` > `.
    pub heading: String,
    /// What it says.
    pub text: String,
}

/// Selects the tags of a document `d` as [`tags`] reads them.
pub(super) const TAGS: &str = "
(SELECT json_group_array(tag) FROM (SELECT DISTINCT tag FROM tags t WHERE d.path = t.path
    OR substr(d.path, 1, length(t.path) + 1) = t.path || '/' ORDER BY tag))";

/// Reads what [`TAGS`] selects.
pub(super) fn tags(json: &str) -> Vec<String> {
    // Written by SQLite, just now.
    serde_json::from_str(json).unwrap_or_default()
}

/// Selects documents as [`summary`] reads them; to be grouped by `d.id`.
pub(super) fn select_summaries() -> String {
    format!(
        "SELECT d.id, d.path, d.sha256, d.bytes, count(c.id), coalesce(sum(c.n_tokens), 0), d.added_at,
             d.first_added_at, d.parser, d.encoding, {TAGS}
         FROM documents d LEFT JOIN chunks c ON c.document = d.id"
    )
}

/// Selects chunks as [`chunk`] reads them.
pub(super) const CHUNK: &str = "
SELECT c.id, c.document, d.path, c.start, c.\"end\", c.n_tokens, c.heading, c.text, c.page, c.line, c.span, d.sha256
FROM chunks c JOIN documents d ON d.id = c.document";

/// Reads a row of [`select_summaries`].
pub(super) fn summary(row: &rusqlite::Row<'_>) -> rusqlite::Result<DocumentSummary> {
    Ok(DocumentSummary {
        id: row.get(0)?,
        path: row.get(1)?,
        sha256: row.get(2)?,
        bytes: row.get(3)?,
        chunks: row.get(4)?,
        tokens: row.get(5)?,
        added_at: row.get(6)?,
        first_added_at: row.get(7)?,
        parser: row.get(8)?,
        encoding: row.get(9)?,
        tags: tags(&row.get::<_, String>(10)?),
    })
}

/// Reads a row of [`CHUNK`].
pub(super) fn chunk(row: &rusqlite::Row<'_>) -> rusqlite::Result<ChunkRow> {
    Ok(ChunkRow {
        id: row.get(0)?,
        document: row.get(1)?,
        path: row.get(2)?,
        start: row.get(3)?,
        end: row.get(4)?,
        tokens: row.get(5)?,
        heading: row.get(6)?,
        text: row.get(7)?,
        position: Position {
            page: row.get(8)?,
            line: row.get(9)?,
            span: Span::from_code(row.get(10)?),
        },
        sha256: row.get(11)?,
    })
}
