//! Which documents a search may take passages from: by path, number, tag and date.
//!
//! A filter is resolved to documents by the database and to chunks once a search; `index` and the words look for the best
//! among those, instead of looking for the best and throwing away.

use std::collections::HashSet;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rusqlite::Connection;

use super::store::Store;
use crate::{Error, Result};

/// Which documents to search in. Each kind that is given has to hold; of several of a kind, one. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Globs over the path: `*.md`, `notes/**`, `/srv/docs/*`. What does not begin at the root matches at any depth.
    pub paths: Vec<String>,
    /// Numbers of documents.
    pub documents: Vec<i64>,
    /// Tags, as they were given when adding.
    pub tags: Vec<String>,
    /// Files that were written at this time or later; where a file's time is not known, added then or later.
    pub since: Option<Date>,
}

/// A moment, in seconds since 1970.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Date(pub i64);

impl FromStr for Date {
    type Err = Error;

    /// Reads `2026-01-31`, with a time `2026-01-31 08:30` or `2026-01-31T08:30:00Z`; in UTC where no zone is said.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidArgument {
            what: "date",
            value: text.to_owned(),
            expected: "a day like 2026-01-31, or one with a time like 2026-01-31T08:30:00Z".into(),
        };
        // SQLite also takes bare numbers, as days of the Julian calendar, and words: those are typing errors here.
        let looks_right = text.get(..10).is_some_and(|day| {
            let shape = |(at, c): (usize, char)| match at {
                4 | 7 => c == '-',
                _ => c.is_ascii_digit(),
            };
            day.char_indices().all(shape)
        });
        if !looks_right {
            return Err(invalid());
        }
        let conn = Connection::open_in_memory()?;
        // There and back again: the 31st of February would come back as another day.
        let (seconds, day): (Option<i64>, Option<String>) = conn.query_row(
            "SELECT unixepoch(?1), date(substr(?1, 1, 10), '+0 days')",
            [text],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let is_same = day.as_deref() == text.get(..10);
        seconds.filter(|_| is_same).map(Self).ok_or_else(invalid)
    }
}

impl Filter {
    /// Whether everything may be searched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The globs as one.
    fn globs(&self) -> Result<GlobSet> {
        let mut set = GlobSetBuilder::new();
        for path in &self.paths {
            let anywhere = if path.starts_with('/') { "" } else { "**/" };
            let glob = GlobBuilder::new(&format!("{anywhere}{path}"))
                .literal_separator(true)
                .build();
            set.add(glob.map_err(|error| Error::InvalidArgument {
                what: "path glob",
                value: path.clone(),
                expected: format!("a glob like *.md or notes/** ({})", error.kind()),
            })?);
        }
        set.build().map_err(|error| Error::InvalidArgument {
            what: "path glob",
            value: self.paths.join(" "),
            expected: format!("globs that are not so large ({error})"),
        })
    }

    /// Ids of the chunks that may be found, ascending; none where all may.
    pub(super) fn resolve(&self, store: &Store) -> Result<Option<Allowed>> {
        if self.is_empty() {
            return Ok(None);
        }
        let globs = self.globs()?;
        let numbers: HashSet<i64> = self.documents.iter().copied().collect();
        let mut documents = HashSet::new();
        for document in store.filed()? {
            let since = self.since.is_none_or(|Date(since)| document.at >= since);
            let path = self.paths.is_empty() || globs.is_match(&document.path);
            let number = numbers.is_empty() || numbers.contains(&document.id);
            let tagged = || self.tags.iter().any(|tag| document.tags.contains(tag));
            if since && path && number && (self.tags.is_empty() || tagged()) {
                documents.insert(document.id);
            }
        }
        Ok(Some(Allowed {
            chunks: store.chunks_in(&documents)?,
        }))
    }
}

/// Chunks that may be found.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    /// Ascending.
    chunks: Vec<i64>,
}

impl Allowed {
    /// Whether `chunk` may be found.
    pub fn has(&self, chunk: i64) -> bool {
        self.chunks.binary_search(&chunk).is_ok()
    }

    /// Their ids, ascending.
    pub fn chunks(&self) -> &[i64] {
        &self.chunks
    }
}

/// What a filter asks of a document.
#[derive(Debug)]
pub(super) struct Filed {
    pub id: i64,
    pub path: String,
    /// When its file was written, in seconds since 1970; when it was added, where that is not known.
    pub at: i64,
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let seconds = |text: &str| text.parse::<Date>().map(|Date(seconds)| seconds).ok();
        assert_eq!(seconds("1970-01-02"), Some(86_400));
        assert_eq!(seconds("2026-01-31T08:30:00Z"), Some(1_769_848_200));
        assert_eq!(seconds("2026-01-31 08:30"), Some(1_769_848_200));
        for wrong in [
            "",
            "yesterday",
            "2026",
            "2026-13-01",
            "2026-02-31",
            "31.01.2026",
            "now",
            "2460000.5",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn globs_match_at_any_depth_or_from_the_root() {
        let matches = |glob: &str, path: &str| {
            let filter = Filter {
                paths: vec![glob.into()],
                ..Filter::default()
            };
            filter.globs().expect("a glob").is_match(path)
        };
        assert!(matches("*.md", "/srv/docs/a.md"));
        assert!(matches("docs/**", "/srv/docs/a/b.md"));
        assert!(!matches("docs/*", "/srv/docs/a/b.md"));
        assert!(!matches("/docs/*.md", "/srv/docs/a.md"));
        let broken = Filter {
            paths: vec!["a[".into()],
            ..Filter::default()
        };
        assert!(matches!(broken.globs(), Err(Error::InvalidArgument { .. })));
    }
}
