//! PDF: the text of each page, by `pdf-extract`.
//!
//! PDFs from the world break every parser: this one panics on some and goes on for ever on others. So it runs on a
//! thread of its own, whose panic is an error and whose time is limited, after a look at what the file unpacks to. A
//! thread that is out of time cannot be stopped from outside; it is left behind, and only so many may be.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::time::Duration;

use super::parsed::Pages;

/// Time for one file. A thousand pages of text take about ten seconds.
const MAX_TIME: Duration = Duration::from_secs(60);

/// Most bytes that all compressed streams of a file may unpack to, 256 MiB: pictures are not unpacked to be read, and
/// text of 16 MiB of PDF is far below.
const MAX_UNPACKED: u64 = 256 << 20;

/// Threads out of time that may be left behind. Each holds a core and what its file unpacks to.
const MAX_LEFT_BEHIND: usize = 2;

/// Name of the thread.
const THREAD: &str = "unforget-pdf";

/// Stack of the thread: nested objects are read by recursion.
const STACK: usize = 32 << 20;

static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// Reads the pages of a file.
///
/// # Errors
///
/// Why it cannot be.
pub(super) fn read(bytes: &[u8]) -> Result<Pages, String> {
    if unpacks_beyond(bytes, MAX_UNPACKED) {
        return Err(format!(
            "its streams unpack to more than {MAX_UNPACKED} bytes"
        ));
    }
    let pages = in_time(bytes.to_vec(), MAX_TIME)?;
    let mut out = Pages::default();
    for page in pages {
        if !out.text.is_empty() {
            out.text.push_str("\n\n");
        }
        out.pages.push(out.text.len());
        out.text.push_str(page.trim());
    }
    Ok(out)
}

fn in_time(bytes: Vec<u8>, time: Duration) -> Result<Vec<String>, String> {
    if LEFT_BEHIND.load(Ordering::Relaxed) >= MAX_LEFT_BEHIND {
        return Err(
            "not read, because other PDFs ran out of time before it; add it again by itself".into(),
        );
    }
    be_quiet();
    let (sender, receiver) = mpsc::channel();
    let late = Arc::new(AtomicBool::new(false));
    let is_late = Arc::clone(&late);
    let work = move || {
        let read = catch_unwind(AssertUnwindSafe(|| {
            pdf_extract::extract_text_from_mem_by_pages(&bytes)
        }));
        // Nobody listens any more when time is over.
        let _ = sender.send(match read {
            Ok(Ok(pages)) => Ok(pages),
            Ok(Err(error)) => Err(format!("broken PDF: {error}")),
            Err(_) => Err("broken PDF: its parser gave up".into()),
        });
        if is_late.load(Ordering::Relaxed) {
            LEFT_BEHIND.fetch_sub(1, Ordering::Relaxed);
        }
    };
    let thread = std::thread::Builder::new().name(THREAD.into());
    if let Err(error) = thread.stack_size(STACK).spawn(work) {
        return Err(format!("no thread to read it: {error}"));
    }
    receiver.recv_timeout(time).unwrap_or_else(|_| {
        LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
        late.store(true, Ordering::Relaxed);
        Err(format!("not read within {} seconds", time.as_secs()))
    })
}

/// A panic on our thread is an answer, not news: it is not reported on stderr. All others are, as before.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(THREAD) {
                report(panic);
            }
        }));
    });
}

/// Whether the zlib streams in `bytes` unpack to more than `limit`, found by unpacking them into nothing. Streams are
/// looked for by their keyword, so that no broken structure can hide one.
fn unpacks_beyond(bytes: &[u8], limit: u64) -> bool {
    let mut left = limit;
    let mut at = 0;
    while let Some(found) = find(bytes.get(at..).unwrap_or(&[]), b"stream") {
        at += found + b"stream".len();
        let rest = bytes.get(at..).unwrap_or(&[]);
        let lead = rest
            .iter()
            .take(2)
            .take_while(|b| matches!(b, b'\r' | b'\n'));
        let rest = rest.get(lead.count()..).unwrap_or(&[]);
        if !looks_like_zlib(rest) {
            continue;
        }
        // A stream in a stream: two filters, one after the other.
        let mut unpacked = flate2::read::ZlibDecoder::new(rest).take(left + 1);
        let mut head = [0u8; 2];
        let n_head = unpacked.read(&mut head).unwrap_or(0) as u64;
        if n_head == 2 && looks_like_zlib(&head) {
            let inner = head.as_slice().chain(&mut unpacked);
            left = left.saturating_sub(count(flate2::read::ZlibDecoder::new(inner).take(left + 1)));
        } else {
            left = left.saturating_sub(n_head + count(&mut unpacked));
        }
        if left == 0 {
            return true;
        }
    }
    false
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The two bytes that start a zlib stream, RFC 1950: method 8, and a multiple of 31.
fn looks_like_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flags, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flags)) % 31 == 0)
}

fn count(mut reader: impl Read) -> u64 {
    let mut buffer = vec![0u8; 1 << 16];
    let mut sum = 0;
    while let Ok(n) = reader.read(&mut buffer) {
        if n == 0 {
            break;
        }
        sum += n as u64;
    }
    sum
}
