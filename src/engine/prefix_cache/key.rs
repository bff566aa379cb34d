//! Under which key a block is kept: a chain of hashes, each over the last one and the tokens of its block.

use std::fmt;

use sha2::{Digest, Sha256};

use super::super::model::Model;
use super::super::stack::StackFingerprint;
use crate::error::Result;
use crate::llama::{KvType, Token};

/// Tokens of a block. A file of some 1.5 MB for a small model and 8 MB for one of seven billion parameters: few enough
/// files, and little that is computed again at the end of a prefix.
pub(super) const BLOCK: usize = 64;

/// How a timeline is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// By itself, with keys and values stored so.
    Alone(KvType),
    /// Among others in one cache. What stands between a token's cells changes the last bits of its numbers: a session
    /// by itself does not take such.
    #[cfg(feature = "serve")]
    Together(KvType),
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Alone(kind) => format!("alone, {kind}"),
            #[cfg(feature = "serve")]
            Self::Together(kind) => format!("together, {kind}"),
        }
    }
}

/// What all blocks of a timeline depend on beside its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root([u8; 32]);

/// The key of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct BlockKey([u8; 32]);

impl Root {
    /// Positions and all other settings of the computation are the model's own or this version's.
    pub(super) fn new(model: &Model, stack: StackFingerprint, way: Way) -> Result<Self> {
        let mut hasher = Sha256::new();
        for part in [model.arithmetic(), way.name().as_str()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(model.sha256()?.as_bytes());
        hasher.update(stack.as_bytes());
        Ok(Self(hasher.finalize().into()))
    }

    /// Keys of the whole blocks of `tokens`.
    pub(super) fn keys(self, tokens: &[Token]) -> Vec<BlockKey> {
        let mut last = self.0;
        let (blocks, _) = tokens.as_chunks::<BLOCK>();
        blocks
            .iter()
            .map(|block| {
                let mut hasher = Sha256::new();
                hasher.update(last);
                block
                    .iter()
                    .for_each(|token| hasher.update(token.0.to_le_bytes()));
                last = hasher.finalize().into();
                BlockKey(last)
            })
            .collect()
    }
}

impl Root {
    /// The key of a piece of text that was computed behind `head`, wherever it stands.
    pub(super) fn piece(self, head: &[Token], tokens: &[Token]) -> BlockKey {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        // No block's key is of as many bytes.
        hasher.update(b"piece");
        hasher.update((head.len() as u64).to_le_bytes());
        head.iter()
            .chain(tokens)
            .for_each(|token| hasher.update(token.0.to_le_bytes()));
        BlockKey(hasher.finalize().into())
    }
}

impl BlockKey {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(n: i32) -> Vec<Token> {
        (0..n).map(Token).collect()
    }

    #[test]
    fn a_key_names_everything_up_to_the_end_of_its_block() {
        let root = Root([1; 32]);
        let keys = root.keys(&tokens(200));
        assert_eq!(keys.len(), 3, "whole blocks only");
        assert_eq!(root.keys(&tokens(128)), keys[..2]);
        let mut other = tokens(200);
        other[70] = Token(7);
        let changed = root.keys(&other);
        assert_eq!(changed[0], keys[0]);
        assert!(changed[1] != keys[1] && changed[2] != keys[2]);
        assert_ne!(Root([2; 32]).keys(&tokens(64)), keys[..1]);
    }

    #[test]
    fn a_piece_s_key_names_its_head_and_itself() {
        let (root, tokens) = (Root([1; 32]), tokens(64));
        let key = root.piece(&tokens[..10], &tokens[10..]);
        assert_ne!(key, root.piece(&tokens[..11], &tokens[11..]));
        assert_ne!(key, Root([2; 32]).piece(&tokens[..10], &tokens[10..]));
        assert_ne!(root.piece(&[], &tokens), root.keys(&tokens)[0]);
    }
}
