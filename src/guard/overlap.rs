//! Suite items that stand in the adapter's training rows: what was trained on proves nothing about what was kept.
//!
//! An item overlaps where 13 words in a row, lowercased, stand in a training row too, the measure that T. Brown et al.
//! used ("Language Models are Few-Shot Learners", 2020, appendix C). Items of fewer words overlap where all their words
//! stand in a row.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// Words in a row.
const WORDS: usize = 13;
/// Fewer words in all say nothing: "what is it" stands everywhere.
const LEAST_WORDS: usize = 5;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Ids of the items that overlap, in their order.
    pub ids: Vec<String>,
    /// Items compared: those with at least five words.
    pub compared: usize,
    /// Share of them that overlap.
    pub share: f64,
    /// Training rows compared.
    pub rows: usize,
}

/// Compares suite items (id and text) with training rows.
pub fn find<'a>(
    items: impl IntoIterator<Item = (&'a str, &'a str)>,
    training_rows: impl IntoIterator<Item = &'a str>,
) -> Overlap {
    let (ids, texts): (Vec<&str>, Vec<Vec<String>>) = items
        .into_iter()
        .map(|(id, text)| (id, words(text)))
        .filter(|(_, words)| words.len() >= LEAST_WORDS)
        .unzip();
    let runs = Runs::of(&texts);
    let mut found = HashSet::new();
    let mut rows = 0;
    for row in training_rows {
        rows += 1;
        runs.shared(row, &mut found);
    }
    let ids: Vec<String> = (ids.iter().enumerate())
        .filter(|(number, _)| found.contains(number))
        .map(|(_, id)| (*id).to_owned())
        .collect();
    Overlap {
        share: ids.len() as f64 / texts.len().max(1) as f64,
        compared: texts.len(),
        ids,
        rows,
    }
}

/// Which training rows overlap with any of the texts of a suite.
pub fn rows_in<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    training_rows: impl IntoIterator<Item = &'a str>,
) -> Vec<bool> {
    let texts = texts.into_iter().map(words);
    let texts: Vec<_> = texts.filter(|words| words.len() >= LEAST_WORDS).collect();
    let runs = Runs::of(&texts);
    let shares = |row| {
        let mut found = HashSet::new();
        runs.shared(row, &mut found);
        !found.is_empty()
    };
    training_rows.into_iter().map(shares).collect()
}

/// Which texts each run of words belongs to, by the run's length: rows are read once and not kept.
struct Runs<'a>(HashMap<usize, HashMap<&'a [String], Vec<usize>>>);

impl<'a> Runs<'a> {
    fn of(texts: &'a [Vec<String>]) -> Self {
        let mut runs: HashMap<usize, HashMap<&[String], Vec<usize>>> = HashMap::new();
        for (number, words) in texts.iter().enumerate() {
            let length = words.len().min(WORDS);
            let of_length = runs.entry(length).or_default();
            for run in words.windows(length) {
                of_length.entry(run).or_default().push(number);
            }
        }
        Self(runs)
    }

    /// Adds the texts that share a run with a row.
    fn shared(&self, row: &str, found: &mut HashSet<usize>) {
        let row = words(row);
        for (length, of_length) in &self.0 {
            let shared = row.windows(*length).filter_map(|run| of_length.get(run));
            found.extend(shared.flatten().copied());
        }
    }
}

/// Runs of letters and digits, lowercased.
fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str =
        "The quick brown fox jumps over the lazy dog while seven small birds sing loudly nearby";

    #[test]
    fn thirteen_words_in_a_row_overlap_whatever_their_case_and_marks() {
        let row = "so: THE QUICK, brown fox jumps over the lazy dog - while seven small birds sat";
        let found = find(
            [
                ("a", LONG),
                ("b", "Completely other words stand in this one here"),
            ],
            [row],
        );
        assert_eq!(
            (found.ids, found.compared, found.rows),
            (vec!["a".to_owned()], 2, 1)
        );
        assert_eq!(found.share, 0.5);
    }

    #[test]
    fn twelve_words_do_not() {
        let row = "the quick brown fox jumps over the lazy dog while seven small cats";
        assert!(find([("a", LONG)], [row]).ids.is_empty());
    }

    #[test]
    fn short_items_need_all_their_words() {
        let items = [
            ("a", "What is 2 plus 1?"),
            ("b", "What is 3 plus 1?"),
            ("c", "Why?"),
        ];
        let found = find(items, ["Q: what is 2 plus 1", "what is it"]);
        assert_eq!((found.ids, found.compared), (vec!["a".to_owned()], 2));
    }

    #[test]
    fn rows_are_told_apart() {
        let rows = [
            "the quick brown fox jumps over the lazy dog while seven small birds sat",
            "the quick brown fox jumps over the lazy dog",
            "so what is 2 plus 1",
        ];
        assert_eq!(rows_in([LONG, "Why?"], rows), [true, false, false]);
        assert_eq!(
            rows_in([LONG, "What is 2 plus 1?"], rows),
            [true, false, true]
        );
    }

    #[test]
    fn nothing_overlaps_with_nothing() {
        let found = find([], []);
        assert_eq!((found.share, found.compared, found.rows), (0.0, 0, 0));
    }
}
