//! Passages of documents: what a search found, or what an answer cites.

use std::ffi::c_char;

use unforget::Result;
use unforget::rag::{Citation, Hit, Position, SearchOptions, Span};

use crate::boundary::call;
use crate::collection::uf_collection;
use crate::handle::{borrow, free, give, optional};
use crate::out::{Out, TextOut};
use crate::search_options::uf_search_options;
use crate::status::uf_status;
use crate::text;

/// For uf_passages_range: bytes of the file that are the text, byte for byte.
pub const UF_SPAN_EXACT: u32 = 0;
/// For uf_passages_range: bytes of the file that the text was made from: with markup, or in another encoding.
pub const UF_SPAN_COVERING: u32 = 1;
/// For uf_passages_range: bytes of the text that was extracted from the file, which has no such range (PDF, DOCX).
pub const UF_SPAN_EXTRACTED: u32 = 2;

/// Passages of documents, best or first first. Opaque, never changed: any number of threads may use it at once.
pub struct uf_passages {
    passages: Vec<Passage>,
}

/// A passage, from a search or a citation.
struct Passage {
    number: u64,
    document: i64,
    path: String,
    start: usize,
    end: usize,
    position: Position,
    score: f32,
    text: String,
}

impl uf_passages {
    fn found(hits: Vec<Hit>) -> Self {
        let passage = |(number, hit): (u64, Hit)| Passage {
            number,
            document: hit.document,
            path: hit.path,
            start: hit.start,
            end: hit.end,
            position: hit.position,
            score: hit.score,
            text: hit.text,
        };
        Self {
            passages: (1..).zip(hits).map(passage).collect(),
        }
    }

    pub(crate) fn cited(citations: Vec<Citation>) -> Self {
        let passage = |citation: Citation| Passage {
            number: citation.n as u64,
            document: citation.document,
            path: citation.path,
            start: citation.start,
            end: citation.end,
            position: citation.position,
            score: citation.score,
            text: citation.text,
        };
        Self {
            passages: citations.into_iter().map(passage).collect(),
        }
    }

    fn get(&self, index: usize) -> Result<&Passage> {
        self.passages
            .get(index)
            .ok_or_else(|| text::beyond(index, self.passages.len()))
    }
}

/// Finds the passages of a collection that bear on a query.
///
/// query: UTF-8, `query_len` bytes (at most 16 MiB), read only during the call.
/// options: from uf_search_options_new, or null for the defaults; only borrowed.
/// out: gets the passages, best first, perhaps none. The caller owns them and releases them with uf_passages_free; they
/// need the collection no more.
/// Threads: calls on one collection wait for each other.
///
/// UF_USAGE: `collection`, `query` or `out` is null, the query is empty, too long or not UTF-8, or a path of the options is
/// no glob. UF_INTERRUPTED: the embedder's or the reranker's switch was raised. UF_FAILED: the engine or the database failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_search(
    collection: *mut uf_collection,
    query: *const c_char,
    query_len: usize,
    options: *const uf_search_options,
    out: *mut *mut uf_passages,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (collection, query, options, out) = unsafe {
            (
                borrow("collection", collection)?,
                text::long("query", query, query_len)?,
                optional(options),
                Out::new("out", out)?,
            )
        };
        let options = options.map_or_else(SearchOptions::default, |it| it.options.clone());
        let found =
            collection.with(|collection, engine| collection.search(query, engine, &options))?;
        out.write(give(uf_passages::found(found.hits)));
        Ok(())
    })
}

/// How many passages there are.
///
/// out: gets the number.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_len(
    passages: *const uf_passages,
    out: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (passages, out) = unsafe { (borrow("passages", passages)?, Out::new("out", out)?) };
        out.write(passages.passages.len());
        Ok(())
    })
}

/// Something of one passage.
///
/// # Safety
/// The header's rules.
unsafe fn read<T>(
    passages: *const uf_passages,
    index: usize,
    out: *mut T,
    get: impl FnOnce(&Passage) -> T,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (passages, out) = unsafe { (borrow("passages", passages)?, Out::new("out", out)?) };
        out.write(get(passages.get(index)?));
        Ok(())
    })
}

/// A text of one passage.
///
/// # Safety
/// The header's rules.
unsafe fn lend(
    passages: *const uf_passages,
    index: usize,
    text: *mut *const c_char,
    text_len: *mut usize,
    get: impl FnOnce(&Passage) -> &str,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (passages, out) =
            unsafe { (borrow("passages", passages)?, TextOut::new(text, text_len)?) };
        out.write(get(passages.get(index)?));
        Ok(())
    })
}

/// What a passage says.
///
/// index: below uf_passages_len.
/// text, text_len: get a text that belongs to the passages and lives as long as they.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_text(
    passages: *const uf_passages,
    index: usize,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(passages, index, text, text_len, |passage| &passage.text) }
}

/// Absolute path of a passage's file.
///
/// As uf_passages_text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_path(
    passages: *const uf_passages,
    index: usize,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(passages, index, text, text_len, |passage| &passage.path) }
}

/// Where a passage stands: from byte `start` to before byte `end`, and what these are bytes of, one of UF_SPAN_.
///
/// index: below uf_passages_len.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_range(
    passages: *const uf_passages,
    index: usize,
    start: *mut u64,
    end: *mut u64,
    span: *mut u32,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (passages, start, end, span) = unsafe {
            (
                borrow("passages", passages)?,
                Out::new("start", start)?,
                Out::new("end", end)?,
                Out::new("span", span)?,
            )
        };
        let passage = passages.get(index)?;
        start.write(passage.start as u64);
        end.write(passage.end as u64);
        span.write(match passage.position.span {
            Span::Exact => UF_SPAN_EXACT,
            Span::Covering => UF_SPAN_COVERING,
            Span::Extracted => UF_SPAN_EXTRACTED,
        });
        Ok(())
    })
}

/// Where a passage begins, as a person would look for it: page (of a PDF) and line, from 1; 0 where there is none.
///
/// index: below uf_passages_len.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_place(
    passages: *const uf_passages,
    index: usize,
    page: *mut u32,
    line: *mut u32,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (passages, page, line) = unsafe {
            (
                borrow("passages", passages)?,
                Out::new("page", page)?,
                Out::new("line", line)?,
            )
        };
        let position = passages.get(index)?.position;
        page.write(position.page.unwrap_or(0));
        line.write(position.line.unwrap_or(0));
        Ok(())
    })
}

/// How near a passage is to the query in meaning: the cosine of their vectors.
///
/// index: below uf_passages_len.
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_score(
    passages: *const uf_passages,
    index: usize,
    out: *mut f32,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(passages, index, out, |passage| passage.score) }
}

/// The number that an answer cites a passage by, as `[1]` in its text; of a search, its rank from 1.
///
/// index: below uf_passages_len.
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_number(
    passages: *const uf_passages,
    index: usize,
    out: *mut u64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(passages, index, out, |passage| passage.number) }
}

/// Number of a passage's document in its collection.
///
/// index: below uf_passages_len.
/// out: gets it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many passages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_document(
    passages: *const uf_passages,
    index: usize,
    out: *mut i64,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { read(passages, index, out, |passage| passage.document) }
}

/// Releases passages from uf_collection_search. Null is allowed and does nothing. Those of an answer belong to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_passages_free(passages: *mut uf_passages) {
    // SAFETY: the header's rules.
    unsafe { free(passages) }
}
