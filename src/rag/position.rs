//! Where a passage stands, beyond its bytes: page, line, and what its byte range means.

use std::ops::Range;

/// What `start` and `end` of a passage are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// Bytes of the file that are the text, byte for byte.
    #[default]
    Exact,
    /// Bytes of the file that the text was made from: with markup, in another encoding, or redacted.
    Covering,
    /// Bytes of the text that was extracted from the file (PDF, DOCX). The file has no such range.
    Extracted,
}

impl Span {
    /// As it is stored.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Exact => 0,
            Self::Covering => 1,
            Self::Extracted => 2,
        }
    }

    /// From what is stored; an unknown code promises the least.
    pub(super) const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Exact,
            1 => Self::Covering,
            _ => Self::Extracted,
        }
    }
}

/// Where a passage starts, as a person would look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Page of a PDF, from 1.
    pub page: Option<u32>,
    /// Line of the file, from 1; in DOCX, which has no lines, the paragraph.
    pub line: Option<u32>,
    /// What the byte range means.
    pub span: Span,
}

impl Position {
    /// Bytes and position of `part` of a passage that has `bytes` and `text`. A covering range stays whole: what of it a
    /// part came from is no longer known.
    pub(super) fn narrow(
        self,
        bytes: Range<usize>,
        text: &str,
        part: Range<usize>,
    ) -> (Range<usize>, Self) {
        if self.span == Span::Covering {
            return (bytes, self);
        }
        let lines_before = || text.get(..part.start).unwrap_or("").matches('\n').count();
        let line = match self.span {
            Span::Exact => self
                .line
                .map(|line| line.saturating_add(u32::try_from(lines_before()).unwrap_or(0))),
            _ => self.line,
        };
        let narrowed = bytes.start + part.start..bytes.start + part.end;
        (narrowed, Self { line, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_narrowed_only_where_that_is_true() {
        let at = |span| Position {
            page: None,
            line: Some(7),
            span,
        };
        let text = "one\ntwo\nthree";
        let (bytes, position) = at(Span::Exact).narrow(100..113, text, 8..13);
        assert_eq!((bytes, position.line), (108..113, Some(9)));
        let (bytes, position) = at(Span::Covering).narrow(100..190, text, 8..13);
        assert_eq!((bytes, position.line), (100..190, Some(7)));
    }
}
