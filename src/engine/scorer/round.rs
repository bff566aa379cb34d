//! Rounds: as many items as fit are computed together, in calls of the engine that are as full as can be.

use super::worker::Worker;
use super::{RowAt, ScoreItem, ScorerOptions};
use crate::engine::common_prefix::common_prefix;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// The sequence that holds what all items of a round begin with.
pub(super) const SHARED: u32 = 0;
/// A common beginning shorter than this is not worth a call of its own.
pub(super) const MIN_SHARED: usize = 4;

/// One call of the engine: tokens with their place, and which rows come of it.
#[derive(Default)]
pub(super) struct Step {
    pub(super) tokens: Vec<(Token, usize, u32, bool)>,
    rows: Vec<(usize, RowAt)>,
}

impl Step {
    pub(super) fn push(
        &mut self,
        token: Token,
        position: usize,
        sequence: u32,
        row: Option<RowAt>,
    ) {
        if let Some(at) = row {
            self.rows.push((self.tokens.len(), at));
        }
        self.tokens.push((token, position, sequence, row.is_some()));
    }

    /// Whether it must be computed before more is added: at whole multiples of what the engine computes at once, so that
    /// no part of it is left.
    fn is_full(&self, options: &ScorerOptions) -> bool {
        let together = options.n_together() as usize;
        let (tokens, rows) = (self.tokens.len(), self.rows.len());
        let no_room = rows + together > options.n_outputs.max(options.n_together()) as usize;
        tokens.is_multiple_of(together)
            && (no_room || tokens + together > options.n_batch() as usize)
    }
}

pub(super) type Visit<'a> = dyn FnMut(RowAt, &[&[f32]]) -> Result<()> + 'a;

/// Items in rounds that fit.
pub(super) fn run(
    scorers: &mut [&mut Worker],
    items: &[ScoreItem],
    cancel: &CancelToken,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let options = scorers[0].options.clone();
    for item in items {
        check(item, &options)?;
    }
    let mut start = 0;
    while start < items.len() {
        let round: Vec<&ScoreItem> = fitting(&items[start..], &options).iter().collect();
        let done = run_round(scorers, &round, start, cancel, visit);
        let n_sequences = round.iter().map(|item| item.n_sequences()).sum();
        for scorer in scorers.iter_mut() {
            match done {
                Ok(()) => scorer.drop_sequences(n_sequences),
                // Part of a batch may be in the cache.
                Err(_) => scorer.forget(),
            }
        }
        done?;
        start += round.len();
    }
    Ok(())
}

pub(super) fn check(item: &ScoreItem, options: &ScorerOptions) -> Result<()> {
    if item.prefix.is_empty() {
        return Err(Error::InvalidArgument {
            what: "sequence to score",
            value: String::new(),
            expected: "at least one token before what is scored".to_owned(),
        });
    }
    if item.n_sequences() >= options.n_seq as usize {
        return Err(Error::InvalidArgument {
            what: "sequence to score",
            value: format!("{} branches", item.branches.len()),
            expected: format!("fewer than {}", options.n_seq),
        });
    }
    if item.n_cells() > options.n_ctx as usize {
        return Err(Error::ContextFull {
            n_tokens: item.n_cells(),
            n_ctx: options.n_ctx as usize,
        });
    }
    Ok(())
}

/// The first items that make a round: at least one.
fn fitting<'a>(items: &'a [ScoreItem], options: &ScorerOptions) -> &'a [ScoreItem] {
    let (mut n_cells, mut n_sequences) = (0, 1);
    let fit = items
        .iter()
        .take_while(|item| {
            n_cells += item.n_cells();
            n_sequences += item.n_sequences();
            n_cells <= options.n_round.min(options.n_ctx) as usize
                && n_sequences <= options.n_seq as usize
        })
        .count();
    &items[..fit.max(1)]
}

/// One round: what is shared, then the beginnings, then the branches.
pub(super) fn run_round(
    scorers: &mut [&mut Worker],
    items: &[&ScoreItem],
    first_item: usize,
    cancel: &CancelToken,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let shared = share(scorers, items, cancel)?;
    let options = scorers[0].options.clone();
    let mut step = Step::default();
    let mut sequence = SHARED + 1;
    for (i, item) in items.iter().enumerate() {
        for scorer in scorers.iter_mut() {
            if shared > 0 {
                scorer.context.fork(SHARED, sequence);
            }
        }
        for (index, &token) in item.prefix.iter().enumerate().skip(shared) {
            let wanted = index >= item.rows_from || index + 1 == item.prefix.len();
            let at = wanted.then_some(RowAt {
                item: first_item + i,
                branch: None,
                index,
            });
            step.push(token, index, sequence, at);
            if step.is_full(&options) {
                execute(scorers, &std::mem::take(&mut step), cancel, visit)?;
            }
        }
        sequence += u32::try_from(item.n_sequences()).unwrap_or(u32::MAX);
    }
    execute(scorers, &std::mem::take(&mut step), cancel, visit)?;

    let mut first = SHARED + 1;
    for (i, item) in items.iter().enumerate() {
        let sequences = first..;
        // The first branch goes on in the beginning's own sequence, so the others are forked before.
        for (sequence, _) in sequences.clone().zip(&item.branches).skip(1) {
            for scorer in scorers.iter_mut() {
                scorer.context.fork(first, sequence);
            }
        }
        for ((sequence, branch), number) in sequences.zip(&item.branches).zip(0..) {
            for (index, &token) in branch
                .iter()
                .enumerate()
                .take(branch.len().saturating_sub(1))
            {
                let at = RowAt {
                    item: first_item + i,
                    branch: Some(number),
                    index,
                };
                step.push(token, item.prefix.len() + index, sequence, Some(at));
                if step.is_full(&options) {
                    execute(scorers, &std::mem::take(&mut step), cancel, visit)?;
                }
            }
        }
        first += u32::try_from(item.n_sequences()).unwrap_or(u32::MAX);
    }
    execute(scorers, &step, cancel, visit)
}

/// Brings the shared sequence to what all items begin with, and says how long that is. What is there from the round
/// before is kept as far as it fits.
fn share(scorers: &mut [&mut Worker], items: &[&ScoreItem], cancel: &CancelToken) -> Result<usize> {
    let mut common = items[0].prefix.as_slice();
    for item in items {
        // No row may be wanted of what is shared.
        let end = item.rows_from.min(item.prefix.len() - 1);
        let length = common_prefix(common, &item.prefix[..end]);
        common = &common[..length];
    }
    if common.len() < MIN_SHARED || items.len() + scorers[0].shared.len() < 2 {
        common = &[];
    }
    let kept = scorers
        .iter()
        .map(|scorer| common_prefix(&scorer.shared, common))
        .min()
        .unwrap_or(0);
    for scorer in scorers.iter_mut() {
        if kept < scorer.shared.len() {
            scorer.cut(SHARED, kept)?;
            scorer.shared.truncate(kept);
        }
    }
    let options = scorers[0].options.clone();
    let mut step = Step::default();
    for (position, &token) in common.iter().enumerate().skip(kept) {
        step.push(token, position, SHARED, None);
        if step.is_full(&options) {
            execute(scorers, &std::mem::take(&mut step), cancel, &mut |_, _| {
                Ok(())
            })?;
        }
    }
    execute(scorers, &step, cancel, &mut |_, _| Ok(()))?;
    for scorer in scorers.iter_mut() {
        scorer.shared.clear();
        scorer.shared.extend_from_slice(common);
    }
    Ok(common.len())
}

/// Computes a step in every scorer, then visits its rows.
pub(super) fn execute(
    scorers: &mut [&mut Worker],
    step: &Step,
    cancel: &CancelToken,
    visit: &mut Visit<'_>,
) -> Result<()> {
    if step.tokens.is_empty() {
        return Ok(());
    }
    for scorer in scorers.iter_mut() {
        let Worker { context, batch, .. } = &mut **scorer;
        batch.clear();
        for &(token, position, sequence, output) in &step.tokens {
            batch.push(token, position, sequence, output);
        }
        context.decode(batch, cancel)?;
        scorer.n_evaluated += step.tokens.len();
        scorer.n_rows += step.rows.len();
    }
    for &(index, at) in &step.rows {
        let rows: Option<Vec<&[f32]>> = scorers
            .iter_mut()
            .map(|scorer| scorer.context.logits(index))
            .collect();
        let rows = rows.ok_or_else(|| Error::Engine("the engine gave no logits".to_owned()))?;
        visit(at, &rows)?;
    }
    Ok(())
}
