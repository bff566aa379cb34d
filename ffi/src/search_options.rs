//! How to search: a builder.

use unforget::rag::{SearchMode, SearchOptions};

use crate::boundary::call;
use crate::handle::{edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// For uf_search_options_set_mode: by meaning and by words, fused. The default.
pub const UF_SEARCH_HYBRID: u32 = 0;
/// For uf_search_options_set_mode: by meaning alone.
pub const UF_SEARCH_DENSE: u32 = 1;
/// For uf_search_options_set_mode: by words alone.
pub const UF_SEARCH_KEYWORD: u32 = 2;

/// Most passages that can be asked for.
const MAX_LIMIT: u32 = 1000;

/// How to search. Opaque; used by one thread at a time.
pub struct uf_search_options {
    limit: usize,
    mode: SearchMode,
}

impl uf_search_options {
    pub(crate) fn options(&self) -> SearchOptions {
        SearchOptions {
            limit: self.limit,
            mode: self.mode,
            ..SearchOptions::default()
        }
    }
}

/// Makes options with the defaults: five passages, by meaning and words.
///
/// out: gets them. The caller owns them and releases them with uf_search_options_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_new(out: *mut *mut uf_search_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        let SearchOptions { limit, mode, .. } = SearchOptions::default();
        out.write(give(uf_search_options { limit, mode }));
        Ok(())
    })
}

/// Sets the most passages to find.
///
/// UF_USAGE: `options` is null, or the number is 0 or above 1,000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_set_limit(
    options: *mut uf_search_options,
    limit: u32,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        if limit == 0 || limit > MAX_LIMIT {
            let expected = format!("1 to {MAX_LIMIT}");
            return Err(text::unknown("limit", limit, &expected));
        }
        builder.limit = limit as usize;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets how passages are found: one of UF_SEARCH_.
///
/// UF_USAGE: `options` is null, or `mode` is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_set_mode(
    options: *mut uf_search_options,
    mode: u32,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        builder.mode = match mode {
            UF_SEARCH_HYBRID => SearchMode::Hybrid,
            UF_SEARCH_DENSE => SearchMode::Dense,
            UF_SEARCH_KEYWORD => SearchMode::Keyword,
            _ => return Err(text::unknown("mode", mode, "one of UF_SEARCH_")),
        };
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_free(options: *mut uf_search_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
