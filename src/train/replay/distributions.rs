//! What a model holds likely for the tokens of rows.

use super::ReplayRow;
use crate::engine::CancelToken;
use crate::train::compute::{Keep, Likely, Lora, Pack, Transformer};
use crate::{Error, Result};

/// Tokens of a forward pass.
const PACK_TOKENS: usize = 512;

/// Fills in what the base, or an adapter on it, held likely, some rows at a time. `progress` is told how many are done.
pub(in crate::train) fn add_distributions(
    transformer: &Transformer,
    lora: Option<&Lora>,
    rows: &mut [ReplayRow],
    cancel: &CancelToken,
    mut progress: impl FnMut(usize),
) -> Result<()> {
    let mut rest = rows;
    let mut done = 0;
    while !rest.is_empty() {
        if cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let mut n_tokens = 0;
        let fitting = rest.iter().take_while(|row| {
            n_tokens += row.tokens.len();
            n_tokens <= PACK_TOKENS
        });
        let n = fitting.count().max(1);
        let (part, after) = rest.split_at_mut(n);
        rest = after;
        let sequences: Vec<&[u32]> = part.iter().map(|row| &*row.tokens).collect();
        let pack = Pack::of(&sequences);
        let trace = transformer.forward(&pack, lora, Keep::Nothing)?;
        for (at, row) in part.iter_mut().enumerate() {
            let scored: Vec<usize> = (row.first..row.tokens.len())
                .map(|index| pack.row(at, index - 1))
                .collect();
            let logits = transformer.logits(&trace, &scored);
            let n_vocab = transformer.base().shape().n_vocab;
            row.likely = logits.chunks_exact(n_vocab).map(Likely::of).collect();
        }
        done += n;
        progress(done);
    }
    Ok(())
}
