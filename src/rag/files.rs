//! Which files to read and what is text: walking folders, and opening one file with a limit.
//!
//! A file that cannot be taken is never an error here but a [`Skipped`] with its reason; only a path that somebody
//! named and that is not there fails. What to do with the text is `ingest`'s.

use std::io::Read;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Largest file that is read, 16 MiB: some 4 million tokens, ten minutes of embedding on two cores. Longer texts are
/// nearly always data or logs, and a file is held in memory whole.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// The UTF-8 byte order mark: no part of the text, but counted in its offsets.
const BOM: &str = "\u{feff}";

/// Endings that mean Markdown.
const MARKDOWN: [&str; 4] = ["md", "markdown", "mdown", "mkd"];

/// How a text is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Sentences and paragraphs.
    Plain,
    /// Blocks and headings of CommonMark.
    Markdown,
}

impl TextFormat {
    /// By the file's ending.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase) {
            Some(ending) if MARKDOWN.contains(&ending.as_str()) => Self::Markdown,
            _ => Self::Plain,
        }
    }
}

/// A file that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why, in a few words.
    pub reason: String,
}

impl Skipped {
    pub(super) fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// What walking found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Regular files by absolute path, each once, in order.
    pub files: Vec<PathBuf>,
    /// What could not be walked.
    pub skipped: Vec<Skipped>,
}

/// Absolute, symlink-free forms of `paths`.
///
/// # Errors
///
/// When one of them is not there.
pub(super) fn resolve(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    paths
        .iter()
        .map(|path| fs_err::canonicalize(path).map_err(Error::Io))
        .collect()
}

/// The files under `roots`: folders are walked as ripgrep does (.gitignore obeyed, hidden files left out), links inside
/// them are not followed, so that a walk ends and stays inside.
pub(super) fn walk(roots: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for root in roots {
        if root.is_file() {
            found.files.push(root.clone());
            continue;
        }
        let walk = WalkBuilder::new(root)
            .require_git(false)
            .follow_links(false)
            .sort_by_file_path(Path::cmp)
            .build();
        for entry in walk {
            match entry {
                Ok(entry) => take(&entry, &mut found),
                Err(error) => found.skipped.push(Skipped::new(root, error.to_string())),
            }
        }
    }
    found.files.sort();
    found.files.dedup();
    found
}

fn take(entry: &ignore::DirEntry, found: &mut Found) {
    match entry.file_type() {
        Some(kind) if kind.is_file() => found.files.push(entry.path().to_owned()),
        Some(kind) if kind.is_dir() => {}
        Some(kind) if kind.is_symlink() => found
            .skipped
            .push(Skipped::new(entry.path(), "symbolic link, not followed")),
        _ => found
            .skipped
            .push(Skipped::new(entry.path(), "not a regular file")),
    }
}

/// A text file in memory.
#[derive(Debug)]
pub(super) struct TextFile {
    /// sha256 of all its bytes, in hexadecimal.
    pub sha256: String,
    content: String,
}

impl TextFile {
    /// Reads `path` whole.
    ///
    /// # Errors
    ///
    /// The file as [`Skipped`] when it is too large, unreadable, empty or no text.
    pub fn read(path: &Path, max_bytes: u64) -> std::result::Result<Self, Skipped> {
        let skip = |reason: String| Skipped::new(path, reason);
        // The operating system's own words: fs-err would repeat the path.
        let io = |error: &std::io::Error| skip(format!("unreadable: {error}"));
        if !std::fs::metadata(path).map_err(|e| io(&e))?.is_file() {
            return Err(skip("not a regular file".into()));
        }
        let file = std::fs::File::open(path).map_err(|e| io(&e))?;
        let mut bytes = Vec::new();
        file.take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| io(&e))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > max_bytes) {
            return Err(skip(format!("larger than {max_bytes} bytes")));
        }
        if bytes.contains(&0) {
            return Err(skip("binary: has NUL bytes".into()));
        }
        let sha256 = hex(&Sha256::digest(&bytes));
        let content = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            skip(format!("not UTF-8 text: invalid byte at {at}"))
        })?;
        if content.trim_start_matches(BOM).trim().is_empty() {
            return Err(skip("empty".into()));
        }
        Ok(Self { sha256, content })
    }

    /// All of the file, byte for byte.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The text without byte order mark, and the byte of the file that it starts at.
    pub fn text(&self) -> (usize, &str) {
        match self.content.strip_prefix(BOM) {
            Some(text) => (BOM.len(), text),
            None => (0, &self.content),
        }
    }
}

/// `bytes` in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
