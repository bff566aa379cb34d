//! A scorer: many short sequences at once over a model with a stack of adapters, for what they are worth and not for
//! their text.
//!
//! It differs from a [`super::Session`] in having many sequences in one context. What they have in common is computed
//! once and forked; what is wanted of each is rows of logits, handed to a visitor and never stored. Two scorers can
//! walk the same plan in lock-step, so that base and adapted rows meet in memory ([`Scorer::score_both`]).

use super::divergence;
use super::model::Model;
use super::session::SessionOptions;
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, Token};

/// The sequence that holds what all items of a round begin with.
const SHARED: u32 = 0;
/// A common beginning shorter than this is not worth a call of its own.
const MIN_SHARED: usize = 4;

/// Sizes of a scorer.
#[derive(Debug, Clone)]
pub struct ScorerOptions {
    /// Tokens of the longest item, with all its branches.
    pub n_ctx: u32,
    /// Tokens of a round: items are computed together up to this many. Every token looks at every cell of the round,
    /// its own or not, so large rounds cost more than they save.
    pub n_round: u32,
    /// Sequences in one context; an item takes as many as it has branches.
    pub n_seq: u32,
    /// Most rows of logits in one call. They lie in memory at once: a row of 49,152 is 196 kB.
    pub n_outputs: u32,
    /// Threads; by default one a core.
    pub n_threads: Option<u32>,
}

impl Default for ScorerOptions {
    fn default() -> Self {
        Self {
            n_ctx: 2048,
            n_round: 768,
            n_seq: 64,
            n_outputs: 128,
            n_threads: None,
        }
    }
}

/// A sequence to score: a beginning, and branches that each continue it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreItem {
    /// The beginning: at least one token.
    pub prefix: Vec<Token>,
    /// Rows of the beginning are wanted from this index on; the last one always is.
    pub rows_from: usize,
    /// Continuations. Rows of all their tokens but the last are wanted: each row is about the token after it.
    pub branches: Vec<Vec<Token>>,
}

impl ScoreItem {
    /// A beginning whose last row is wanted, with branches.
    #[must_use]
    pub fn branching(prefix: Vec<Token>, branches: Vec<Vec<Token>>) -> Self {
        Self {
            rows_from: prefix.len().saturating_sub(1),
            prefix,
            branches,
        }
    }

    /// A text whose tokens from `first_scored` on are to be scored; the row of its last token is given too.
    #[must_use]
    pub fn text(tokens: Vec<Token>, first_scored: usize) -> Self {
        Self {
            rows_from: first_scored.saturating_sub(1),
            prefix: tokens,
            branches: Vec::new(),
        }
    }

    fn n_sequences(&self) -> usize {
        self.branches.len().max(1)
    }

    fn n_cells(&self) -> usize {
        self.prefix.len()
            + self
                .branches
                .iter()
                .map(|branch| branch.len().saturating_sub(1))
                .sum::<usize>()
    }
}

/// Where a row of logits belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowAt {
    /// Index of the item in the list.
    pub item: usize,
    /// Index of the branch; `None` for the beginning.
    pub branch: Option<usize>,
    /// Index of the token in the beginning or branch that the row follows: it is about the token after it.
    pub index: usize,
}

/// A greedy answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GreedyAnswer {
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<Token>,
    /// Whether the model ended it, and not the limit.
    pub ended: bool,
}

/// Many sequences over one model and one stack of adapters.
#[derive(Debug)]
pub struct Scorer {
    model: Model,
    context: Context,
    batch: Batch,
    options: ScorerOptions,
    /// Tokens whose KV is in [`SHARED`].
    shared: Vec<Token>,
    n_evaluated: usize,
}

/// One call of the engine: tokens with their place, and which rows come of it.
#[derive(Default)]
struct Step {
    tokens: Vec<(Token, usize, u32, bool)>,
    rows: Vec<(usize, RowAt)>,
}

impl Scorer {
    /// Allocates a scorer over `model` with `stack` applied.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder, [`Error::Engine`] if memory cannot be had or an adapter was loaded for
    /// another model.
    pub fn new(model: &Model, stack: &AdapterStack, options: &ScorerOptions) -> Result<Self> {
        model.require_generator()?;
        let threads = SessionOptions {
            n_threads: options.n_threads,
            ..SessionOptions::default()
        }
        .threads();
        let mut context = Context::new(
            model.engine(),
            &ContextParams {
                n_ctx: options.n_ctx,
                n_batch: options.n_ctx.min(512),
                n_ubatch: options.n_outputs.min(512),
                n_seq_max: options.n_seq,
                n_threads: threads,
                n_threads_batch: threads,
                embeddings: false,
            },
        )?;
        let adapters = stack
            .effective()
            .map(|(adapter, scale)| (adapter.engine().clone(), *scale))
            .collect();
        context.set_adapters(adapters)?;
        Ok(Self {
            model: model.clone(),
            context,
            batch: Batch::default(),
            options: options.clone(),
            shared: Vec::new(),
            n_evaluated: 0,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Tokens computed so far.
    #[must_use]
    pub fn n_evaluated(&self) -> usize {
        self.n_evaluated
    }

    /// Computes `items` and hands each wanted row of logits (one a vocabulary entry) to `visit`.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for an item that does not fit, [`Error::InvalidArgument`] for one that is empty or has too
    /// many branches, [`Error::Interrupted`], and what `visit` returns.
    pub fn score(
        &mut self,
        items: &[ScoreItem],
        cancel: &CancelToken,
        mut visit: impl FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<()> {
        run(&mut [self], items, cancel, &mut |at, rows| {
            visit(at, rows[0])
        })
    }

    /// As [`Self::score`], with two scorers in lock-step: `visit` gets the row of each.
    ///
    /// # Errors
    /// As [`Self::score`], and [`Error::Engine`] if the vocabularies differ in size.
    pub fn score_both(
        base: &mut Self,
        adapted: &mut Self,
        items: &[ScoreItem],
        cancel: &CancelToken,
        mut visit: impl FnMut(RowAt, &[f32], &[f32]) -> Result<()>,
    ) -> Result<()> {
        let sizes = [base.model.n_vocab(), adapted.model.n_vocab()];
        if sizes[0] != sizes[1] {
            return Err(Error::Engine(format!(
                "models with vocabularies of {} and {} tokens cannot be compared",
                sizes[0], sizes[1]
            )));
        }
        run(&mut [base, adapted], items, cancel, &mut |at, rows| {
            visit(at, rows[0], rows[1])
        })
    }

    /// Answers `prompts` greedily, several at a time. `visit` gets each row that a token of an answer was chosen from,
    /// the one that ended it included: `index` is the token's index in the answer.
    ///
    /// # Errors
    /// As [`Self::score`]; [`Error::NonFinite`] where a row is not finite.
    pub fn answer(
        &mut self,
        prompts: &[Vec<Token>],
        max_tokens: usize,
        cancel: &CancelToken,
        mut visit: impl FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<Vec<GreedyAnswer>> {
        let mut answers = vec![GreedyAnswer::default(); prompts.len()];
        let mut start = 0;
        while start < prompts.len() {
            let n = self.fitting_answers(&prompts[start..], max_tokens)?;
            let group = start..start + n;
            let done = self.answer_group(
                &prompts[group.clone()],
                &mut answers[group],
                max_tokens,
                cancel,
                &mut |mut at, row| {
                    at.item += start;
                    visit(at, row)
                },
            );
            if done.is_err() {
                // Part of a batch may be in the cache.
                self.forget();
            }
            done?;
            start += n;
        }
        Ok(answers)
    }

    /// How many of the first prompts are answered together: at least one.
    fn fitting_answers(&self, prompts: &[Vec<Token>], max_tokens: usize) -> Result<usize> {
        let mut n_cells = 0;
        let fit = prompts
            .iter()
            .take(self.options.n_seq as usize - 1)
            .take_while(|prompt| {
                n_cells += prompt.len() + max_tokens;
                n_cells <= self.options.n_ctx as usize
            })
            .count();
        if fit == 0 {
            return Err(Error::ContextFull {
                n_tokens: n_cells,
                n_ctx: self.options.n_ctx as usize,
            });
        }
        Ok(fit)
    }

    fn answer_group(
        &mut self,
        prompts: &[Vec<Token>],
        answers: &mut [GreedyAnswer],
        max_tokens: usize,
        cancel: &CancelToken,
        visit: &mut dyn FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let items: Vec<ScoreItem> = prompts
            .iter()
            .map(|prompt| ScoreItem::branching(prompt.clone(), Vec::new()))
            .collect();
        let mut next: Vec<Option<Token>> = vec![None; prompts.len()];
        let model = self.model.clone();
        let mut choose =
            |at: RowAt, row: &[f32], answer: &mut GreedyAnswer| -> Result<Option<Token>> {
                visit(at, row)?;
                let token = divergence::top(row).ok_or_else(|| not_finite(at))?;
                let token = Token(i32::try_from(token).unwrap_or(0));
                if model.engine().is_end_of_generation(token) {
                    answer.ended = true;
                    return Ok(None);
                }
                answer.tokens.push(token);
                Ok(Some(token))
            };
        let refs: Vec<&ScoreItem> = items.iter().collect();
        run_round(&mut [&mut *self], &refs, 0, cancel, &mut |at, rows| {
            let at = RowAt { index: 0, ..at };
            next[at.item] = choose(at, rows[0], &mut answers[at.item])?;
            Ok(())
        })?;
        for index in 1..max_tokens {
            let mut step = Step::default();
            for (item, token) in next.iter().enumerate() {
                if let Some(token) = token {
                    let position = prompts[item].len() + index - 1;
                    let sequence = SHARED + 1 + u32::try_from(item).unwrap_or(u32::MAX);
                    step.push(
                        *token,
                        position,
                        sequence,
                        Some(RowAt {
                            item,
                            branch: None,
                            index,
                        }),
                    );
                }
            }
            if step.tokens.is_empty() {
                break;
            }
            execute(&mut [&mut *self], &step, cancel, &mut |at, rows| {
                next[at.item] = choose(at, rows[0], &mut answers[at.item])?;
                Ok(())
            })?;
        }
        self.drop_sequences(prompts.len());
        Ok(())
    }

    /// Forgets all but the shared beginning.
    fn drop_sequences(&mut self, n: usize) {
        for sequence in 0..u32::try_from(n).unwrap_or(0) {
            self.context.truncate(SHARED + 1 + sequence, 0);
        }
    }

    fn forget(&mut self) {
        self.context.clear();
        self.shared.clear();
    }
}

impl Step {
    fn push(&mut self, token: Token, position: usize, sequence: u32, row: Option<RowAt>) {
        if let Some(at) = row {
            self.rows.push((self.tokens.len(), at));
        }
        self.tokens.push((token, position, sequence, row.is_some()));
    }

    fn is_full(&self, options: &ScorerOptions) -> bool {
        self.tokens.len() >= options.n_ctx.min(512) as usize
            || self.rows.len() >= options.n_outputs as usize
    }
}

/// The error of a row that is not finite.
fn not_finite(at: RowAt) -> Error {
    Error::NonFinite {
        place: format!("item {}, token {}", at.item, at.index),
    }
}

type Visit<'a> = dyn FnMut(RowAt, &[&[f32]]) -> Result<()> + 'a;

/// Items in rounds that fit.
fn run(
    scorers: &mut [&mut Scorer],
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

fn check(item: &ScoreItem, options: &ScorerOptions) -> Result<()> {
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
fn run_round(
    scorers: &mut [&mut Scorer],
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
fn share(scorers: &mut [&mut Scorer], items: &[&ScoreItem], cancel: &CancelToken) -> Result<usize> {
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
            if scorer.context.truncate(SHARED, kept) {
                scorer.shared.truncate(kept);
            } else {
                return Err(Error::Engine(
                    "this model's memory cannot be cut at a position, which scoring needs"
                        .to_owned(),
                ));
            }
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

fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Computes a step in every scorer, then visits its rows.
fn execute(
    scorers: &mut [&mut Scorer],
    step: &Step,
    cancel: &CancelToken,
    visit: &mut Visit<'_>,
) -> Result<()> {
    if step.tokens.is_empty() {
        return Ok(());
    }
    for scorer in scorers.iter_mut() {
        let Scorer { context, batch, .. } = &mut **scorer;
        batch.clear();
        for &(token, position, sequence, output) in &step.tokens {
            batch.push(token, position, sequence, output);
        }
        context.decode(batch, cancel)?;
        scorer.n_evaluated += step.tokens.len();
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
