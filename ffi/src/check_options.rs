//! How to check an adapter: a builder.

use std::ffi::c_char;
use std::path::{Path, PathBuf};

use unforget::Result;
use unforget::engine::CancelToken;
use unforget::guard::budget::Budget;
use unforget::guard::check::{MeasureOptions, Tier};
use unforget::guard::suite::Suite;

use crate::boundary::call;
use crate::cancel::uf_cancel;
use crate::handle::{borrow, edit, free, give};
use crate::out::Out;
use crate::session_options::checked_threads;
use crate::status::uf_status;
use crate::text;

/// For uf_check_options_set_tier: a first look, about a minute: finds careless tuning.
pub const UF_TIER_SMOKE: u32 = 0;
/// For uf_check_options_set_tier: some minutes: enough to trust an adapter. The default.
pub const UF_TIER_GATE: u32 = 1;
/// For uf_check_options_set_tier: all items.
pub const UF_TIER_CERTIFY: u32 = 2;

/// How to check an adapter. Opaque; used by one thread at a time. Files are read when the check begins.
pub struct uf_check_options {
    tier: Tier,
    builtin: bool,
    suite: Option<PathBuf>,
    domain: Option<PathBuf>,
    budget: Option<PathBuf>,
    cache: Option<PathBuf>,
    n_threads: Option<u32>,
    cancel: CancelToken,
}

impl Default for uf_check_options {
    fn default() -> Self {
        Self {
            tier: Tier::Gate,
            builtin: true,
            suite: None,
            domain: None,
            budget: None,
            cache: None,
            n_threads: None,
            cancel: CancelToken::default(),
        }
    }
}

impl uf_check_options {
    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    pub(crate) fn suite(&self) -> Result<Suite> {
        let mut suite = if self.builtin {
            Suite::builtin()?
        } else {
            Suite::empty()
        };
        if let Some(folder) = &self.suite {
            suite.add_folder(folder)?;
        }
        if let Some(file) = &self.domain {
            suite.set_domain_file(file)?;
        }
        Ok(suite)
    }

    pub(crate) fn budget(&self) -> Result<Budget> {
        match &self.budget {
            Some(file) => Budget::read(file),
            None => Budget::embedded(),
        }
    }

    pub(crate) fn measure(&self) -> MeasureOptions {
        MeasureOptions {
            cache: self.cache.clone(),
            n_threads: self.n_threads,
            cancel: self.cancel.clone(),
            ..MeasureOptions::of(self.tier)
        }
    }
}

/// Makes options with the defaults: tier gate, the suite and the budget that come with the library, nothing kept.
///
/// out: gets them. The caller owns them and releases them with uf_check_options_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_new(out: *mut *mut uf_check_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_check_options::default()));
        Ok(())
    })
}

/// Sets how thorough the check is: one of UF_TIER_.
///
/// UF_USAGE: `options` is null, or `tier` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_tier(
    options: *mut uf_check_options,
    tier: u32,
) -> uf_status {
    let change = |builder: &mut uf_check_options| {
        builder.tier = match tier {
            UF_TIER_SMOKE => Tier::Smoke,
            UF_TIER_GATE => Tier::Gate,
            UF_TIER_CERTIFY => Tier::Certify,
            _ => return Err(text::unknown("tier", tier, "one of UF_TIER_")),
        };
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets whether the groups that come with the library are measured: 0 for only those of uf_check_options_set_suite and
/// uf_check_options_set_domain.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_builtin_suite(
    options: *mut uf_check_options,
    on: u32,
) -> uf_status {
    let change = |builder: &mut uf_check_options| {
        builder.builtin = on != 0;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets a folder with groups (*.jsonl) and texts (*.txt) of your own.
///
/// path: UTF-8, `path_len` bytes (at most 32,768), copied.
/// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_suite(
    options: *mut uf_check_options,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { set_path(options, path, path_len, |builder| &mut builder.suite) }
}

/// Sets the file (JSONL) with the task that the adapter was made for: prompts with their right answers.
///
/// As uf_check_options_set_suite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_domain(
    options: *mut uf_check_options,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { set_path(options, path, path_len, |builder| &mut builder.domain) }
}

/// Sets the file (TOML) that declares how much may be forgotten.
///
/// As uf_check_options_set_suite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_budget(
    options: *mut uf_check_options,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { set_path(options, path, path_len, |builder| &mut builder.budget) }
}

/// Sets a folder in which what the base scores is kept, so that the next adapter on it costs half. It is made if it is
/// not there, and can be deleted at any time.
///
/// As uf_check_options_set_suite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_cache(
    options: *mut uf_check_options,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    // SAFETY: the header's rules.
    unsafe { set_path(options, path, path_len, |builder| &mut builder.cache) }
}

/// Sets one of the paths.
///
/// # Safety
/// The header's rules.
unsafe fn set_path(
    options: *mut uf_check_options,
    path: *const c_char,
    path_len: usize,
    field: impl FnOnce(&mut uf_check_options) -> &mut Option<PathBuf>,
) -> uf_status {
    let change = |builder: &mut uf_check_options| {
        // SAFETY: the caller keeps this function's promise.
        let path = unsafe { text::path(path, path_len) }?;
        *field(builder) = Some(Path::to_owned(path));
        Ok(())
    };
    // SAFETY: the caller keeps this function's promise.
    unsafe { edit("options", options, change) }
}

/// Sets how many threads compute. 0, the default: one a core.
///
/// UF_USAGE: `options` is null, or there are more than 4,096.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_n_threads(
    options: *mut uf_check_options,
    n_threads: u32,
) -> uf_status {
    let change = |builder: &mut uf_check_options| {
        builder.n_threads = Some(checked_threads(n_threads)?).filter(|&n| n > 0);
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets the switch that stops the check from another thread.
///
/// cancel: from uf_cancel_new. The check keeps it alive.
/// UF_USAGE: a pointer is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_set_cancel(
    options: *mut uf_check_options,
    cancel: *const uf_cancel,
) -> uf_status {
    let change = |builder: &mut uf_check_options| {
        // SAFETY: the header's rules.
        builder.cancel = unsafe { borrow("cancel", cancel) }?.token.clone();
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_check_options_free(options: *mut uf_check_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
