//! Downloading a file over HTTP, from the byte where the last try ended.

use std::path::Path;

use ureq::http::header;

use super::backoff::Backoff;
use super::client::{Answer, Failure, Get, Head};
use super::content_range::ContentRange;
use super::part::{Edition, Part};
use super::plan::Expected;
use super::progress::{Phase, Watch};
use super::token::Token;
use crate::engine::ContentHash;
use crate::registry::disk::require_space;
use crate::{Error, Result};

/// Largest file that is fetched from a server that decides on the size itself: 1 TiB, several times the largest model
/// there is, and far below what could fill a disk array unnoticed.
pub const MAX_DOWNLOAD: u64 = 1 << 40;

/// A file on a server.
pub(super) struct Remote<'a> {
    pub(super) address: &'a str,
    pub(super) token: Option<&'a Token>,
    pub(super) expected: &'a Expected,
}

/// Fetches `remote` to `target`, whose folder exists; `check` looks at the complete file before it gets its name.
pub(super) fn download(
    remote: &Remote<'_>,
    target: &Path,
    check: impl Fn(&Path) -> Result<()>,
    watch: &mut Watch<'_>,
) -> Result<ContentHash> {
    let mut part = Part::open(target, remote.address, watch)?;
    let mut backoff = Backoff::new();
    loop {
        let before = part.length();
        match advance(remote, target, &mut part, watch) {
            Ok(()) => return part.finish(remote.expected, check),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing { reason, after }) => {
                if part.length() > before {
                    backoff.reset();
                }
                backoff.wait(remote.address, &reason, after, watch)?;
            }
        }
    }
}

/// One request: leaves the part complete, or fails.
fn advance(
    remote: &Remote<'_>,
    target: &Path,
    part: &mut Part,
    watch: &mut Watch<'_>,
) -> Result<(), Failure> {
    if part.is_complete() {
        return Ok(());
    }
    let get = Get {
        address: remote.address.to_owned(),
        token: remote.token.cloned(),
        resume: part.resume(),
    };
    let mut answer = Answer::to(&get, watch)?;
    match answer.head.status {
        200 => {
            let total = answer.head.content_length();
            // An error page must not cost the part that is here.
            check_size(remote, total, 0)?;
            part.restart(edition(remote.address, &answer.head, total))?;
        }
        206 if is_continuation(remote.address, &answer.head, part) => {}
        // A range that is not the one asked for, of another edition, or beyond the end: ask for the whole.
        206 | 416 => {
            part.clear()?;
            return Err(Failure::passing("the file on the server has changed"));
        }
        _ => return Err(answer.head.failure(remote.address)),
    }
    require_space(
        target,
        part.total()
            .unwrap_or_default()
            .saturating_sub(part.length()),
    )?;
    while let Some(block) = answer.next(watch)? {
        check_size(
            remote,
            None,
            part.length().saturating_add(block.len() as u64),
        )?;
        part.append(&block)?;
        watch.step(
            Phase::Fetching,
            part.length(),
            part.total().or(remote.expected.bytes),
        )?;
    }
    match part.total().or(remote.expected.bytes) {
        Some(total) if part.length() < total => Err(Failure::passing(format!(
            "the connection ended after {} of {total} bytes",
            part.length()
        ))),
        _ => Ok(()),
    }
}

fn is_continuation(address: &str, head: &Head, part: &Part) -> bool {
    let range = head
        .text(header::CONTENT_RANGE)
        .and_then(|text| text.parse::<ContentRange>().ok());
    range.is_some_and(|range| {
        range.start == part.length() && part.continues(&edition(address, head, range.total))
    })
}

/// What an answer is an edition of. `If-Range` takes a strong entity tag or a date (RFC 9110, section 13.1.5).
fn edition(address: &str, head: &Head, total: Option<u64>) -> Edition {
    let strong_tag = head.text(header::ETAG).filter(|tag| tag.starts_with('"'));
    let validator = strong_tag
        .or_else(|| head.text(header::LAST_MODIFIED))
        .map(str::to_owned);
    Edition {
        address: address.to_owned(),
        validator,
        total,
    }
}

/// Fails where the announced size is not the expected one, or more came than may.
fn check_size(remote: &Remote<'_>, announced: Option<u64>, length: u64) -> Result<()> {
    let fail = |reason: String| {
        Err(Error::Fetch {
            source_name: remote.address.to_owned(),
            reason,
        })
    };
    let limit = remote.expected.bytes.unwrap_or(MAX_DOWNLOAD);
    match announced {
        Some(total)
            if remote
                .expected
                .bytes
                .is_some_and(|expected| expected != total) =>
        {
            fail(format!(
                "the server has {total} bytes, {limit} are expected; the file there is another one"
            ))
        }
        Some(total) if total > limit => {
            fail(format!("it has {total} bytes; at most {limit} are fetched"))
        }
        _ if length > limit => fail(format!("more than {limit} bytes came")),
        _ => Ok(()),
    }
}
