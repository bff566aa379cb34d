//! What a collection may be used for.

use std::ffi::c_char;

use crate::boundary::call;
use crate::collection::uf_collection;
use crate::handle::borrow;
use crate::status::uf_status;
use crate::text;

/// Makes a file the policy of a collection, which keeps a copy: which documents may be quoted and how fresh they have to be,
/// which questions are refused, and what is put under answers. `unforget docs policy --help` says what is in one.
/// uf_collection_ask follows it, whoever opens the collection.
///
/// path: name of a TOML file, UTF-8, `path_len` bytes (at most 32,768), read only during the call; null for no policy.
/// Threads: calls on one collection wait for each other.
///
/// UF_USAGE: `collection` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or the policy is not sound;
/// the one before stays. UF_NOT_FOUND: there is no such file. UF_FAILED: it cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_set_policy(
    collection: *mut uf_collection,
    path: *const c_char,
    path_len: usize,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let collection = unsafe { borrow("collection", collection) }?;
        let path = if path.is_null() {
            None
        } else {
            // SAFETY: the header's rules.
            Some(unsafe { text::path(path, path_len) }?)
        };
        collection
            .collection
            .with("collection", |collection| match path {
                Some(path) => collection.adopt_policy(path).map(drop),
                None => collection.drop_policy().map(drop),
            })
    })
}
