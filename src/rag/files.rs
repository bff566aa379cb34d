//! Which files to read and as what: walking folders, and reading one file with a limit.
//!
//! A file that cannot be taken is never an error here but a [`Skipped`] with its reason; only a path that somebody
//! named and that is not there fails. What is in a file is `parsed`'s.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Largest file that is read, 16 MiB: some 4 million tokens, ten minutes of embedding on two cores. Longer texts are
/// nearly always data or logs, and a file is held in memory whole.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// A file that was written to less than this before it was read is hashed again next time: within the clock's step of a
/// file system (2 s on FAT) another change would not show in its time.
const RACY: Duration = Duration::from_secs(2);

/// Endings by what they mean; the rest is plain text.
const FORMATS: [(TextFormat, &[&str]); 7] = [
    (TextFormat::Markdown, &["md", "markdown", "mdown", "mkd"]),
    (TextFormat::Html, &["html", "htm", "xhtml"]),
    (TextFormat::Code, &super::code::ENDINGS),
    (TextFormat::Csv, &["csv", "tsv"]),
    (TextFormat::Jsonl, &["jsonl", "ndjson"]),
    (TextFormat::Pdf, &["pdf"]),
    (TextFormat::Docx, &["docx"]),
];

/// How a file is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Sentences and paragraphs.
    Plain,
    /// Blocks and headings of CommonMark.
    Markdown,
    /// A page; its visible text.
    Html,
    /// Source code, by its indentation.
    Code,
    /// A table, one row a chunk.
    Csv,
    /// JSON lines, one record a chunk.
    Jsonl,
    /// Pages of a PDF.
    Pdf,
    /// Paragraphs of a DOCX.
    Docx,
}

impl TextFormat {
    /// By the file's ending.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.map(str::to_ascii_lowercase).unwrap_or_default();
        let known = FORMATS
            .iter()
            .find(|(_, endings)| endings.contains(&ending.as_str()));
        known.map_or(Self::Plain, |(format, _)| *format)
    }

    /// Name and version of its parser: kept with a document, so that a better parser is seen as a change.
    pub(super) const fn parser(self) -> &'static str {
        match self {
            Self::Plain => "text/1",
            Self::Markdown => "markdown/1",
            Self::Html => "html/1",
            Self::Code => "code/1",
            Self::Csv => "csv/1",
            Self::Jsonl => "jsonl/1",
            Self::Pdf => "pdf/1",
            Self::Docx => "docx/1",
        }
    }
}

/// A file that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The file.
    #[serde(serialize_with = "lossy")]
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

/// A name that is not UTF-8 is shown as far as it can be.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
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

/// Length and time of a file, as its folder tells without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Length in bytes.
    pub bytes: u64,
    /// When it was last written to, in nanoseconds since 1970, where that is known.
    pub modified_at: Option<i64>,
}

impl Stat {
    /// Of the file at `path`.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }

    fn from(metadata: &std::fs::Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            bytes: metadata.len(),
            modified_at: since.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        }
    }

    /// The time, unless it is so near to now that another change could have the same.
    fn settled(self) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let limit = now.saturating_sub(RACY).as_nanos();
        let old = |&time: &i64| i128::from(time) < i128::try_from(limit).unwrap_or(i128::MAX);
        Self {
            modified_at: self.modified_at.filter(old),
            ..self
        }
    }
}

/// A file in memory.
#[derive(Debug)]
pub(super) struct FileContent {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Their sha256 in hexadecimal.
    pub sha256: String,
    /// Length, and the time if it can be trusted.
    pub stat: Stat,
}

impl FileContent {
    /// Reads `path` whole.
    ///
    /// # Errors
    ///
    /// The file as [`Skipped`] when it is too large, unreadable, empty, or changes while it is read.
    pub fn read(path: &Path, max_bytes: u64) -> std::result::Result<Self, Skipped> {
        let skip = |reason: String| Skipped::new(path, reason);
        // Once more, for a file that was being saved; what changes all the time is left for the next sync.
        for _ in 0..2 {
            // The operating system's own words: fs-err would repeat the path.
            let read =
                Self::try_read(path, max_bytes).map_err(|e| skip(format!("unreadable: {e}")))?;
            match read {
                Attempt::Whole(file) => return Ok(file),
                Attempt::Refused(reason) => return Err(skip(reason)),
                Attempt::Changed => {}
            }
        }
        Err(skip(
            "changed while it was read; the next sync takes it".into(),
        ))
    }

    fn try_read(path: &Path, max_bytes: u64) -> std::io::Result<Attempt> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok(Attempt::Refused("not a regular file".into()));
        }
        let before = Stat::from(&metadata);
        let too_large = || Attempt::Refused(format!("larger than {max_bytes} bytes"));
        if before.bytes > max_bytes {
            return Ok(too_large());
        }
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        (&file)
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > max_bytes {
            return Ok(too_large());
        }
        if Stat::from(&file.metadata()?) != before || length != before.bytes {
            return Ok(Attempt::Changed);
        }
        if bytes.is_empty() {
            return Ok(Attempt::Refused("empty".into()));
        }
        Ok(Attempt::Whole(Self {
            sha256: hex(&Sha256::digest(&bytes)),
            bytes,
            stat: before.settled(),
        }))
    }
}

/// What came of reading a file once.
enum Attempt {
    Whole(FileContent),
    Changed,
    Refused(String),
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
