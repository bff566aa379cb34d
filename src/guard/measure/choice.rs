//! Multiple choice by log-likelihood, as lm-eval defines `acc` and `acc_norm`, with the continuous forms beside them.

use std::ops::Range;

use super::encode::{Whole, branching, continuation, target};
use super::{Probe, Reader, Record, content_of, not_finite, shuffled};
use crate::Result;
use crate::engine::divergence::Normalizer;
use crate::engine::{CancelToken, ContentHash, Model, ScoreItem, Scorer};
use crate::guard::measurement::{Pair, Series};
use crate::guard::metric::Metric;
use crate::guard::suite::ChoiceItem;

/// Log-likelihood of each choice, in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceScore(Vec<f64>);

impl Record for ChoiceScore {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Vec::read(input).map(Self)
    }
}

/// What one item scores by its choices' log-likelihoods.
type Score = fn(&ChoiceItem, &[f64]) -> f64;

/// A group of questions with choices.
pub struct ChoiceProbe {
    group: String,
    items: Vec<Question>,
}

struct Question {
    item: ChoiceItem,
    wholes: Vec<Whole>,
    score: ScoreItem,
}

impl ChoiceProbe {
    /// Takes at most `n` of the items, those of at most `max_tokens` tokens with all their choices.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for a text that cannot be tokenized.
    pub fn new(
        model: &Model,
        group: &str,
        items: &[ChoiceItem],
        n: usize,
        max_tokens: usize,
    ) -> Result<Self> {
        let mut questions = Vec::new();
        for i in shuffled(group, items, |item| &item.id) {
            if questions.len() == n {
                break;
            }
            let item = items[i].clone();
            let wholes = item
                .choices
                .iter()
                .map(|choice| continuation(model, &item.prompt, choice))
                .collect::<Result<Vec<_>>>()?;
            let score = branching(&wholes);
            let length = score.branches.iter().map(Vec::len).sum::<usize>() + score.prefix.len();
            if length <= max_tokens {
                questions.push(Question {
                    item,
                    wholes,
                    score,
                });
            }
        }
        Ok(Self {
            group: group.to_owned(),
            items: questions,
        })
    }

    fn measure(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<ChoiceScore>> {
        let questions = &self.items[items];
        let mut scores: Vec<ChoiceScore> = questions
            .iter()
            .map(|question| ChoiceScore(vec![0.0; question.wholes.len()]))
            .collect();
        // Neighbours that begin alike share what they begin with.
        let mut order: Vec<usize> = (0..questions.len()).collect();
        order.sort_by_key(|&i| {
            questions[i]
                .score
                .prefix
                .iter()
                .map(|t| t.0)
                .collect::<Vec<_>>()
        });
        let batch: Vec<ScoreItem> = order.iter().map(|&i| questions[i].score.clone()).collect();
        scorer.score(&batch, cancel, |at, row| {
            let place = order[at.item];
            let question = &questions[place];
            let failed = || not_finite(&self.group, &question.item.id);
            let row_of = Normalizer::of(row).ok_or_else(failed)?;
            let prefix = question.score.prefix.len();
            for (branch, whole) in question.wholes.iter().enumerate() {
                if at.branch.is_some_and(|only| only != branch) {
                    continue;
                }
                if let Some(token) = target(whole, prefix, at.branch, at.index) {
                    let logit = usize::try_from(token.0).ok().and_then(|i| row.get(i));
                    let logit = logit.ok_or_else(failed)?;
                    scores[place].0[branch] += row_of.log_probability(*logit);
                }
            }
            Ok(())
        })?;
        Ok(scores)
    }
}

impl Probe for ChoiceProbe {
    type Base = ChoiceScore;
    type Adapted = ChoiceScore;

    fn group(&self) -> &str {
        &self.group
    }

    fn n_items(&self) -> usize {
        self.items.len()
    }

    fn content(&self) -> ContentHash {
        content_of(
            "choice 1",
            self.items.iter().map(|question| {
                format!(
                    "{}\n{}\n{:?}",
                    question.item.id, question.item.prompt, question.item.choices
                )
            }),
        )
    }

    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<ChoiceScore>> {
        self.measure(scorer, items, cancel)
    }

    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        _base: &[ChoiceScore],
        cancel: &CancelToken,
    ) -> Result<Vec<ChoiceScore>> {
        self.measure(scorer, items, cancel)
    }

    fn series(&self, base: &[ChoiceScore], adapted: &[ChoiceScore]) -> Result<Vec<Series>> {
        let questions = &self.items[..adapted.len().min(base.len())];
        let chance = questions
            .iter()
            .map(|question| 1.0 / question.wholes.len() as f64)
            .sum::<f64>()
            / questions.len().max(1) as f64;
        let metrics: [(Metric, Score); 5] = [
            (Metric::Acc, acc),
            (Metric::AccNorm, acc_norm),
            (Metric::GoldProbability, gold_probability),
            (Metric::GoldMargin, gold_margin),
            (Metric::NllPerByte, nll_per_byte),
        ];
        metrics
            .into_iter()
            .map(|(metric, score)| {
                let pairs = questions
                    .iter()
                    .zip(base.iter().zip(adapted))
                    .map(|(question, (base, adapted))| {
                        let item = &question.item;
                        Pair {
                            id: item.id.clone(),
                            cluster: item.cluster.clone(),
                            base: score(item, &base.0),
                            adapted: score(item, &adapted.0),
                        }
                    })
                    .collect();
                let chance = metric.has_chance().then_some(chance);
                Series::new(self.group.as_str(), metric, chance, pairs)
            })
            .collect()
    }
}

/// 1 if the likeliest choice is the right one; the first of equals counts, as in lm-eval.
fn acc(item: &ChoiceItem, scores: &[f64]) -> f64 {
    is_gold(item, scores.iter().copied())
}

/// The same with each log-likelihood divided by the choice's bytes.
fn acc_norm(item: &ChoiceItem, scores: &[f64]) -> f64 {
    let normed = scores.iter().zip(&item.choices);
    is_gold(
        item,
        normed.map(|(score, choice)| score / choice.len() as f64),
    )
}

fn is_gold(item: &ChoiceItem, scores: impl Iterator<Item = f64>) -> f64 {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, score) in scores.enumerate() {
        if score > best.1 {
            best = (i, score);
        }
    }
    f64::from(u8::from(best.0 == item.gold))
}

/// Softmax over the choices' log-likelihoods, of the right one.
fn gold_probability(item: &ChoiceItem, scores: &[f64]) -> f64 {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
    (scores[item.gold] - max).exp() / sum
}

/// Log-likelihood of the right choice less that of the best wrong one.
fn gold_margin(item: &ChoiceItem, scores: &[f64]) -> f64 {
    let wrong = scores
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != item.gold)
        .map(|(_, &score)| score)
        .fold(f64::NEG_INFINITY, f64::max);
    scores[item.gold] - wrong
}

fn nll_per_byte(item: &ChoiceItem, scores: &[f64]) -> f64 {
    // A token of probability 1 can round to a hair below zero.
    (-scores[item.gold] / item.choices[item.gold].len() as f64).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_one_item_by_hand() {
        let item = ChoiceItem {
            id: "a".into(),
            cluster: None,
            prompt: "P".into(),
            choices: vec!["x".into(), "long one".into()],
            gold: 1,
        };
        let scores = [-2.0, -4.0];
        assert_eq!(acc(&item, &scores), 0.0);
        assert_eq!(acc_norm(&item, &scores), 1.0);
        assert!((gold_probability(&item, &scores) - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-12);
        assert_eq!(gold_margin(&item, &scores), -2.0);
        assert_eq!(nll_per_byte(&item, &scores), 0.5);
    }
}
