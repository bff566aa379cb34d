//! A collection's handle: documents that can be searched and cited.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use unforget::Result;
use unforget::rag::{
    Collection, Embed as _, EngineEmbedder, IngestOptions, IngestReport, Progress,
};

use crate::add_options::uf_add_options;
use crate::boundary::call;
use crate::changes::uf_changes;
use crate::embedder::{SharedEmbedder, uf_embedder};
use crate::exclusive::Exclusive;
use crate::handle::{borrow, free, give, optional};
use crate::out::Out;
use crate::progress::{Listener, uf_progress_callback};
use crate::status::uf_status;
use crate::text;

/// For uf_collection_count: documents.
pub const UF_COLLECTION_DOCUMENTS: u32 = 0;
/// For uf_collection_count: passages that they were cut into.
pub const UF_COLLECTION_PASSAGES: u32 = 1;

/// A collection: documents in a folder of its own, searchable. Opaque. Calls from several threads wait for each other;
/// the same folder may be opened several times, also by several processes.
pub struct uf_collection {
    embedder: Arc<SharedEmbedder>,
    pub(crate) collection: Exclusive<Collection>,
}

impl uf_collection {
    /// Works on the collection with its embedder.
    ///
    /// The embedder is taken second by everybody, so that no two calls wait for each other.
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&mut Collection, &mut EngineEmbedder) -> Result<R>,
    ) -> Result<R> {
        self.collection.with("collection", |collection| {
            self.embedder
                .engine
                .with("embedder", |engine| work(collection, engine))
        })
    }
}

/// Opens the collection in a folder, or makes it there.
///
/// path: name of the folder, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
/// embedder: from uf_embedder_open. The collection keeps it alive: it may be freed before the collection.
/// out: gets the collection. The caller owns it and releases it with uf_collection_free.
/// Threads: any.
///
/// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it. UF_NOT_FOUND: the
/// collection was made with another embedder. UF_FAILED: its files are damaged or of a newer version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_open(
    path: *const c_char,
    path_len: usize,
    embedder: *const uf_embedder,
    out: *mut *mut uf_collection,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all three.
        let (path, embedder, out) = unsafe {
            (
                text::path(path, path_len)?,
                borrow("embedder", embedder)?,
                Out::new("out", out)?,
            )
        };
        let id = embedder
            .shared
            .engine
            .with("embedder", |engine| Ok(engine.id().clone()))?;
        let collection = Collection::create_or_open(path, &id)?;
        out.write(give(uf_collection {
            embedder: Arc::clone(&embedder.shared),
            collection: Exclusive::new(collection),
        }));
        Ok(())
    })
}

/// Adds a file, or all that is in a folder, and updates what changed since it was added before. What was committed before
/// a stop stays.
///
/// path: UTF-8, `path_len` bytes (at most 32,768), read only during the call.
/// options: from uf_add_options_new, or null for the defaults; only borrowed.
/// callback: hears of each file and each batch (bytes done and in all), and can stop; null for none.
/// user_data: handed to the callback; may be null.
/// out: gets what changed, if it is not null. The caller owns it and releases it with uf_changes_free.
/// Threads: calls on one collection wait for each other.
///
/// UF_USAGE: `collection` or `path` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or a tag of the
/// options is too long or has line breaks. UF_NOT_FOUND: there is nothing at the path. UF_INTERRUPTED: the callback or the embedder's switch stopped it.
/// UF_FAILED: another process is writing, the disk is full, or the engine failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_add(
    collection: *mut uf_collection,
    path: *const c_char,
    path_len: usize,
    options: *const uf_add_options,
    callback: uf_progress_callback,
    user_data: *mut c_void,
    out: *mut *mut uf_changes,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (collection, path, options, listener) = unsafe {
            (
                borrow("collection", collection)?,
                text::path(path, path_len)?,
                optional(options),
                Listener::new(callback, user_data),
            )
        };
        let paths = [PathBuf::from(path)];
        let options = options.map_or_else(IngestOptions::default, |it| it.options.clone());
        let report = collection.with(|collection, embedder| {
            collection.add(&paths, embedder, &options, &mut |at| tell(&listener, at))
        })?;
        // SAFETY: the header's rules.
        unsafe { give_changes(report, out) };
        Ok(())
    })
}

/// Walks everything that was ever added again: takes what is new, updates what changed, removes what is gone. Tags and
/// redaction are as they were when it was added.
///
/// As uf_collection_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_sync(
    collection: *mut uf_collection,
    callback: uf_progress_callback,
    user_data: *mut c_void,
    out: *mut *mut uf_changes,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (collection, listener) = unsafe {
            (
                borrow("collection", collection)?,
                Listener::new(callback, user_data),
            )
        };
        let report = collection.with(|collection, embedder| {
            let options = IngestOptions::default();
            collection.sync(embedder, &options, &mut |at| tell(&listener, at))
        })?;
        // SAFETY: the header's rules.
        unsafe { give_changes(report, out) };
        Ok(())
    })
}

fn tell(listener: &Listener, at: &Progress<'_>) -> ControlFlow<()> {
    if listener.tell(&at.path.to_string_lossy(), at.bytes_done, at.bytes) {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// Hands the report over, if it is wanted.
///
/// # Safety
/// `out` is null or valid for writing a pointer.
unsafe fn give_changes(report: IngestReport, out: *mut *mut uf_changes) {
    if !out.is_null() {
        // SAFETY: not null, and the caller promises that it can be written.
        unsafe { out.write(give(uf_changes::new(report))) };
    }
}

/// Removes a document. Its file stays; uf_collection_sync adds it again while it is under a path once added.
///
/// document: its number, as uf_passages_document gives it.
/// Threads: calls on one collection wait for each other.
/// UF_USAGE: `collection` is null. UF_NOT_FOUND: there is no such document. UF_FAILED: another process is writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_remove(
    collection: *mut uf_collection,
    document: i64,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let collection = unsafe { borrow("collection", collection) }?;
        collection
            .collection
            .with("collection", |collection| collection.remove(document))
    })
}

/// How much is in a collection.
///
/// which: one of UF_COLLECTION_.
/// out: gets the number.
/// Threads: calls on one collection wait for each other.
/// UF_USAGE: a pointer is null, or `which` is unknown. UF_FAILED: the database failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_count(
    collection: *const uf_collection,
    which: u32,
    out: *mut u64,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for both.
        let (collection, out) =
            unsafe { (borrow("collection", collection)?, Out::new("out", out)?) };
        let documents = collection
            .collection
            .with("collection", |collection| collection.documents())?;
        out.write(match which {
            UF_COLLECTION_DOCUMENTS => documents.len() as u64,
            UF_COLLECTION_PASSAGES => documents.iter().map(|document| document.chunks).sum(),
            _ => return Err(text::unknown("which", which, "one of UF_COLLECTION_")),
        });
        Ok(())
    })
}

/// Releases a collection. Null is allowed and does nothing. Its files stay.
///
/// Threads: any, once no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_free(collection: *mut uf_collection) {
    // SAFETY: the header's rules.
    unsafe { free(collection) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_a_collection() {
        const fn shareable<T: Send + Sync>() {}
        shareable::<uf_collection>();
    }
}
