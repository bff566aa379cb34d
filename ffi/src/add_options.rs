//! How to add documents: a builder.

use std::ffi::c_char;

use unforget::rag::IngestOptions;

use crate::boundary::call;
use crate::handle::{edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// Most tags that are given to a path.
const MAX_TAGS: usize = 64;

/// How to add documents. Opaque; used by one thread at a time.
pub struct uf_add_options {
    pub(crate) options: IngestOptions,
}

/// Makes options with the defaults: no tags, nothing redacted.
///
/// out: gets them. The caller owns them and releases them with uf_add_options_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_add_options_new(out: *mut *mut uf_add_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_add_options {
            options: IngestOptions::default(),
        }));
        Ok(())
    })
}

/// Adds a tag for all that is at and below the path, what comes later too; uf_search_options_add_tag asks for it.
///
/// tag: UTF-8, `tag_len` bytes, read only during the call. At most 64 bytes, or the documents are refused.
///
/// UF_USAGE: `options` or `tag` is null, the tag is empty, absurdly long or not UTF-8, or there are 64 already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_add_options_add_tag(
    options: *mut uf_add_options,
    tag: *const c_char,
    tag_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_add_options| {
        // SAFETY: the header's rules.
        let tag = unsafe { text::short("tag", tag, tag_len) }?;
        if builder.options.tags.len() == MAX_TAGS {
            let expected = format!("at most {MAX_TAGS}");
            return Err(text::invalid("tags", (MAX_TAGS + 1).to_string(), expected));
        }
        builder.options.tags.push(tag.to_owned());
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets whether e-mail addresses, phone and card numbers, IBANs and keys are replaced before anything is kept (not 0) or
/// not (0). A collection that was begun with it keeps to it, whatever is said here.
///
/// UF_USAGE: `options` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_add_options_set_redact(
    options: *mut uf_add_options,
    redact: u32,
) -> uf_status {
    let change = |builder: &mut uf_add_options| {
        builder.options.redact = redact != 0;
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_add_options_free(options: *mut uf_add_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
