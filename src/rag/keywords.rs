//! A question as a query of SQLite's full-text index.
//!
//! Nothing a user types is syntax: each word is quoted, and any of them may match. Ranking is BM25, in SQLite.

use rusqlite::params;

use super::store::Store;
use super::words;
use crate::Result;

/// Words of a question that are asked for. BM25 looks at each posting of each; a pasted page must not stall a search.
const MAX_KEYWORDS: usize = 64;

/// The `limit` best matching chunks for `question` with their BM25 scores, best first, ties by id.
pub(super) fn matching(store: &Store, question: &str, limit: usize) -> Result<Vec<(i64, f64)>> {
    let Some(query) = query(question) else {
        return Ok(Vec::new());
    };
    store.read(|conn| {
        conn.prepare_cached(
            "SELECT rowid, rank FROM words WHERE words MATCH ?1 ORDER BY rank, rowid LIMIT ?2",
        )?
        // SQLite's rank is the negative of BM25, so that the best come first.
        .query_map(params![query, limit], |row| {
            Ok((row.get(0)?, -row.get::<_, f64>(1)?))
        })?
        .collect()
    })
}

/// The FTS5 query for `question`; none when it has no words.
fn query(question: &str) -> Option<String> {
    let lower: Vec<String> = words::spans(question)
        .filter_map(|span| question.get(span))
        .map(str::to_lowercase)
        .collect();
    let content = |word: &&String| !words::is_stop_word(word);
    let mut chosen: Vec<&String> = lower.iter().filter(content).take(MAX_KEYWORDS).collect();
    if chosen.is_empty() {
        chosen.extend(lower.iter().take(MAX_KEYWORDS));
    }
    let quoted: Vec<String> = chosen.iter().map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::query;

    #[test]
    fn nothing_is_syntax() {
        let asked = query("NEAR(\"a\" b) AND text:foo* NOT 'x'; --");
        let expected = "\"near\" OR \"b\" OR \"text\" OR \"foo\" OR \"x\"";
        assert_eq!(asked.as_deref(), Some(expected));
    }

    #[test]
    fn grammar_is_asked_for_only_alone() {
        assert_eq!(query("The Who?").as_deref(), Some("\"the\" OR \"who\""));
        assert_eq!(query(" ?! "), None);
    }
}
