//! Tags: words that a path is given, for all documents at and below it, those to come too.
//!
//! Searching by them is `filter`'s.

use std::path::{Path, PathBuf};

use rusqlite::params;

use super::collection::Collection;
use super::store::Store;
use crate::{Error, Result};

/// Longest tag in bytes: a word or a few, as it is typed.
const MAX_TAG: usize = 64;

/// Refuses what cannot be a tag.
///
/// # Errors
///
/// [`Error::InvalidArgument`] with the tag.
pub(super) fn check_tags(tags: &[String]) -> Result<()> {
    let is_tag = |tag: &&String| {
        let fits = (1..=MAX_TAG).contains(&tag.len()) && tag.trim() == tag.as_str();
        fits && !tag.chars().any(char::is_control)
    };
    match tags.iter().find(|tag| !is_tag(tag)) {
        None => Ok(()),
        Some(tag) => Err(Error::InvalidArgument {
            what: "tag",
            value: tag.clone(),
            expected: format!("1 to {MAX_TAG} bytes without line breaks or spaces at its ends"),
        }),
    }
}

impl Store {
    /// Gives `tags` to the documents at and below `paths`, those to come too.
    pub fn tag(&mut self, paths: &[String], tags: &[String]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut insert = tx.prepare("INSERT OR IGNORE INTO tags VALUES (?1, ?2)")?;
            for path in paths {
                for tag in tags {
                    insert.execute([stem(path), tag.as_str()])?;
                }
            }
            Ok(())
        })
    }

    /// The paths at, above and below `path` that were given `tag`.
    fn tagged_around(&self, path: &str, tag: &str) -> Result<Vec<String>> {
        self.read(|conn| {
            conn.prepare(
                "SELECT path FROM tags WHERE tag = ?2 AND (path = ?1
                     OR substr(?1, 1, length(path) + 1) = path || '/'
                     OR substr(path, 1, length(?1) + 1) = ?1 || '/') ORDER BY path",
            )?
            .query_map(params![stem(path), tag], |row| row.get(0))?
            .collect()
        })
    }
}

/// A path as the table has it. The root itself is the empty path: what is below a path begins with it and a slash.
fn stem(path: &str) -> &str {
    path.trim_end_matches('/')
}

impl Collection {
    /// Takes `tags` back from `paths`, which were given them: all or none. Documents keep those that they have from another
    /// path. Returns how many were taken back.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] for a tag that a path was not given, with the path near it that was;
    /// [`Error::InvalidArgument`] for what cannot be a tag, [`Error::Busy`] while another process writes.
    pub fn untag(&mut self, paths: &[PathBuf], tags: &[String]) -> Result<usize> {
        check_tags(tags)?;
        let _lock = self.lock()?;
        let mut found = Vec::new();
        for path in paths {
            let path = absolute(path)?;
            for tag in tags {
                let around = self.store().tagged_around(&path, tag)?;
                if !around.iter().any(|tagged| tagged == stem(&path)) {
                    let nearest = around.into_iter().next();
                    return Err(Error::UnknownName {
                        what: "tag",
                        name: format!("{tag} of {path}"),
                        nearest: nearest.map(|path| format!("{tag} of {path}/").replace("//", "/")),
                    });
                }
                found.push((stem(&path).to_owned(), tag));
            }
        }
        let (store, _) = self.parts();
        store.write(|tx| {
            let mut delete = tx.prepare("DELETE FROM tags WHERE path = ?1 AND tag = ?2")?;
            let counts = found
                .iter()
                .map(|(path, tag)| delete.execute(params![path, tag]));
            counts.sum()
        })
    }
}

/// As `add` names it; of what is gone from the disk, as it is written.
fn absolute(path: &Path) -> Result<String> {
    let path = fs_err::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::InvalidArgument {
            what: "path",
            value: path.to_string_lossy().into_owned(),
            expected: "a name in UTF-8".into(),
        })
}
