//! Where the sentences of a text are.
//!
//! Rules, not a model: good enough to narrow a citation and to trim a passage. A boundary that is missed makes a
//! citation longer, never wrong.

use std::ops::Range;

/// Words that end in a full stop without ending a sentence.
const ABBREVIATIONS: [&str; 31] = [
    "a.m", "approx", "ave", "c", "ca", "capt", "cf", "co", "col", "corp", "dept", "dr", "e.g",
    "etc", "fig", "gen", "i.e", "inc", "jr", "lt", "ltd", "mr", "mrs", "ms", "no", "p.m", "prof",
    "sr", "st", "v", "vs",
];

/// Byte ranges of the sentences of `text`, in order, without the white space around them.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if ends_sentence(text, at, c) {
            push(text, start..end, &mut found);
            start = end;
        }
    }
    push(text, start..text.len(), &mut found);
    found
}

fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let Some(raw) = text.get(range.clone()) else {
        return;
    };
    let start = range.start + (raw.len() - raw.trim_start().len());
    let sentence = raw.trim();
    if !sentence.is_empty() {
        found.push(start..start + sentence.len());
    }
}

/// Whether a sentence ends after the character `c` at byte `at`.
fn ends_sentence(text: &str, at: usize, c: char) -> bool {
    let before = text.get(..at).unwrap_or("");
    let after = text.get(at + c.len_utf8()..).unwrap_or("");
    if c == '\n' {
        return starts_block(after);
    }
    if matches!(c, '。' | '！' | '？') {
        return true;
    }
    // The mark itself, or what closes after it: `he said "no."`
    let closing = matches!(c, '"' | '”' | '’' | '\'' | ')' | ']');
    let marked = if closing {
        before.trim_end_matches(['"', '”', '’', '\'', ')', ']'])
    } else {
        before
    };
    let mark = if closing {
        marked.chars().next_back()
    } else {
        Some(c)
    };
    let Some(mark) = mark.filter(|mark| matches!(mark, '.' | '!' | '?' | '…')) else {
        return false;
    };
    let spaced = after.starts_with(char::is_whitespace);
    if !spaced || after.trim_start().starts_with(char::is_lowercase) {
        return false;
    }
    let word = if closing {
        marked.strip_suffix(mark).unwrap_or(marked)
    } else {
        before
    };
    mark != '.' || !is_abbreviated(word)
}

/// Whether what follows a line break is set apart: a blank line, a list item, a heading, a quotation.
fn starts_block(after: &str) -> bool {
    let line = after.trim_start_matches([' ', '\t', '\r']);
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered =
        digits.len() < line.len() && (digits.starts_with(". ") || digits.starts_with(") "));
    numbered
        || ["\n", "- ", "* ", "+ ", "#", "> ", "|", "```"]
            .iter()
            .any(|mark| line.starts_with(mark))
}

/// Whether `before`, which a full stop follows, ends in an abbreviation or an initial.
fn is_abbreviated(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| !(c.is_alphanumeric() || c == '.'))
        .next()
        .unwrap_or("");
    let lower = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.starts_with(char::is_uppercase);
    let letter = |part: &str| part.chars().count() == 1 && part.starts_with(char::is_alphabetic);
    let dotted = word.contains('.') && word.split('.').all(letter);
    initial || dotted || ABBREVIATIONS.binary_search(&lower.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::sentences;

    fn split(text: &str) -> Vec<&str> {
        sentences(text)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn splits_at_ends_only() {
        let text = "Dr. J. P. Morgan paid $5.2 million.  \"Really?\" he asked. Yes! (So he did.) The U.S. agreed.";
        let expected = [
            "Dr. J. P. Morgan paid $5.2 million.",
            "\"Really?\" he asked.",
            "Yes!",
            "(So he did.)",
            "The U.S. agreed.",
        ];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn blocks_end_sentences_and_wrapped_lines_do_not() {
        let text =
            "# Title\n\nOne line\nof two.\n- an item\n- another\r\n\r\n1. first\n2. second\nEnd";
        let expected = [
            "# Title",
            "One line\nof two.",
            "- an item",
            "- another",
            "1. first",
            "2. second\nEnd",
        ];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn other_scripts_and_nothing() {
        assert_eq!(
            split("東京は首都。人口は多い。"),
            ["東京は首都。", "人口は多い。"]
        );
        assert_eq!(split(" \n "), [] as [&str; 0]);
        assert_eq!(split("no end"), ["no end"]);
    }

    #[test]
    fn lists_are_sorted() {
        assert!(super::ABBREVIATIONS.is_sorted());
    }
}
