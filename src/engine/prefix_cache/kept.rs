//! A session's view of the cache: what of a prompt can be taken from it, and what of a timeline is to be kept.

use std::sync::mpsc::sync_channel;

use super::super::model::Model;
use super::super::stack::StackFingerprint;
use super::key::{BLOCK, BlockKey, Root, Way};
use super::{PrefixCache, entry};
use crate::error::Result;
use crate::llama::{Context, Token};

/// Blocks that may be read and checked ahead of the one that is being put into the context.
pub(super) const AHEAD: usize = 4;

/// Where in a context a timeline is, and a sequence beside it that holds nothing.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Place {
    pub(in super::super) timeline: u32,
    pub(in super::super) scratch: u32,
}

impl Place {
    /// In a context with one timeline.
    pub(in super::super) const SESSION: Self = Self {
        timeline: 0,
        scratch: 1,
    };

    fn both(self) -> (u32, u32) {
        (self.timeline, self.scratch)
    }
}

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
        way: Way,
    ) -> Result<Self> {
        Ok(Self {
            cache: cache.clone(),
            root: Root::new(model, stack, way)?,
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
    pub(in super::super) fn restore(
        &self,
        context: &mut Context,
        found: &[Found],
        place: Place,
    ) -> usize {
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
                let positions = block.start..block.start + BLOCK;
                if !context.restore(place.both(), positions, &content[entry::HEADER..]) {
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
    pub(in super::super) fn keep(&self, context: &mut Context, tokens: &[Token], place: Place) {
        for (at, key) in self.missing(tokens) {
            match context.copy(place.both(), at * BLOCK..(at + 1) * BLOCK) {
                Some(payload) => self.cache.0.writer.write(key, payload),
                None => return,
            }
        }
    }

    /// The KV of a piece of text that was computed behind `head`, where it is kept.
    pub(in super::super) fn find_piece(&self, head: &[Token], tokens: &[Token]) -> Option<Vec<u8>> {
        let key = self.root.piece(head, tokens);
        let folder = &self.cache.0.folder;
        let mut content = folder.has(&key).then(|| folder.read(&key)).flatten()?;
        self.cache.0.writer.used(vec![key]);
        content.drain(..entry::HEADER);
        Some(content)
    }

    /// Keeps the KV of a piece.
    pub(in super::super) fn keep_piece(&self, head: &[Token], tokens: &[Token], kv: Vec<u8>) {
        self.cache.0.writer.write(self.root.piece(head, tokens), kv);
    }

    /// The whole blocks of a timeline that are not kept, by number.
    pub(in super::super) fn missing(&self, tokens: &[Token]) -> Vec<(usize, BlockKey)> {
        let keys = self.root.keys(tokens).into_iter().enumerate();
        let folder = &self.cache.0.folder;
        keys.filter(|(_, key)| !folder.has(key)).collect()
    }

    /// Keeps one block of a timeline, unless the thread that writes has enough to do. False where nothing more can be
    /// kept of it.
    #[cfg(feature = "serve")]
    pub(in super::super) fn keep_block(
        &self,
        context: &mut Context,
        (at, key): (usize, BlockKey),
        place: Place,
    ) -> bool {
        match context.copy(place.both(), at * BLOCK..(at + 1) * BLOCK) {
            Some(payload) => self.cache.0.writer.write_if_idle(key, payload),
            None => false,
        }
    }
}

/// Tokens of a block.
#[cfg(feature = "serve")]
pub(in super::super) const BLOCK_TOKENS: usize = BLOCK;

/// A block that is kept.
#[derive(Debug)]
pub(in super::super) struct Found {
    /// Its first position.
    pub(in super::super) start: usize,
    key: BlockKey,
}
