//! Checking an adapter: what it makes its base forget, measured and judged.

use std::ffi::c_void;

use unforget::Result;
use unforget::engine::AdapterStack;
use unforget::guard::certificate::Certificate;
use unforget::guard::check::check;

use crate::adapter::uf_adapter;
use crate::boundary::call;
use crate::check_options::uf_check_options;
use crate::handle::{borrow, give, optional};
use crate::out::Out;
use crate::progress::{Listener, uf_progress_callback};
use crate::report::uf_report;
use crate::status::uf_status;

/// Measures what an adapter makes its base forget, and judges it by a budget. Takes a minute or many, see UF_TIER_.
///
/// adapter: from uf_adapter_open.
/// scale: the largest scale that it will be used at, not 0.
/// options: from uf_check_options_new, or null for the defaults; only borrowed.
/// callback: hears of each group (items done and in all), and can stop; null for none. A stop by it raises the options'
/// switch too.
/// user_data: handed to the callback; may be null.
/// out: gets the report, whatever its verdict. The caller owns it and releases it with uf_report_free; it needs nothing
/// else any more.
/// Threads: any; checks and sessions on one model compute side by side.
///
/// UF_USAGE: `adapter` or `out` is null, the scale is 0 or out of range, a suite, a domain or a budget has something
/// wrong in it, or nothing is left to measure. UF_NOT_FOUND: a file is not there. UF_INTERRUPTED: the callback or the
/// options' switch stopped it. UF_FAILED: a file cannot be read, an adapter's numbers overflow, or the engine failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_adapter_check(
    adapter: *const uf_adapter,
    scale: f32,
    options: *const uf_check_options,
    callback: uf_progress_callback,
    user_data: *mut c_void,
    out: *mut *mut uf_report,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (adapter, options, listener, out) = unsafe {
            (
                borrow("adapter", adapter)?,
                optional(options),
                Listener::new(callback, user_data),
                Out::new("out", out)?,
            )
        };
        let defaults = uf_check_options::default();
        let certificate = certify(adapter, scale, options.unwrap_or(&defaults), listener)?;
        out.write(give(uf_report::new(&certificate)));
        Ok(())
    })
}

fn certify(
    adapter: &uf_adapter,
    scale: f32,
    options: &uf_check_options,
    listener: Listener,
) -> Result<Certificate> {
    let model = &adapter.opened.model;
    let (suite, budget, measure) = (options.suite()?, options.budget()?, options.measure());
    let mut stack = AdapterStack::base();
    stack.push(adapter.adapter.clone(), scale)?;
    let cancel = measure.cancel.clone();
    let checked = check(model, &stack, &suite, &budget, &measure, |at| {
        if !listener.tell(at.group, at.done as u64, at.total as u64) {
            cancel.cancel();
        }
    })?;
    let body = checked.body(model, &stack, &suite, &budget, options.tier(), None)?;
    Certificate::seal(&body, None)
}
