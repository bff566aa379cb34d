//! What two runs of tokens have in common.

use crate::llama::Token;

/// How many tokens both begin with.
pub(super) fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
