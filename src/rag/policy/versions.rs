//! Which documents are versions of the same one.
//!
//! One file that changes has one row, and answers see its newest text anyway. Here it is about several files: they are
//! versions of one document if they are in the same folder and their names differ only in a version (`rules-v1.md`,
//! `rules-v2.md`) or a date (`leave-2023.md`, `leave-2024-07.md`). Bare numbers mean nothing: `chapter-1` is no older
//! version of `chapter-2`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::rag::filter::Filed;

/// A version or a date inside of a name, with what separates it.
static MARKER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:^|[-_. (]+)(?:(?:v|ver|version|rev|r)[-_. ]?(\d{1,6}(?:[._]\d{1,6}){0,3})|((?:19|20)\d\d(?:[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?)?))\)?(?:$|[-_. )])",
    )
    .ok()
});

/// What a name says about its version.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Marker {
    None,
    Version(Vec<u32>),
    Date(Vec<u32>),
}

#[derive(Debug)]
struct Document {
    family: String,
    name: String,
    marker: Marker,
    /// Seconds since 1970: when the file last changed, or was added where that is not known.
    time: i64,
}

/// All documents of a collection, by what they are versions of.
#[derive(Debug)]
pub(super) struct Families {
    documents: HashMap<i64, Document>,
    newest: HashMap<String, i64>,
}

impl Families {
    pub fn of(filed: &[Filed]) -> Self {
        let documents: HashMap<i64, Document> = filed
            .iter()
            .map(|file| (file.id, document(&file.path, file.at)))
            .collect();
        let mut ids: Vec<i64> = documents.keys().copied().collect();
        ids.sort_unstable();
        let mut newest: HashMap<String, i64> = HashMap::new();
        for id in ids {
            let Some(document) = documents.get(&id) else {
                continue;
            };
            let best = newest.entry(document.family.clone()).or_insert(id);
            if documents
                .get(best)
                .is_some_and(|best| age(best, document).is_lt())
            {
                *best = id;
            }
        }
        Self { documents, newest }
    }

    /// Name of the newest version of a document, if it is another one.
    pub fn newer_than(&self, document: i64) -> Option<&str> {
        let newest = self.newest.get(&self.documents.get(&document)?.family)?;
        (*newest != document).then(|| {
            self.documents
                .get(newest)
                .map(|newest| newest.name.as_str())
        })?
    }
}

fn document(path: &str, time: i64) -> Document {
    let path = Path::new(path);
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let stem = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let folder = path
        .parent()
        .map_or_else(String::new, |folder| folder.to_string_lossy().into_owned());
    let (bare, marker) = split(&stem);
    Document {
        // Without anything left, the number is the name.
        family: format!(
            "{folder}/{}",
            if bare.is_empty() {
                stem.to_lowercase()
            } else {
                bare
            }
        ),
        name,
        marker,
        time,
    }
}

/// A name without its version, and the version.
fn split(stem: &str) -> (String, Marker) {
    let plain = || (stem.to_lowercase(), Marker::None);
    let Some(found) = MARKER.as_ref().and_then(|marker| marker.captures(stem)) else {
        return plain();
    };
    let Some(whole) = found.get(0) else {
        return plain();
    };
    let marker = match (found.get(1), found.get(2)) {
        (Some(version), _) => Marker::Version(numbers(version.as_str())),
        (None, Some(date)) => Marker::Date(date_numbers(date.as_str())),
        (None, None) => Marker::None,
    };
    let before = stem.get(..whole.start()).unwrap_or("");
    let after = stem.get(whole.end()..).unwrap_or("");
    let joined = format!("{before} {after}");
    let words: Vec<&str> = joined
        .split(['-', '_', '.', ' ', '(', ')'])
        .filter(|word| !word.is_empty())
        .collect();
    (words.join(" ").to_lowercase(), marker)
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Year, month, day, as far as they are there, with or without separators.
fn date_numbers(text: &str) -> Vec<u32> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    [0..4, 4..6, 6..8]
        .into_iter()
        .filter_map(|range| digits.get(range)?.parse().ok())
        .collect()
}

/// Which of two versions is older. What their names say comes first, where both speak of the same thing.
fn age(a: &Document, b: &Document) -> Ordering {
    let by_name = match (&a.marker, &b.marker) {
        (Marker::Version(a), Marker::Version(b)) | (Marker::Date(a), Marker::Date(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    by_name.then(a.time.cmp(&b.time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(files: &[(&str, i64)]) -> Families {
        let filed = (1..).zip(files).map(|(id, (path, time))| Filed {
            id,
            path: (*path).to_owned(),
            at: *time,
            tags: Vec::new(),
        });
        Families::of(&filed.collect::<Vec<_>>())
    }

    #[test]
    fn names_say_which_is_newer() {
        let by_version = families(&[
            ("/d/rules-v10.md", 0),
            ("/d/rules-v9.md", 5),
            ("/e/rules-v11.md", 9),
        ]);
        assert_eq!(by_version.newer_than(2), Some("rules-v10.md"));
        assert_eq!(
            (by_version.newer_than(1), by_version.newer_than(3)),
            (None, None)
        );
        let by_date = families(&[
            ("/d/leave 2023.pdf", 9),
            ("/d/leave_2024-07.md", 1),
            ("/d/2024-06-30 leave.md", 2),
        ]);
        assert_eq!(by_date.newer_than(1), Some("leave_2024-07.md"));
        assert_eq!(
            (by_date.newer_than(2), by_date.newer_than(3)),
            (None, Some("leave_2024-07.md"))
        );
    }

    #[test]
    fn time_decides_where_names_do_not() {
        let found = families(&[
            ("/d/rules.md", 3),
            ("/d/rules-v2.md", 7),
            ("/d/Rules (2021).md", 1),
        ]);
        assert_eq!(found.newer_than(1), Some("rules-v2.md"));
        assert_eq!(found.newer_than(3), Some("rules-v2.md"));
    }

    #[test]
    fn numbers_that_are_no_versions() {
        let found = families(&[
            ("/d/chapter-1.md", 1),
            ("/d/chapter-2.md", 2),
            ("/d/00000001.txt", 1),
            ("/d/00000002.txt", 2),
            ("/d/2023.txt", 1),
            ("/d/2024.txt", 2),
            ("/d/iso9001.md", 1),
            ("/d/river2.md", 1),
        ]);
        for id in 1..=8 {
            assert_eq!(found.newer_than(id), None, "{id}");
        }
    }
}
