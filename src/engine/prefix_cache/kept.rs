//! A session's view of the cache: what of a prompt can be taken from it, and what of a timeline is to be kept.

use std::sync::mpsc::sync_channel;

use super::super::model::Model;
use super::super::stack::StackFingerprint;
use super::key::{BLOCK, BlockKey, Root};
use super::{PrefixCache, entry};
use crate::error::Result;
use crate::llama::{Context, Token};

/// Blocks that may be read and checked ahead of the one that is being put into the context.
const AHEAD: usize = 4;

/// The cache, for timelines over one model and stack of adapters.
#[derive(Debug)]
pub(in super::super) struct KeptPrefixes {
    cache: PrefixCache,
    root: Root,
}

impl KeptPrefixes {
    pub(in super::super) fn new(
        cache: &PrefixCache,
        model: &Model,
        stack: StackFingerprint,
    ) -> Result<Self> {
        Ok(Self {
            cache: cache.clone(),
            root: Root::new(model, stack)?,
        })
    }

    /// How many of the first tokens of a prompt are there, as far as names tell, of which `computed` need not be. The
    /// prompt's last token is always computed: its logits are needed.
    pub(in super::super) fn find(&self, prompt: &[Token], computed: usize) -> Vec<Found> {
        let whole = &prompt[..prompt.len().saturating_sub(1)];
        if whole.len() / BLOCK <= computed / BLOCK {
            return Vec::new();
        }
        let folder = &self.cache.0.folder;
        let keys = self.root.keys(whole).into_iter().enumerate();
        keys.skip(computed / BLOCK)
            .take_while(|(_, key)| folder.has(key))
            .map(|(at, key)| Found {
                start: at * BLOCK,
                key,
            })
            .collect()
    }

    /// Puts blocks into the context, whose timeline must end where the first begins. Returns how many tokens the timeline
    /// has then: less than all where a block turns out to be wrong.
    pub(in super::super) fn restore(&self, context: &mut Context, found: &[Found]) -> usize {
        let Some(first) = found.first() else {
            return 0;
        };
        let folder = &self.cache.0.folder;
        let mut end = first.start;
        std::thread::scope(|scope| {
            // Made in here: where the loop ends early, the receiver goes, and so does the thread.
            let (sender, blocks) = sync_channel(AHEAD);
            // Reading and checking beside copying.
            scope.spawn(move || {
                for block in found {
                    let content = folder.read(&block.key);
                    let is_missing = content.is_none();
                    if sender.send((block, content)).is_err() || is_missing {
                        return;
                    }
                }
            });
            while let Ok((block, Some(content))) = blocks.recv() {
                if !context.restore(block.start..block.start + BLOCK, &content[entry::HEADER..]) {
                    // Whole, and yet not of this engine: it would fail each time.
                    folder.remove(&block.key);
                    return;
                }
                end = block.start + BLOCK;
            }
        });
        let used = found.iter().take_while(|block| block.start < end);
        self.cache
            .0
            .writer
            .used(used.map(|block| block.key).collect());
        end
    }

    /// Keeps the whole blocks of a timeline that are not kept yet.
    pub(in super::super) fn keep(&self, context: &mut Context, tokens: &[Token]) {
        for (at, key) in self.root.keys(tokens).into_iter().enumerate() {
            if self.cache.0.folder.has(&key) {
                continue;
            }
            match context.copy(at * BLOCK..(at + 1) * BLOCK) {
                Some(payload) => self.cache.0.writer.write(key, payload),
                None => return,
            }
        }
    }
}

/// A block that is kept.
#[derive(Debug)]
pub(in super::super) struct Found {
    /// Its first position.
    pub(in super::super) start: usize,
    key: BlockKey,
}
