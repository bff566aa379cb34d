//! How to search: a builder.

use std::ffi::c_char;

use unforget::Result;
use unforget::rag::{Date, SearchMode, SearchOptions};

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

/// Most globs, documents or tags of a filter: each is compared with every document.
const MAX_FILTERS: usize = 1000;

/// How to search. Opaque; used by one thread at a time.
pub struct uf_search_options {
    pub(crate) options: SearchOptions,
}

/// Makes options with the defaults: five passages, by meaning and words, of all documents.
///
/// out: gets them. The caller owns them and releases them with uf_search_options_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_new(out: *mut *mut uf_search_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_search_options {
            options: SearchOptions::default(),
        }));
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
        builder.options.limit = limit as usize;
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
        builder.options.mode = match mode {
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

/// Searches in documents only whose path matches this glob, or another that was added: `*.md`, `notes/**`. What does not
/// begin at the root matches at any depth. Where documents, tags or a time are set too, all of them have to hold.
///
/// glob: UTF-8, `glob_len` bytes (at most 32,768), read only during the call; whether it is a glob shows in the search.
///
/// UF_USAGE: `options` or `glob` is null, the glob is empty, too long or not UTF-8, or there are 1,000 already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_add_path(
    options: *mut uf_search_options,
    glob: *const c_char,
    glob_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        // SAFETY: the header's rules.
        let glob = unsafe { text::short("glob", glob, glob_len) }?;
        push("globs", &mut builder.options.filter.paths, glob.to_owned())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Searches in this document only, or another that was added. As uf_search_options_add_path.
///
/// document: its number, as uf_passages_document gives it.
///
/// UF_USAGE: `options` is null, or there are 1,000 documents already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_add_document(
    options: *mut uf_search_options,
    document: i64,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        push("documents", &mut builder.options.filter.documents, document)
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Searches in documents only that were added with this tag, or another that was added. As uf_search_options_add_path.
///
/// tag: UTF-8, `tag_len` bytes (at most 32,768), read only during the call.
///
/// UF_USAGE: `options` or `tag` is null, the tag is empty, too long or not UTF-8, or there are 1,000 already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_add_tag(
    options: *mut uf_search_options,
    tag: *const c_char,
    tag_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        // SAFETY: the header's rules.
        let tag = unsafe { text::short("tag", tag, tag_len) }?;
        push("tags", &mut builder.options.filter.tags, tag.to_owned())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Searches in documents only whose file was written at this time or later, in seconds since 1970. As
/// uf_search_options_add_path.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_set_since(
    options: *mut uf_search_options,
    seconds: i64,
) -> uf_status {
    let change = |builder: &mut uf_search_options| {
        builder.options.filter.since = Some(Date(seconds));
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Adds one more, if there is room.
fn push<T>(what: &'static str, to: &mut Vec<T>, value: T) -> Result<()> {
    if to.len() == MAX_FILTERS {
        let expected = format!("at most {MAX_FILTERS}");
        return Err(text::invalid(what, (MAX_FILTERS + 1).to_string(), expected));
    }
    to.push(value);
    Ok(())
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_search_options_free(options: *mut uf_search_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
