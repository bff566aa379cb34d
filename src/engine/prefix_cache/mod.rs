//! Computed beginnings of prompts, kept on disk: a system prompt, a document or a long chat is computed once, and found
//! again by later sessions, processes and after restarts.
//!
//! KV is kept in blocks of 64 tokens, a file each, under a key that names all that the numbers depend on ([`key`]): the
//! engine, the model by content, the adapters by content and strength, and every token up to the end of the block. A block
//! is therefore found wherever the same text begins, whoever computed it. Files have an envelope with a checksum
//! ([`entry`]); one that is not right is dropped, and the tokens are computed as if it had never been there.
//!
//! Writing happens on a thread of its own ([`writer`]), beside and renamed, without waiting for the disk: what a crash
//! loses is computed again. Several processes may share a folder. The blocks longest unused go first.

mod entry;
mod folder;
mod kept;
mod key;
mod writer;

use std::path::Path;
use std::sync::Arc;

use folder::Folder;
use writer::Writer;

use crate::error::Result;
#[cfg(feature = "serve")]
pub(super) use kept::BLOCK_TOKENS;
pub(super) use kept::{KeptPrefixes, Place};
#[cfg(feature = "serve")]
pub(super) use key::BlockKey;
pub(super) use key::Way;

/// A folder of blocks, shared by all sessions that are given a clone.
#[derive(Debug, Clone)]
pub struct PrefixCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: Folder,
    writer: Writer,
}

impl PrefixCache {
    /// Bytes that a cache takes where nothing is said: some 90,000 tokens of a model of 135 million parameters, some
    /// 15,000 of one of seven billion.
    pub const DEFAULT_BYTES: u64 = 2 << 30;

    /// Most tokens whose KV is in memory on the way to the disk or from there: blocks that wait, and at either end one that
    /// is worked on.
    pub(super) const MOST_ON_THE_WAY: usize = key::BLOCK * (writer::WAITING + 2 + kept::AHEAD + 2);

    /// Uses `folder`, which must exist, for at most `bytes`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it is not a folder, or no thread can be started.
    pub fn open(folder: &Path, bytes: u64) -> Result<Self> {
        let folder = Folder::open(folder, bytes)?;
        let writer = Writer::start(folder.clone())?;
        Ok(Self(Arc::new(Inner { folder, writer })))
    }
}
