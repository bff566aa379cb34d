//! DOCX: the paragraphs of `word/document.xml` inside of a zip, with headings by their style.
//!
//! The file has no text that bytes could point at, so offsets are those of the extracted text, and the paragraph's
//! number says where to look.

use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::parsed::Pages;

/// Most bytes that the document may unpack to, 64 MiB: a book of 10,000 pages has 30. A zip bomb has more, and stops here.
const MAX_UNPACKED: u64 = 64 << 20;

/// Most extracted text. Markup is most of a document: what has more text than this is no document.
const MAX_TEXT: usize = 32 << 20;

/// The part of the package that holds the text.
const DOCUMENT: &str = "word/document.xml";

/// Reads a document.
///
/// # Errors
///
/// Why it cannot be.
pub(super) fn read(bytes: &[u8]) -> Result<Pages, String> {
    let broken = |error: &dyn std::fmt::Display| format!("broken DOCX: {error}");
    let mut package = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let part = package.by_name(DOCUMENT).map_err(|e| broken(&e))?;
    let mut limited = part.take(MAX_UNPACKED + 1);
    let mut reader = Reader::from_reader(BufReader::new(&mut limited));
    let mut document = Document::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => break,
            Ok(event) => document.take(&event),
            Err(error) => {
                drop(reader);
                return Err(over(limited.limit()).unwrap_or_else(|| broken(&error)));
            }
        }
        if document.out.text.len() > MAX_TEXT {
            return Err(format!("more than {MAX_TEXT} bytes of text"));
        }
    }
    drop(reader);
    match over(limited.limit()) {
        Some(reason) => Err(reason),
        None => Ok(document.out),
    }
}

fn over(left: u64) -> Option<String> {
    (left == 0).then(|| format!("{DOCUMENT} unpacks to more than {MAX_UNPACKED} bytes"))
}

/// The document as it is read.
#[derive(Default)]
struct Document {
    out: Pages,
    in_text: bool,
    paragraph: Option<usize>,
    level: Option<usize>,
    /// Depth inside of what repeats other text for older programs.
    fallback: usize,
    row: bool,
}

impl Document {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) if tag.name().as_ref() == "mc:Fallback" => self.fallback += 1,
            Event::End(tag) if tag.name().as_ref() == "mc:Fallback" => {
                self.fallback = self.fallback.saturating_sub(1);
            }
            _ if self.fallback > 0 => {}
            Event::Start(tag) => self.open(tag),
            Event::Empty(tag) => self.empty(tag),
            Event::End(tag) => self.close(tag.name().as_ref()),
            Event::Text(text) if self.in_text => {
                self.out.text.push_str(text);
            }
            Event::GeneralRef(name) if self.in_text => {
                let known = name.resolve_char_ref().ok().flatten();
                let named = || match name.as_ref() {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => None,
                };
                self.out.text.extend(known.or_else(named));
            }
            _ => {}
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.name().as_ref() {
            "w:p" => self.begin(),
            "w:t" => self.in_text = true,
            "w:tr" => self.row = false,
            _ => self.empty(tag),
        }
    }

    fn begin(&mut self) {
        if !self.out.text.is_empty() && !self.out.text.ends_with(['\n', '|']) {
            self.out
                .text
                .push_str(if self.row { " | " } else { "\n\n" });
        }
        self.paragraph = Some(self.out.text.len());
        self.level = None;
    }

    fn empty(&mut self, tag: &BytesStart<'_>) {
        match tag.name().as_ref() {
            "w:tab" => self.out.text.push('\t'),
            "w:br" | "w:cr" => self.out.text.push('\n'),
            "w:pStyle" => {
                let value = tag.try_get_attribute("w:val").ok().flatten();
                self.level = value.and_then(|value| level(&value.value));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "w:t" => self.in_text = false,
            "w:tc" => self.row = true,
            "w:tr" | "w:tbl" => self.row = false,
            "w:p" => {
                let Some(start) = self.paragraph.take() else {
                    return;
                };
                self.out.paragraphs.push(start);
                let title = self.out.text.get(start..).unwrap_or("").trim();
                if let (Some(level), false) = (self.level, title.is_empty()) {
                    let title = title.to_owned();
                    self.out.headings.push((start, level, title));
                }
            }
            _ => {}
        }
    }
}

/// The level of a heading's style, `Heading2`; a title is above all.
fn level(style: &str) -> Option<usize> {
    let style = style.to_ascii_lowercase();
    if style == "title" {
        return Some(1);
    }
    let digit = style.strip_prefix("heading")?.trim();
    digit.parse().ok().filter(|level| (1..=6).contains(level))
}
