//! A question as a query of SQLite's full-text index.
//!
//! Nothing a user types is syntax: each word is quoted, and any of them may match. Ranking is BM25, in SQLite.

use super::words;

/// Words of a question that are asked for. BM25 looks at each posting of each; a pasted page must not stall a search.
const MAX_KEYWORDS: usize = 64;

/// The FTS5 query for `question`; none when it has no words.
pub(super) fn query(question: &str) -> Option<String> {
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
