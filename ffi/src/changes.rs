//! What came of adding or following documents.

use std::ffi::c_char;

use unforget::rag::IngestReport;

use crate::boundary::call;
use crate::handle::{borrow, free};
use crate::out::{Out, TextOut};
use crate::status::uf_status;
use crate::text;

/// For uf_changes_count: documents that are new.
pub const UF_CHANGES_ADDED: u32 = 0;
/// For uf_changes_count: documents whose file had changed.
pub const UF_CHANGES_UPDATED: u32 = 1;
/// For uf_changes_count: documents that are as they were.
pub const UF_CHANGES_UNCHANGED: u32 = 2;
/// For uf_changes_count: documents whose file was moved.
pub const UF_CHANGES_MOVED: u32 = 3;
/// For uf_changes_count: documents whose file is gone.
pub const UF_CHANGES_REMOVED: u32 = 4;
/// For uf_changes_count: files that were not taken.
pub const UF_CHANGES_SKIPPED: u32 = 5;
/// For uf_changes_count: passages that were written.
pub const UF_CHANGES_PASSAGES: u32 = 6;

/// What came of uf_collection_add or uf_collection_sync. Opaque, never changed: any number of threads may use it at once.
pub struct uf_changes {
    report: IngestReport,
    /// Path and reason of each file that was not taken.
    skipped: Vec<(String, String)>,
}

impl uf_changes {
    pub(crate) fn new(report: IngestReport) -> Self {
        let skipped = report
            .skipped
            .iter()
            .map(|skipped| {
                let path = skipped.path.to_string_lossy().into_owned();
                (path, skipped.reason.clone())
            })
            .collect();
        Self { report, skipped }
    }
}

/// A count of what changed.
///
/// which: one of UF_CHANGES_.
/// out: gets the number.
/// Threads: any.
/// UF_USAGE: a pointer is null, or `which` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_changes_count(
    changes: *const uf_changes,
    which: u32,
    out: *mut u64,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (changes, out) = unsafe { (borrow("changes", changes)?, Out::new("out", out)?) };
        let report = &changes.report;
        out.write(match which {
            UF_CHANGES_ADDED => report.added,
            UF_CHANGES_UPDATED => report.updated,
            UF_CHANGES_UNCHANGED => report.unchanged,
            UF_CHANGES_MOVED => report.moved,
            UF_CHANGES_REMOVED => report.removed,
            UF_CHANGES_SKIPPED => changes.skipped.len(),
            UF_CHANGES_PASSAGES => report.chunks,
            _ => return Err(text::unknown("which", which, "one of UF_CHANGES_")),
        } as u64);
        Ok(())
    })
}

/// A file that was not taken, and why.
///
/// index: below the count of UF_CHANGES_SKIPPED.
/// path, path_len, reason, reason_len: get texts that belong to `changes` and live as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null, or there are not so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_changes_skipped(
    changes: *const uf_changes,
    index: usize,
    path: *mut *const c_char,
    path_len: *mut usize,
    reason: *mut *const c_char,
    reason_len: *mut usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (changes, path_out, reason_out) = unsafe {
            (
                borrow("changes", changes)?,
                TextOut::new(path, path_len)?,
                TextOut::new(reason, reason_len)?,
            )
        };
        let n = changes.skipped.len();
        let (path, reason) = changes
            .skipped
            .get(index)
            .ok_or_else(|| text::beyond(index, n))?;
        path_out.write(path);
        reason_out.write(reason);
        Ok(())
    })
}

/// Releases what changed. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_changes_free(changes: *mut uf_changes) {
    // SAFETY: the header's rules.
    unsafe { free(changes) }
}
