//! A replay on disk: JSON Lines, of which the first says what the rows are of.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Kind, LeftOut, ReplayRow};
use crate::Result;
use crate::engine::ContentHash;

/// Version of the file.
const VERSION: u32 = 2;

/// What rows are of: as long as all of it agrees, they can be used again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    version: u32,
    base_sha256: ContentHash,
    kind: Kind,
    source_sha256: ContentHash,
    screen_sha256: ContentHash,
    max_tokens: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    key: Key,
    left_out: LeftOut,
}

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    pub(super) rows: Vec<ReplayRow>,
    pub(super) left_out: LeftOut,
    /// sha256 of the file.
    pub(super) sha256: ContentHash,
}

impl Key {
    pub(super) fn new(
        base_sha256: ContentHash,
        kind: Kind,
        source_sha256: ContentHash,
        screen_sha256: ContentHash,
        max_tokens: usize,
    ) -> Self {
        Self {
            version: VERSION,
            base_sha256,
            kind,
            source_sha256,
            screen_sha256,
            max_tokens,
        }
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!(
            "{}-{}-{}.jsonl",
            self.base_sha256.short(),
            self.kind.name(),
            self.source_sha256.short()
        ))
    }

    /// What is in the file; `None` where there is none, it is of something else, or damaged: then it is made again.
    pub(super) fn read(&self, path: &Path) -> Option<Known> {
        let bytes = fs_err::read(path).ok()?;
        let mut lines = BufReader::new(bytes.as_slice()).lines();
        let header: Header = serde_json::from_str(&lines.next()?.ok()?).ok()?;
        if header.key != *self {
            return None;
        }
        let rows = lines
            .map(|line| serde_json::from_str(&line.ok()?).ok())
            .collect::<Option<Vec<ReplayRow>>>()?;
        let whole =
            |row: &ReplayRow| row.first > 0 && row.first + row.likely.len() == row.tokens.len();
        rows.iter().all(whole).then(|| Known {
            rows,
            left_out: header.left_out,
            sha256: ContentHash::of(&bytes),
        })
    }

    /// Written beside and renamed: a file is whole or not there.
    pub(super) fn write(&self, path: &Path, rows: &[ReplayRow], left_out: LeftOut) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(folder)?;
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        let mut out = std::io::BufWriter::new(part.as_file_mut());
        let line = |value: serde_json::Result<String>| value.map_err(std::io::Error::from);
        let header = Header {
            key: self.clone(),
            left_out,
        };
        writeln!(out, "{}", line(serde_json::to_string(&header))?)?;
        for row in rows {
            writeln!(out, "{}", line(serde_json::to_string(row))?)?;
        }
        out.flush()?;
        drop(out);
        part.as_file().sync_all()?;
        part.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::compute::Likely;

    #[test]
    fn a_damaged_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.jsonl");
        let hash = |text: &str| ContentHash::of(text.as_bytes());
        let key = |max| Key::new(hash("base"), Kind::Answer, hash("prompts"), hash(""), max);
        let row = ReplayRow {
            kind: Kind::Answer,
            prompt: "p".to_owned(),
            answer: "a".to_owned(),
            tokens: vec![1, 2, 3],
            first: 2,
            likely: vec![Likely {
                tokens: vec![3, 1],
                log_probs: vec![-0.123_456_79, -3.25],
                tail: 0.0625,
            }],
        };
        let left_out = LeftOut {
            double: 3,
            ..LeftOut::default()
        };
        let rows = std::slice::from_ref(&row);
        key(3).write(&path, rows, left_out).unwrap();
        let known = key(3).read(&path).unwrap();
        assert_eq!((known.rows.as_slice(), known.left_out), (rows, left_out));
        assert_eq!(key(4).read(&path), None);
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replace("\"first\":2", "\"first\":1")).unwrap();
        assert_eq!(key(3).read(&path), None);
    }
}
