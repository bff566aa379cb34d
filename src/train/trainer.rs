//! The loop: rows and replay into steps of the optimizer.
//!
//! The objective of a step is `mean CE(answers) + kl * mean KL(base || adapted)` over the tokens of all its parts. Which
//! rows a step takes depends on the seed and the number of the step alone, so a run that is resumed needs to know
//! nothing of what came before but the parameters and the moments.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::anchor::Anchor;
use super::apart::Apart;
use super::compute::{Aim, Keep, Likely, Lora, Pack, Scored, Transformer};
use super::dice::Dice;
use super::example::Example;
use super::optimizer::{AdamW, clip};
use super::recipe::{Hold, Recipe};
use super::replay::ReplayRow;
use crate::{Error, Result};

/// Keeps the order of the replay apart from that of the rows.
const REPLAY: u64 = 0x7e91;

/// What is trained on what.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// The base.
    pub transformer: &'a Transformer,
    /// What is learnt.
    pub examples: &'a [Example],
    /// What is not to be forgotten; may be empty.
    pub replay: &'a [ReplayRow],
    /// What the base holds likely in the answers of `examples`, one for each, to mask the target by; may be empty.
    pub beside: &'a [ReplayRow],
    /// What is kept of a forward pass.
    pub keep: Keep,
    /// Parts that a step is computed in, where that is more than the recipe says: the same step in less memory.
    pub parts: usize,
}

/// A run under way.
pub struct Trainer<'a> {
    material: Material<'a>,
    recipe: Recipe,
    anchor: Option<Anchor>,
    apart: Option<Apart>,
    pub(super) parts: usize,
    pub(super) lora: Lora,
    pub(super) optimizer: AdamW,
}

/// What a step did.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its number, from 1.
    pub step: usize,
    /// Mean cross-entropy of the answers' tokens, in nats, before the step.
    pub loss: f64,
    /// Mean loss on the replay, in nats a token, before the step: the divergence from the base, or with [`Hold::Tokens`]
    /// the cross-entropy. Absent without replay.
    pub kl: Option<f64>,
    /// The penalty for leaving the earlier version's parameters, before the step; absent without [`Anchor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<f64>,
    /// The penalty for reading what adapters beside it read, before the step; absent without [`Apart`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<f64>,
    /// Length of the gradient before it was shortened.
    pub gradient: f64,
    /// The learning rate.
    pub rate: f64,
    /// Tokens of all sequences.
    pub n_tokens: usize,
    /// How long it took.
    #[serde(skip)]
    pub time: Duration,
}

impl<'a> Trainer<'a> {
    /// A run at its beginning.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a recipe that cannot be trained by, or where there is nothing to learn.
    pub fn new(material: Material<'a>, recipe: Recipe) -> Result<Self> {
        recipe.check()?;
        if material.examples.is_empty() {
            return Err(Error::InvalidArgument {
                what: "training data",
                value: "no rows".to_owned(),
                expected: "at least one row to learn from".to_owned(),
            });
        }
        let base = material.transformer.base();
        let lora = Lora::new(
            base,
            recipe.rank,
            recipe.alpha,
            &recipe.targets,
            recipe.seed,
        );
        let optimizer = AdamW::new(lora.values.len());
        Ok(Self {
            material,
            parts: material.parts.max(recipe.accumulation),
            recipe,
            anchor: None,
            apart: None,
            lora,
            optimizer,
        })
    }

    /// Begins with the factors of an earlier version.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the recipe is of another rank, alpha or other targets.
    pub fn begin_with(&mut self, earlier: &Lora) -> Result<()> {
        if !self.lora.is_like(earlier) {
            return Err(Error::InvalidArgument {
                what: "recipe",
                value: format!("rank {}", self.recipe.rank),
                expected: format!(
                    "rank {}, alpha and targets of the version that is continued",
                    earlier.rank()
                ),
            });
        }
        self.lora.values.clone_from(&earlier.values);
        Ok(())
    }

    /// Holds the parameters where they were, as far as they were important.
    pub fn hold_to(&mut self, anchor: Anchor) {
        self.anchor = Some(anchor);
    }

    /// Keeps what the adapter reads apart from what others read.
    pub fn keep_apart(&mut self, apart: Apart) {
        self.apart = Some(apart);
    }

    /// The adapter as it is now.
    #[must_use]
    pub fn lora(&self) -> &Lora {
        &self.lora
    }

    /// The settings.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.optimizer.steps
    }

    /// Whether all steps are taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps() >= self.recipe.steps
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the loss or the gradient is not finite; the adapter is then as before the step.
    pub fn step(&mut self) -> Result<StepReport> {
        let start = Instant::now();
        let index = self.steps();
        let recipe = &self.recipe;
        let Material {
            transformer,
            examples,
            replay,
            beside,
            keep,
            parts: _,
        } = self.material;
        let n_answers = recipe.batch * recipe.accumulation;
        let n_replay = recipe.replay * recipe.accumulation;
        let chosen = chosen(recipe.seed, examples.len(), index, n_answers);
        let replayed = chosen_replay(recipe.seed, replay.len(), index, n_replay);
        let n_learnt: usize = chosen.iter().map(|&at| examples[at].learnt.len()).sum();
        let n_held: usize = replayed.iter().map(|&at| replay[at].likely.len()).sum();
        let weights = Weights {
            answer: 1.0 / n_learnt.max(1) as f32,
            replay: recipe.kl / n_held.max(1) as f32,
            hold: recipe.hold,
            beside: recipe.mask_target / n_learnt.max(1) as f32,
        };
        let mut gradients = vec![0.0; self.lora.values.len()];
        let (mut loss, mut kl, mut n_tokens) = (0.0, 0.0, 0);
        for part in 0..self.parts {
            let answers = share(&chosen, part, self.parts);
            let held = share(&replayed, part, self.parts);
            let sequences: Vec<&[u32]> = (answers.iter().map(|&at| &*examples[at].tokens))
                .chain(held.iter().map(|&at| &*replay[at].tokens))
                .collect();
            let pack = Pack::of(&sequences);
            let mut scored = Vec::new();
            for (sequence, &at) in answers.iter().enumerate() {
                weights.push_answer(&examples[at], &pack, sequence, &mut scored);
            }
            let n_answers = scored.len();
            for (sequence, &at) in (answers.len()..).zip(held) {
                weights.push_replay(&replay[at], &pack, sequence, &mut scored);
            }
            let n_held_to = scored.len();
            for (sequence, &at) in answers.iter().enumerate().filter(|_| weights.beside > 0.0) {
                if let Some(beside) = beside.get(at) {
                    weights.push_beside(beside, &pack, sequence, &mut scored);
                }
            }
            let trace = transformer.forward(&pack, Some(&self.lora), keep)?;
            let losses = transformer.backward(trace, &scored, &mut gradients);
            let (answers, held) = losses[..n_held_to].split_at(n_answers);
            loss += answers.iter().sum::<f64>() / n_learnt.max(1) as f64;
            kl += held.iter().sum::<f64>() / n_held.max(1) as f64;
            n_tokens += sequences.iter().map(|tokens| tokens.len()).sum::<usize>();
        }
        let anchor = self.anchor.as_ref();
        let pull = anchor.map(|anchor| anchor.pull(&self.lora.values, &mut gradients));
        let apart = self.apart.as_ref();
        let shared = apart.map(|apart| apart.push(&self.lora, &mut gradients));
        let gradient = clip(&mut gradients, recipe.clip);
        if !(loss.is_finite() && kl.is_finite() && gradient.is_finite()) {
            return Err(Error::Diverged {
                step: index + 1,
                lines: chosen.iter().map(|&at| examples[at].line).collect(),
            });
        }
        let rate = recipe.rate_at(index);
        self.optimizer
            .step(&mut self.lora.values, &gradients, rate, recipe.weight_decay);
        Ok(StepReport {
            step: index + 1,
            loss,
            kl: (n_held > 0).then_some(kl),
            pull,
            shared,
            gradient,
            rate,
            n_tokens,
            time: start.elapsed(),
        })
    }
}

/// What a token's loss counts.
struct Weights {
    answer: f32,
    replay: f32,
    hold: Hold,
    beside: f32,
}

impl Weights {
    fn push_answer(&self, example: &Example, pack: &Pack, at: usize, scored: &mut Vec<Scored>) {
        scored.extend(example.learnt.iter().map(|&index| Scored {
            row: pack.row(at, index - 1),
            aim: Aim::Token(example.tokens[index]),
            weight: self.answer,
        }));
    }

    fn push_replay<'a>(
        &self,
        row: &'a ReplayRow,
        pack: &Pack,
        at: usize,
        scored: &mut Vec<Scored<'a>>,
    ) {
        let aim = |token, likely| match self.hold {
            Hold::Divergence => Aim::Likely(likely),
            Hold::Tokens => Aim::Token(token),
        };
        scored.extend(scored_by(row, pack, at, self.replay, aim));
    }

    fn push_beside<'a>(
        &self,
        row: &'a ReplayRow,
        pack: &Pack,
        at: usize,
        scored: &mut Vec<Scored<'a>>,
    ) {
        scored.extend(scored_by(row, pack, at, self.beside, Aim::Instead));
    }
}

/// The tokens of `row`, each with what it is held to: made by `aim` of the token and of what the base held likely.
fn scored_by<'a>(
    row: &'a ReplayRow,
    pack: &Pack,
    at: usize,
    weight: f32,
    aim: impl Fn(u32, &'a Likely) -> Aim<'a>,
) -> impl Iterator<Item = Scored<'a>> {
    (row.first..)
        .zip(&row.likely)
        .map(move |(index, likely)| Scored {
            row: pack.row(at, index - 1),
            aim: aim(row.tokens[index], likely),
            weight,
        })
}

/// The rows of a step: all rows in an order of chance, then all in another, and so on.
fn chosen(seed: u64, n: usize, step: usize, n_step: usize) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(n_step);
    let mut order = (usize::MAX, Vec::new());
    for at in step * n_step..(step + 1) * n_step {
        let epoch = at / n;
        if order.0 != epoch {
            // Both are mixed by the stream's own function: seeds that follow each other give unrelated orders.
            let start = seed ^ (epoch as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
            order = (epoch, Dice::new(start).order(n));
        }
        chosen.push(order.1[at % n]);
    }
    chosen
}

/// What of `all` is computed in a part: as many as in any other part, or one more.
fn share(all: &[usize], part: usize, n_parts: usize) -> &[usize] {
    let at = |part: usize| part * all.len() / n_parts;
    &all[at(part)..at(part + 1)]
}

fn chosen_replay(seed: u64, n: usize, step: usize, n_step: usize) -> Vec<usize> {
    if n == 0 || n_step == 0 {
        return Vec::new();
    }
    chosen(seed ^ REPLAY, n, step, n_step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_a_step() {
        let all = [5, 6, 7, 8, 9];
        let parts = |n| (0..n).map(|part| share(&all, part, n)).collect::<Vec<_>>();
        assert_eq!(parts(1), [&all[..]]);
        assert_eq!(parts(2), [&all[..2], &all[2..]]);
        assert_eq!(parts(8).concat(), all);
    }

    #[test]
    fn every_row_is_taken_once_an_epoch() {
        let mut all: Vec<usize> = (0..5).flat_map(|step| chosen(7, 10, step, 4)).collect();
        let second = all.split_off(10);
        assert_ne!(all, second);
        for mut epoch in [all, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
        assert_eq!(chosen(7, 3, 0, 8).len(), 8, "more than there are");
        assert!(chosen_replay(7, 0, 3, 4).is_empty() && chosen_replay(7, 4, 3, 0).is_empty());
    }
}
