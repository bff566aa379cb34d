//! Cloze: how likely the right continuation of a sentence is.

use std::ops::Range;

use super::encode::{Whole, continuation};
use super::{Probe, content_of, not_finite, shuffled};
use crate::Result;
use crate::engine::{CancelToken, ContentHash, Model, ScoreItem, Scorer, divergence};
use crate::guard::measurement::{Pair, Series};
use crate::guard::metric::Metric;
use crate::guard::suite::TargetItem;

/// A group of sentences to complete.
pub struct ClozeProbe {
    group: String,
    items: Vec<(TargetItem, Whole)>,
}

impl ClozeProbe {
    /// Takes at most `n` of the items, those of at most `max_tokens` tokens.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for a text that cannot be tokenized.
    pub fn new(
        model: &Model,
        group: &str,
        items: &[TargetItem],
        n: usize,
        max_tokens: usize,
    ) -> Result<Self> {
        let mut chosen = Vec::new();
        for i in shuffled(group, items, |item| &item.id) {
            if chosen.len() == n {
                break;
            }
            let whole = continuation(model, &items[i].prompt, &items[i].target)?;
            if whole.tokens.len() <= max_tokens {
                chosen.push((items[i].clone(), whole));
            }
        }
        Ok(Self {
            group: group.to_owned(),
            items: chosen,
        })
    }

    fn measure(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<f64>> {
        let items = &self.items[items];
        let batch: Vec<ScoreItem> = items
            .iter()
            .map(|(_, whole)| {
                // The last token is only predicted.
                let end = whole.tokens.len() - 1;
                ScoreItem::text(whole.tokens[..end].to_vec(), whole.start)
            })
            .collect();
        let mut losses = vec![0.0; items.len()];
        scorer.score(&batch, cancel, |at, row| {
            let (item, whole) = &items[at.item];
            let token = whole.tokens[at.index + 1];
            let loss = usize::try_from(token.0)
                .ok()
                .and_then(|token| divergence::nll(row, token))
                .ok_or_else(|| not_finite(&self.group, &item.id))?;
            losses[at.item] += loss;
            Ok(())
        })?;
        Ok(losses)
    }
}

impl Probe for ClozeProbe {
    type Base = f64;
    type Adapted = f64;

    fn group(&self) -> &str {
        &self.group
    }

    fn n_items(&self) -> usize {
        self.items.len()
    }

    fn content(&self) -> ContentHash {
        content_of(
            "cloze 1",
            self.items
                .iter()
                .map(|(item, _)| format!("{}\n{}\n{}", item.id, item.prompt, item.target)),
        )
    }

    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<f64>> {
        self.measure(scorer, items, cancel)
    }

    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        _base: &[f64],
        cancel: &CancelToken,
    ) -> Result<Vec<f64>> {
        self.measure(scorer, items, cancel)
    }

    fn series(&self, base: &[f64], adapted: &[f64]) -> Result<Vec<Series>> {
        let of = |metric, divisor: fn(&TargetItem) -> f64| {
            let pairs = self
                .items
                .iter()
                .zip(base.iter().zip(adapted))
                .map(|((item, _), (base, adapted))| Pair {
                    id: item.id.clone(),
                    cluster: item.cluster.clone(),
                    base: (base / divisor(item)).max(0.0),
                    adapted: (adapted / divisor(item)).max(0.0),
                })
                .collect();
            Series::new(self.group.as_str(), metric, None, pairs)
        };
        Ok(vec![
            of(Metric::Nll, |_| 1.0)?,
            of(Metric::NllPerByte, |item| item.target.len() as f64)?,
        ])
    }
}
