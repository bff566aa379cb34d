//! The report of a check.

use std::ffi::c_char;

use unforget::guard::certificate::Certificate;
use unforget::guard::report::text::{Colour, render};
use unforget::guard::verdict::Verdict;

use crate::boundary::call;
use crate::handle::{borrow, free};
use crate::out::TextOut;
use crate::status::uf_status;

/// The report of a check: the verdict with all it rests on. Opaque, never changed: any number of threads may use it at
/// once.
pub struct uf_report {
    verdict: Verdict,
    reason: String,
    text: String,
    json: String,
}

impl uf_report {
    pub(crate) fn new(certificate: &Certificate) -> Self {
        let outcome = &certificate.body().outcome;
        Self {
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            text: render(certificate, Colour::No),
            json: certificate.to_json(),
        }
    }
}

/// The verdict: UF_OK if the adapter stays within the budget, UF_REJECTED if it costs the base more than that,
/// UF_UNDECIDED if the evidence does not decide.
///
/// Threads: any.
/// UF_USAGE: `report` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_report_verdict(report: *const uf_report) -> uf_status {
    let mut status = uf_status::UF_OK;
    let called = call(|| {
        // SAFETY: the header's rules.
        status = match unsafe { borrow("report", report) }?.verdict {
            Verdict::Pass => uf_status::UF_OK,
            Verdict::Fail => uf_status::UF_REJECTED,
            Verdict::Undecided => uf_status::UF_UNDECIDED,
        };
        Ok(())
    });
    match called {
        uf_status::UF_OK => status,
        failed => failed,
    }
}

/// The reason of the verdict, one line.
///
/// text, text_len: get a text that belongs to the report and lives as long as it.
/// Threads: any.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_report_reason(
    report: *const uf_report,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(report, text, text_len, |report| &report.reason) }
}

/// The whole report for people: a table of at most 100 columns.
///
/// As uf_report_reason.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_report_text(
    report: *const uf_report,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(report, text, text_len, |report| &report.text) }
}

/// The whole report as JSON: a certificate, bound by hashes to base, adapter, suite and budget, as `unforget check`
/// writes it.
///
/// As uf_report_reason.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_report_json(
    report: *const uf_report,
    text: *mut *const c_char,
    text_len: *mut usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { lend(report, text, text_len, |report| &report.json) }
}

/// Lends a text of the report.
///
/// # Safety
/// The header's rules.
unsafe fn lend(
    report: *const uf_report,
    text: *mut *const c_char,
    text_len: *mut usize,
    get: impl FnOnce(&uf_report) -> &str,
) -> uf_status {
    call(|| {
        // SAFETY: the caller keeps this function's promise.
        let (report, out) = unsafe { (borrow("report", report)?, TextOut::new(text, text_len)?) };
        out.write(get(report));
        Ok(())
    })
}

/// Releases a report. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_report_free(report: *mut uf_report) {
    // SAFETY: the header's rules.
    unsafe { free(report) }
}
