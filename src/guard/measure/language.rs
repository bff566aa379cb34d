//! The language of an answer, as far as its letters and commonest words tell: enough to notice that it changed.

/// A script, and for the Latin one the language whose commonest words stand in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Latin(Option<&'static str>),
    Other(&'static str),
}

/// Words that are frequent in one of these languages and rare in the others.
const COMMON: [(&str, &[&str]); 6] = [
    (
        "en",
        &[
            "the", "and", "is", "of", "to", "that", "it", "you", "are", "with", "for", "this",
        ],
    ),
    (
        "de",
        &[
            "der", "die", "und", "ist", "das", "nicht", "ein", "ich", "mit", "zu", "den", "auf",
        ],
    ),
    (
        "fr",
        &[
            "le", "les", "et", "est", "une", "je", "pas", "vous", "dans", "des", "du", "pour",
        ],
    ),
    (
        "es",
        &[
            "el", "los", "y", "es", "una", "en", "por", "las", "con", "del", "mi", "su",
        ],
    ),
    (
        "it",
        &[
            "il", "di", "che", "è", "per", "non", "della", "sono", "gli", "un", "nel", "mi",
        ],
    ),
    (
        "pt",
        &[
            "o", "os", "e", "é", "uma", "em", "não", "da", "do", "para", "com", "meu",
        ],
    ),
];

/// Words needed before they say anything.
const MIN_VOTES: usize = 2;

/// Whether two texts are in the same language, or one of them does not tell.
pub fn is_kept(base: &str, adapted: &str) -> bool {
    match (language(base), language(adapted)) {
        (Some(Language::Latin(Some(a))), Some(Language::Latin(Some(b)))) => a == b,
        (Some(Language::Latin(_)), Some(Language::Latin(_))) => true,
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

fn language(text: &str) -> Option<Language> {
    let mut counts = [0usize; SCRIPTS.len()];
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        if let Some(i) = SCRIPTS.iter().position(|(_, ranges)| {
            ranges
                .iter()
                .any(|&(first, last)| (first..=last).contains(&c))
        }) {
            counts[i] += 1;
        }
    }
    let (script, &count) = counts.iter().enumerate().max_by_key(|(_, n)| **n)?;
    if count == 0 {
        return None;
    }
    if script > 0 {
        return Some(Language::Other(SCRIPTS[script].0));
    }
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic())
        .map(str::to_lowercase)
        .collect();
    let votes = COMMON.map(|(name, common)| {
        let votes = words.iter().filter(|word| common.contains(&word.as_str()));
        (votes.count(), name)
    });
    let best = votes.into_iter().max_by_key(|(n, _)| *n)?;
    let tied = votes.iter().filter(|(n, _)| *n == best.0).count() > 1;
    Some(Language::Latin(
        (best.0 >= MIN_VOTES && !tied).then_some(best.1),
    ))
}

/// Scripts by ranges of code points, Latin first.
const SCRIPTS: [(&str, &[(char, char)]); 7] = [
    ("Latin", &[('A', 'z'), ('À', 'ɏ')]),
    ("Greek", &[('Ͱ', 'Ͽ')]),
    ("Cyrillic", &[('Ѐ', 'ԯ')]),
    ("Arabic", &[('\u{600}', '\u{6ff}')]),
    ("Devanagari", &[('\u{900}', '\u{97f}')]),
    (
        "East Asian",
        &[('\u{3040}', '\u{30ff}'), ('\u{4e00}', '\u{9fff}')],
    ),
    ("Hangul", &[('\u{ac00}', '\u{d7a3}')]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_language_is_noticed_and_doubt_is_not() {
        let english = "The capital of Italy is Rome, and it is old.";
        assert!(is_kept(english, "It is the oldest of the towns."));
        assert!(!is_kept(
            english,
            "Die Stadt ist alt und das ist nicht neu."
        ));
        assert!(!is_kept(english, "Столица Италии"));
        assert!(is_kept(english, "Rome"), "one word does not tell");
        assert!(is_kept(english, "42"));
        assert!(is_kept("", ""));
    }
}
