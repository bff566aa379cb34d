//! Words of a text: what keyword search asks for and what lexical support is counted in.
//!
//! English-minded and small on purpose; a text in another language still works, with its function words counted.

use std::ops::Range;

/// Words that carry grammar rather than content. Kept short: a word too few costs a little precision, one too many
/// makes a question unanswerable ("who", the band).
const STOP_WORDS: [&str; 96] = [
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "being", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from",
    "had", "has", "have", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is",
    "it", "its", "just", "many", "may", "me", "more", "most", "much", "my", "no", "not", "of",
    "on", "only", "or", "other", "our", "s", "she", "should", "so", "some", "such", "t", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "up",
    "us", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose",
    "why", "will", "with", "would", "yes", "you", "your",
];

/// Numbers that prose writes as words, from one: "two fumbles" supports "2 fumbles".
const SPELLED: [&str; 12] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
];

/// A word of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Lowercase, without its English inflection.
    pub stem: String,
    /// What it counts for: see [`Kind`].
    pub kind: Kind,
}

/// How much a word gives away about where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Has a digit, and is not spelled out: dates, scores, amounts.
    Number,
    /// Starts with a capital inside of a sentence.
    Name,
    /// Everything else.
    Plain,
}

/// Where the words of `text` are: runs of letters and digits.
pub(super) fn spans(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.find(|(_, c)| c.is_alphanumeric())?;
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = chars.next_if(|&(at, c)| joins(text, at, c)) {
            end = at + c.len_utf8();
        }
        Some(start..end)
    })
}

/// Whether `c`, at byte `at`, goes on with the word before it. A separator between digits does: 5,000 is one number.
fn joins(text: &str, at: usize, c: char) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let around = |at: usize| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at..).and_then(|tail| tail.chars().nth(1));
        digit(before) && digit(after)
    };
    c.is_alphanumeric() || (matches!(c, ',' | '.') && around(at))
}

/// The words of content in `text`, which is one sentence.
pub(super) fn content(text: &str) -> Vec<Word> {
    let words = spans(text).enumerate();
    words
        .filter_map(|(nth, span)| {
            let word = text.get(span)?;
            let lower = word.to_lowercase();
            if is_stop_word(&lower) {
                return None;
            }
            let kind = if word.contains(|c: char| c.is_ascii_digit()) {
                Kind::Number
            } else if nth > 0 && word.starts_with(char::is_uppercase) {
                Kind::Name
            } else {
                Kind::Plain
            };
            let stem = stem(&lower);
            Some(Word { stem, kind })
        })
        .collect()
}

/// Whether a lowercase word carries grammar only.
pub(super) fn is_stop_word(lower: &str) -> bool {
    STOP_WORDS.binary_search(&lower).is_ok()
}

/// A small number that is written as a lowercase word, in digits; any other word as it is.
pub(super) fn digits_of_small_number(lower: &str) -> String {
    let spelled = (1u8..).zip(SPELLED).find(|(_, word)| *word == lower);
    spelled.map_or_else(|| lower.to_owned(), |(number, _)| number.to_string())
}

/// A lowercase word without the commonest English endings: enough to match "named" with "names", no linguistics.
/// Numbers lose their separators, and small ones are digits however they are written.
fn stem(lower: &str) -> String {
    let spelled = digits_of_small_number(lower);
    if spelled != lower {
        return spelled;
    }
    let number = lower.replace(',', "");
    if number.starts_with(|c: char| c.is_ascii_digit()) {
        return number;
    }
    let endings = ["ing", "ies", "ed", "es", "s", "y", "e"];
    let ending = endings.iter().find(|ending| {
        lower
            .strip_suffix(**ending)
            .is_some_and(|stem| stem.chars().count() >= 3)
    });
    match ending.and_then(|ending| lower.strip_suffix(ending)) {
        Some(stem) => stem.to_owned(),
        None => lower.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn words_have_stems_and_kinds() {
        let words = content("The winner, Von Miller, scored 2,249.5 yards in Łódź.");
        let seen: Vec<(&str, Kind)> = words.iter().map(|w| (w.stem.as_str(), w.kind)).collect();
        let expected = [
            ("winner", Kind::Plain),
            ("von", Kind::Name),
            ("miller", Kind::Name),
            ("scor", Kind::Plain),
            ("2249.5", Kind::Number),
            ("yard", Kind::Plain),
            ("łódź", Kind::Name),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn inflections_share_a_stem() {
        for family in [
            ["named", "names", "name"],
            ["cities", "city", "city"],
            ["8", "eight", "Eight"],
        ] {
            let stems = family.map(|word| stem(&word.to_lowercase()));
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
    }
}
