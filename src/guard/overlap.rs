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
    let items: Vec<(&str, Vec<String>)> = items
        .into_iter()
        .map(|(id, text)| (id, words(text)))
        .filter(|(_, words)| words.len() >= LEAST_WORDS)
        .collect();
    // Which items each run of words belongs to, by the run's length: rows are read once and not kept.
    let mut runs: HashMap<usize, HashMap<&[String], Vec<usize>>> = HashMap::new();
    for (number, (_, words)) in items.iter().enumerate() {
        let length = words.len().min(WORDS);
        let of_length = runs.entry(length).or_default();
        for run in words.windows(length) {
            of_length.entry(run).or_default().push(number);
        }
    }
    let mut found = HashSet::new();
    let mut rows = 0;
    for row in training_rows {
        rows += 1;
        let row = words(row);
        for (length, of_length) in &runs {
            let shared = row.windows(*length).filter_map(|run| of_length.get(run));
            found.extend(shared.flatten().copied());
        }
    }
    let ids: Vec<String> = items
        .iter()
        .enumerate()
        .filter(|(number, _)| found.contains(number))
        .map(|(_, (id, _))| (*id).to_owned())
        .collect();
    Overlap {
        share: ids.len() as f64 / items.len().max(1) as f64,
        compared: items.len(),
        ids,
        rows,
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
    fn nothing_overlaps_with_nothing() {
        let found = find([], []);
        assert_eq!((found.share, found.compared, found.rows), (0.0, 0, 0));
    }
}
