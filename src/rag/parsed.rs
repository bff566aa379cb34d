//! What a parser makes of a file: one text to cut, and how to get from a place in it back to the file.
//!
//! Each format has its own module (`html`, `code`, `table`, `pdf`, `docx`); which one reads a file is decided here by
//! its ending. Cutting is `chunk`'s.

use std::ops::Range;
use std::path::Path;

use super::code;
use super::docx;
use super::encoding::{Decoded, decode};
use super::files::TextFormat;
use super::heading::Outline;
use super::html;
use super::pdf;
use super::position::{Position, Span};
use super::redact::Redactor;
use super::source_map::SourceMap;
use super::table;

/// What of a file is text.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What is cut, embedded and stored.
    pub text: String,
    /// How it is to be understood.
    pub format: TextFormat,
    /// The encoding that the file is in; empty where it is no text.
    pub encoding: &'static str,
    /// The sections of the text.
    pub outline: Outline,
    /// Ranges of the text that are one record or page each; empty where it has none.
    pub records: Vec<Range<usize>>,
    /// From the text to the file, one step after the other; for an extracted text to what was extracted.
    maps: Vec<SourceMap>,
    origin: Origin,
}

/// What the last of the maps leads to.
#[derive(Debug)]
enum Origin {
    /// Bytes of the file. Lines are counted in what it decodes to.
    File {
        /// Bytes at which the lines of the decoded text start.
        line_starts: Vec<usize>,
        /// How many of `maps`, from the last on, come after the decoded text.
        decoding: usize,
    },
    /// Bytes of an extracted text.
    Extracted {
        /// Where its pages start.
        pages: Vec<usize>,
        /// Where its paragraphs start.
        paragraphs: Vec<usize>,
    },
}

/// What a parser of decoded text returns: a text of its own with its way back.
#[derive(Debug, Default)]
pub(super) struct Extracted {
    pub text: String,
    pub map: SourceMap,
    /// Start in `text`, level and title.
    pub headings: Vec<(usize, usize, String)>,
    pub records: Vec<Range<usize>>,
}

/// What a parser of a file that is no text returns.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub text: String,
    pub pages: Vec<usize>,
    pub paragraphs: Vec<usize>,
    pub headings: Vec<(usize, usize, String)>,
}

impl Parsed {
    /// Reads `bytes`, the content of `path`.
    ///
    /// # Errors
    ///
    /// Why there is no text in it.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let format = TextFormat::of(path);
        let parsed = match format {
            TextFormat::Pdf => Self::extracted(format, pdf::read(bytes)?),
            TextFormat::Docx => Self::extracted(format, docx::read(bytes)?),
            _ => Self::decoded(path, format, decode(bytes)?),
        };
        if parsed.text.trim_matches(is_blank).is_empty() {
            return Err(match format {
                TextFormat::Pdf => "no text in it; pages that are pictures cannot be read".into(),
                _ => "empty".into(),
            });
        }
        Ok(parsed)
    }

    fn extracted(format: TextFormat, read: Pages) -> Self {
        // A passage is from one page, so that a citation names the right one.
        let ends = read.pages.iter().skip(1).copied();
        let ends = ends.chain(std::iter::once(read.text.len()));
        let records = read.pages.iter().zip(ends).map(|(&start, end)| start..end);
        Self {
            records: records.collect(),
            text: read.text,
            format,
            encoding: "",
            outline: Outline::from_headings(read.headings),
            maps: Vec::new(),
            origin: Origin::Extracted {
                pages: read.pages,
                paragraphs: read.paragraphs,
            },
        }
    }

    fn decoded(path: &Path, format: TextFormat, decoded: Decoded) -> Self {
        let Decoded {
            text,
            map,
            encoding,
        } = decoded;
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let origin = Origin::File {
            line_starts: std::iter::once(0).chain(newlines).collect(),
            decoding: 1,
        };
        let plain = |text: String, outline: Outline| Self {
            text,
            format,
            encoding,
            outline,
            records: Vec::new(),
            maps: Vec::new(),
            origin: Origin::Extracted {
                pages: Vec::new(),
                paragraphs: Vec::new(),
            },
        };
        let mut parsed = match format {
            TextFormat::Html | TextFormat::Csv | TextFormat::Jsonl => {
                let extracted = match format {
                    TextFormat::Html => html::read(&text),
                    TextFormat::Csv => table::csv(&text, table::delimiter(path)),
                    _ => table::jsonl(&text),
                };
                let outline = Outline::from_headings(extracted.headings);
                let mut parsed = plain(extracted.text, outline);
                parsed.records = extracted.records;
                parsed.maps.push(extracted.map);
                parsed
            }
            TextFormat::Markdown => {
                let outline = Outline::of(&text);
                plain(text, outline)
            }
            TextFormat::Code => {
                let outline = Outline::from_headings(code::definitions(&text));
                plain(text, outline)
            }
            _ => plain(text, Outline::default()),
        };
        parsed.maps.push(map);
        parsed.origin = origin;
        parsed
    }

    /// Redacts text and titles; what was found is counted in `redactor`.
    pub fn redact(&mut self, redactor: &mut Redactor) {
        let (text, map) = redactor.redact(&self.text);
        let titles = |title: &str| redactor.title(title);
        let outline = std::mem::take(&mut self.outline);
        self.outline = outline.moved(|at| map.target(at..at).start, titles);
        for record in &mut self.records {
            *record = map.target(record.clone());
        }
        self.text = text;
        self.maps.insert(0, map);
    }

    /// The bytes that a range of the text stands for, and where a person finds them. `file` is the whole file.
    pub fn locate(&self, text: Range<usize>, file: &[u8]) -> (Range<usize>, Position) {
        let steps = |from: usize, to: usize| {
            let maps = self.maps.get(from..to).unwrap_or(&[]);
            let walk =
                |range: Range<usize>| maps.iter().fold(range, |range, map| map.source(range));
            walk(text.clone())
        };
        let bytes = steps(0, self.maps.len());
        let position = match &self.origin {
            Origin::File {
                line_starts,
                decoding,
            } => {
                let decoded = steps(0, self.maps.len().saturating_sub(*decoding));
                let said = self.text.get(text.clone()).map(str::as_bytes);
                let exact = said.is_some() && file.get(bytes.clone()) == said;
                Position {
                    page: None,
                    line: number(line_starts, decoded.start),
                    span: if exact { Span::Exact } else { Span::Covering },
                }
            }
            Origin::Extracted { pages, paragraphs } => Position {
                page: number(pages, bytes.start),
                line: number(paragraphs, bytes.start),
                span: Span::Extracted,
            },
        };
        (bytes, position)
    }
}

/// Which of the parts that start at `starts` holds `offset`, from 1; none where there are no parts.
fn number(starts: &[usize], offset: usize) -> Option<u32> {
    let number = starts.partition_point(|&start| start <= offset);
    u32::try_from(number).ok().filter(|&number| number > 0)
}

/// White space, and byte order marks where they are none.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}
