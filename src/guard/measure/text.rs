//! Natural text in windows: divergence from the base token by token, and how much harder the text became.

use std::ops::Range;

use super::sketch::{RowChange, Sketch};
use super::{Probe, content_of, not_finite, shuffled};
use crate::Result;
use crate::engine::{CancelToken, ContentHash, Model, ScoreItem, Scorer, Token, text_windows};
use crate::guard::measurement::{Pair, Series, TextDivergence};
use crate::guard::metric::Metric;

/// Tokens of a window. Windows are the items: short ones make more of them of the same text.
pub const WINDOW: usize = 128;
/// Positions that are reported together.
const BUCKET: usize = 16;

/// A natural text, in windows.
pub struct TextProbe {
    group: String,
    windows: Vec<(String, Vec<Token>)>,
}

impl TextProbe {
    /// Takes at most `n` windows of the text.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for a text without tokens.
    pub fn new(model: &Model, group: &str, text: &str, n: usize) -> Result<Self> {
        let named: Vec<(String, Vec<Token>)> = text_windows(model, text, WINDOW, usize::MAX)?
            .into_iter()
            .enumerate()
            .map(|(i, window)| (format!("{group}/{i}"), window))
            .collect();
        let order = shuffled(group, &named, |(id, _)| id);
        Ok(Self {
            group: group.to_owned(),
            windows: order
                .into_iter()
                .take(n)
                .map(|i| named[i].clone())
                .collect(),
        })
    }

    /// Scores windows; `take` gets window, row and the token that comes next.
    fn score(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
        mut take: impl FnMut(usize, usize, &[f32], Option<usize>) -> Option<()> + Send,
    ) -> Result<()> {
        let windows = &self.windows[items];
        let batch: Vec<ScoreItem> = windows
            .iter()
            .map(|(_, tokens)| ScoreItem::text(tokens[..tokens.len() - 1].to_vec(), 1))
            .collect();
        scorer.score(&batch, cancel, |at, row| {
            let (id, tokens) = &windows[at.item];
            let next = usize::try_from(tokens[at.index + 1].0).ok();
            take(at.item, at.index, row, next).ok_or_else(|| not_finite(&self.group, id))
        })
    }
}

impl Probe for TextProbe {
    type Base = Vec<Sketch>;
    type Adapted = Vec<RowChange>;

    const BY_TOKEN: bool = true;
    const FIRST_LOOK: usize = 12;

    fn group(&self) -> &str {
        &self.group
    }

    fn n_items(&self) -> usize {
        self.windows.len()
    }

    fn content(&self) -> ContentHash {
        content_of(
            "text 1",
            self.windows
                .iter()
                .map(|(id, tokens)| format!("{id}{tokens:?}")),
        )
    }

    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<Self::Base>> {
        let mut records = vec![Vec::new(); items.len()];
        self.score(scorer, items, cancel, |window, _, row, next| {
            records[window].push(Sketch::of(row, next)?);
            Some(())
        })?;
        Ok(records)
    }

    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        base: &[Self::Base],
        cancel: &CancelToken,
    ) -> Result<Vec<Self::Adapted>> {
        let mut records = vec![Vec::new(); items.len()];
        self.score(scorer, items, cancel, |window, index, row, next| {
            let sketch = base.get(window)?.get(index)?;
            records[window].push(sketch.compare(row, next)?);
            Some(())
        })?;
        Ok(records)
    }

    fn series(&self, base: &[Self::Base], adapted: &[Self::Adapted]) -> Result<Vec<Series>> {
        let ids = self.windows.iter().map(|(id, _)| (id.as_str(), None));
        let mut series = divergence_series(&self.group, ids, adapted)?;
        let pairs = self
            .windows
            .iter()
            .zip(base.iter().zip(adapted))
            .map(|((id, _), (base, adapted))| {
                Pair::new(
                    id.as_str(),
                    mean(base.iter().map(|row| row.nll)),
                    mean(adapted.iter().map(|row| row.nll)),
                )
            })
            .collect();
        series.push(Series::new(
            self.group.as_str(),
            Metric::LnPerplexityRatio,
            None,
            pairs,
        )?);
        Ok(series)
    }

    fn divergence(&self, base: &[Self::Base], adapted: &[Self::Adapted]) -> Option<TextDivergence> {
        summarize(&self.group, base.iter().map(Vec::as_slice), adapted)
    }
}

/// What an item scores by its tokens.
type Score = fn(&[RowChange]) -> f64;

/// Mean and largest KL and disagreement of each item. Ids come with their cluster.
pub fn divergence_series<'a>(
    group: &str,
    ids: impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone,
    rows: &[Vec<RowChange>],
) -> Result<Vec<Series>> {
    let metrics: [(Metric, Score); 3] = [
        (Metric::Kl, |rows| mean(rows.iter().map(|row| row.kl))),
        (Metric::KlMax, |rows| {
            rows.iter().map(|row| row.kl).fold(0.0, f64::max)
        }),
        (Metric::Top1Disagreement, |rows| {
            mean(rows.iter().map(|row| f64::from(u8::from(!row.same_top))))
        }),
    ];
    metrics
        .into_iter()
        .map(|(metric, score)| {
            let pairs = ids.clone().zip(rows).map(|((id, cluster), rows)| Pair {
                id: id.to_owned(),
                cluster: cluster.map(str::to_owned),
                base: 0.0,
                adapted: score(rows),
            });
            Series::new(group, metric, None, pairs.collect())
        })
        .collect()
}

/// Divergence over all tokens of all items; `None` without any.
pub fn summarize<'a>(
    stratum: &str,
    base: impl Iterator<Item = &'a [Sketch]>,
    adapted: &[Vec<RowChange>],
) -> Option<TextDivergence> {
    let mut kl: Vec<f64> = Vec::new();
    let mut buckets: Vec<(f64, usize)> = Vec::new();
    let (mut same_top, mut nll_change) = (0, 0.0);
    for (base, adapted) in base.zip(adapted) {
        for (i, (before, after)) in base.iter().zip(adapted).enumerate() {
            kl.push(after.kl);
            same_top += usize::from(after.same_top);
            nll_change += after.nll - before.nll;
            if buckets.len() <= i / BUCKET {
                buckets.push((0.0, 0));
            }
            let bucket = &mut buckets[i / BUCKET];
            *bucket = (bucket.0 + after.kl, bucket.1 + 1);
        }
    }
    let n_tokens = kl.len();
    if n_tokens == 0 {
        return None;
    }
    kl.sort_unstable_by(f64::total_cmp);
    let rank = |share: f64| kl[((share * n_tokens as f64).ceil() as usize).clamp(1, n_tokens) - 1];
    Some(TextDivergence {
        stratum: stratum.to_owned(),
        n_tokens,
        mean: kl.iter().sum::<f64>() / n_tokens as f64,
        p50: rank(0.5),
        p99: rank(0.99),
        max: rank(1.0),
        top1_agreement: same_top as f64 / n_tokens as f64,
        ln_perplexity_ratio: nll_change / n_tokens as f64,
        by_position: buckets.iter().map(|(sum, n)| sum / *n as f64).collect(),
        bucket: BUCKET,
    })
}

/// Mean; 0 of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0usize);
    for value in values {
        sum += value;
        n += 1;
    }
    if n == 0 { 0.0 } else { sum / n as f64 }
}
