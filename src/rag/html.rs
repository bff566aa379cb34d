//! HTML: the text that a reader of the page sees, with the bytes of the source it came from.
//!
//! `html5gum` finds tags and text as the HTML standard says, and never fails. Scripts, styles and the page's title are
//! left out, blocks are set apart by line ends, and runs of white space become one space.

use std::ops::Range;

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::parsed::Extracted;

/// Elements whose text nobody reads on the page.
const UNSEEN: [&str; 8] = [
    "script", "style", "template", "title", "svg", "noscript", "textarea", "select",
];

/// Elements after and before which a paragraph ends.
const BLOCKS: [&str; 30] = [
    "p",
    "div",
    "section",
    "article",
    "aside",
    "header",
    "footer",
    "main",
    "nav",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "address",
    "details",
    "summary",
    "body",
];

/// Elements that begin a line.
const LINES: [&str; 6] = ["br", "li", "tr", "dt", "dd", "caption"];

/// Longest entity that is decoded, `&CounterClockwiseContourIntegral;` and numbers.
const LONGEST_ENTITY: usize = 40;

/// Extracts the text of `source`.
pub(super) fn read(source: &str) -> Extracted {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut page = Page::new(source);
    for token in Tokenizer::new_with_emitter(source, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.open(&name(&tag.name), tag.self_closing),
            Token::EndTag(tag) => page.close(&name(&tag.name)),
            Token::String(text) => page.text(text.span.start..text.span.end),
            _ => {}
        }
    }
    page.close_heading();
    page.out
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

/// The page as it is read.
struct Page<'a> {
    source: &'a str,
    out: Extracted,
    /// The element that hides its text, and how often it is open.
    unseen: Option<(String, usize)>,
    preformatted: usize,
    /// White space to come before the next word.
    gap: &'static str,
    /// Start and level of the heading that is open.
    heading: Option<(usize, usize)>,
}

impl<'a> Page<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            out: Extracted::default(),
            unseen: None,
            preformatted: 0,
            gap: "",
            heading: None,
        }
    }

    fn open(&mut self, tag: &str, self_closing: bool) {
        if let Some((hidden, depth)) = &mut self.unseen {
            *depth += usize::from(hidden == tag && !self_closing);
            return;
        }
        if UNSEEN.contains(&tag) && !self_closing {
            self.unseen = Some((tag.to_owned(), 1));
            return;
        }
        self.separate(tag);
        self.preformatted += usize::from(tag == "pre");
        if let Some(level) = level(tag) {
            self.close_heading();
            self.heading = Some((self.out.text.len(), level));
        }
    }

    fn close(&mut self, tag: &str) {
        if let Some((hidden, depth)) = &mut self.unseen {
            if hidden == tag {
                *depth -= 1;
            }
            if *depth == 0 {
                self.unseen = None;
            }
            return;
        }
        if tag == "pre" {
            self.preformatted = self.preformatted.saturating_sub(1);
        }
        if level(tag).is_some() {
            self.close_heading();
        }
        self.separate(tag);
    }

    fn separate(&mut self, tag: &str) {
        if BLOCKS.contains(&tag) {
            self.gap = "\n\n";
        } else if LINES.contains(&tag) && self.gap != "\n\n" {
            self.gap = "\n";
        } else if matches!(tag, "td" | "th") && !self.gap.starts_with('\n') {
            self.gap = " | ";
        }
    }

    fn close_heading(&mut self) {
        if let Some((start, level)) = self.heading.take() {
            let title = self.out.text.get(start..).unwrap_or("");
            let lead = title.len() - title.trim_start().len();
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            if !title.is_empty() {
                self.out.headings.push((start + lead, level, title));
            }
        }
    }

    /// Text of the source, entities and all.
    fn text(&mut self, range: Range<usize>) {
        if self.unseen.is_some() {
            return;
        }
        let raw = self.source.get(range.clone()).unwrap_or("");
        let mut at = 0;
        while let Some(c) = raw.get(at..).and_then(|rest| rest.chars().next()) {
            let start = range.start + at;
            if let Some((entity, length)) = (c == '&').then(|| entity(&raw[at..])).flatten() {
                self.push(&entity, start..start + length);
                at += length;
                continue;
            }
            let from = at;
            if c.is_whitespace() {
                at += c.len_utf8();
                self.push(&raw[from..at], start..range.start + at);
                continue;
            }
            at += c.len_utf8();
            // A whole word at a time.
            let word = raw.get(at..).unwrap_or("");
            at += word
                .find(|c: char| c == '&' || c.is_whitespace())
                .unwrap_or(word.len());
            self.push(&raw[from..at], start..range.start + at);
        }
    }

    /// A word, a white space or an entity.
    fn push(&mut self, text: &str, source: Range<usize>) {
        if self.preformatted == 0 && text.chars().all(char::is_whitespace) {
            if self.gap.is_empty() {
                self.gap = " ";
            }
            return;
        }
        if self.gap == " " && source.start > 0 && !self.out.text.is_empty() {
            // One space of the source, so that plain text stays exact over it.
            let at = self.out.text.len();
            if self.source.as_bytes().get(source.start - 1) == Some(&b' ') {
                self.out.map.copied(at, source.start - 1, 1);
            }
        }
        if !self.out.text.is_empty() {
            self.out.text.push_str(self.gap);
        }
        self.gap = "";
        let at = self.out.text.len();
        self.out.text.push_str(text);
        if self.source.get(source.clone()) == Some(text) {
            self.out.map.copied(at, source.start, source.len());
        } else {
            self.out.map.unit(at..at + text.len(), source);
        }
    }
}

fn level(tag: &str) -> Option<usize> {
    let digit = tag.strip_prefix('h')?;
    digit.parse().ok().filter(|level| (1..=6).contains(level))
}

/// The characters that the entity at the start of `raw` means, and its length.
fn entity(raw: &str) -> Option<(String, usize)> {
    let length = raw.bytes().take(LONGEST_ENTITY).position(|b| b == b';')? + 1;
    let text = raw.get(..length)?;
    let mut decoded = String::new();
    for token in Tokenizer::new(text) {
        let Ok(token) = token;
        if let Token::String(piece) = token {
            decoded.push_str(&String::from_utf8_lossy(&piece.value));
        }
    }
    (decoded != text && !decoded.is_empty()).then_some((decoded, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_headings_and_sources() {
        let source = "<html><head><title>T</title><style>p{}</style></head><body><h1>Big  <i>Birds</i></h1>\n\
            <p>Herons &amp; storks\n stand.<br>In <b>water</b>.</p><script>var x = '<p>no</p>';</script>\
            <ul><li>one<li>two</ul><pre>a  b\n c</pre></body>";
        let page = read(source);
        assert_eq!(
            page.text,
            "Big Birds\n\nHerons & storks stand.\nIn water.\n\none\ntwo\n\na  b\n c"
        );
        assert_eq!(page.headings, [(0, 1, "Big Birds".to_owned())]);
        let bytes = |needle: &str| {
            let at = page.text.find(needle).expect("is there");
            &source[page.map.source(at..at + needle.len())]
        };
        assert_eq!(bytes("Herons"), "Herons");
        assert_eq!(bytes("&"), "&amp;");
        assert_eq!(bytes("stand.\nIn water"), "stand.<br>In <b>water");
        assert_eq!(bytes("a  b\n c"), "a  b\n c");
    }

    #[test]
    fn broken_pages_are_read_as_far_as_they_go() {
        for source in [
            "",
            "<",
            "<p",
            "&#xFFFFFFFF; &#0; &nosuch; &amp",
            "<!--",
            "</script></p>x<h1>",
            "<svg><svg></svg>y",
        ] {
            let page = read(source);
            let at = page.map.source(0..page.text.len());
            assert!(at.end <= source.len(), "{source}");
        }
        assert_eq!(read("a < b &amp; c &copy;").text, "a < b & c ©");
    }
}
