//! Passages that say the same: only the best of them is worth room in a prompt.
//!
//! Two texts are near-duplicates when their sets of word shingles are alike (Broder 1997): copies of a page with another
//! date or footer are, passages about the same thing are not.

use std::collections::HashSet;

use super::search::Hit;
use super::words;

/// Words of a shingle.
const SHINGLE: usize = 4;

/// Share of the shingles of the smaller text from which on it counts as repeated. A copy with one word in ten changed
/// keeps about 0.65 of them; an overlap between neighbours, a fifth of a chunk, has 0.2.
const CONTAINED: f64 = 0.6;

/// The hits of `hits`, best first, that do not repeat a better one.
pub(super) fn without_duplicates(hits: Vec<Hit>) -> Vec<Hit> {
    let mut kept: Vec<(Hit, HashSet<u64>)> = Vec::new();
    for hit in hits {
        let shingles = shingles(&hit.text);
        if !kept.iter().any(|(_, better)| repeats(&shingles, better)) {
            kept.push((hit, shingles));
        }
    }
    kept.into_iter().map(|(hit, _)| hit).collect()
}

fn repeats(a: &HashSet<u64>, b: &HashSet<u64>) -> bool {
    let smaller = a.len().min(b.len());
    smaller > 0 && a.intersection(b).count() as f64 >= CONTAINED * smaller as f64
}

/// Hashes of the runs of words of `text`; of a shorter text, that of all its words.
fn shingles(text: &str) -> HashSet<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let words: Vec<String> = words::spans(text)
        .filter_map(|span| text.get(span))
        .map(str::to_lowercase)
        .collect();
    words
        .windows(SHINGLE.min(words.len()).max(1))
        .map(|window| {
            let mut hasher = DefaultHasher::new();
            window.hash(&mut hasher);
            hasher.finish()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str) -> bool {
        repeats(&shingles(a), &shingles(b))
    }

    #[test]
    fn copies_are_found_and_kin_is_not() {
        let page = "The ferry to Alden leaves the north quay at nine in the morning, and returns at six in the evening \
            on every day of the week.";
        let dated = format!("Last change: 3 May. {}", page.replace("north", "south"));
        assert!(alike(page, page) && alike(page, &dated));
        let kin = "The ferry to Corrigan leaves the south quay at noon, and does not return on the same day.";
        assert!(!alike(page, kin));
        assert!(!alike("", "") && !alike(page, "..."));
        assert!(alike("Quite short", "quite short!"));
    }
}
