//! How far two models are apart on a text: Kullback-Leibler divergence, agreement and perplexity, token by token, both
//! walking the text in lock-step.

use serde::Serialize;

use super::divergence::compare;
use super::model::Model;
use super::scorer::{ScoreItem, Scorer, ScorerOptions};
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// Positions that are reported together in [`TextDivergence::kl_by_position`].
const POSITION_BUCKET: usize = 32;

/// What two models make of the same text. Base first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextDivergence {
    /// Tokens compared.
    pub n_tokens: usize,
    /// Mean KL(base || adapted), nats a token.
    pub kl_mean: f64,
    /// Median.
    pub kl_p50: f64,
    /// 99th percentile.
    pub kl_p99: f64,
    /// Largest.
    pub kl_max: f64,
    /// Share of tokens where both hold the same one for the likeliest.
    pub top1_agreement: f64,
    /// Perplexity of the base.
    pub base_perplexity: f64,
    /// Perplexity of the adapted model.
    pub adapted_perplexity: f64,
    /// ln(adapted perplexity / base perplexity): nats a token that the text became harder.
    pub ln_perplexity_ratio: f64,
    /// Mean KL by place in the window, 32 positions an entry.
    pub kl_by_position: Vec<f64>,
}

impl TextDivergence {
    /// Compares two models, each with its stack, over windows of tokens (see [`text_windows`]). Each window stands alone;
    /// its first token is not predicted. One mapped model can be both.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is nothing to compare, [`Error::Engine`] if the vocabularies differ,
    /// [`Error::NonFinite`] if a model gives logits that are not finite, [`Error::Interrupted`].
    ///
    /// # Examples
    /// ```no_run
    /// use unforget::engine::{AdapterStack, CancelToken, Model, ModelOptions, TextDivergence, text_windows};
    /// let base = Model::open("base.gguf".as_ref(), ModelOptions::default())?;
    /// let small = Model::open("base-q4_0.gguf".as_ref(), ModelOptions::default())?;
    /// let windows = text_windows(&base, "A long text ..", 256, 16_000)?;
    /// let none = AdapterStack::base();
    /// let cost = TextDivergence::measure((&base, &none), (&small, &none), &windows, &CancelToken::default())?;
    /// println!("mean KL {:.4} over {} tokens", cost.kl_mean, cost.n_tokens);
    /// # Ok::<(), unforget::Error>(())
    /// ```
    pub fn measure(
        base: (&Model, &AdapterStack),
        adapted: (&Model, &AdapterStack),
        windows: &[Vec<Token>],
        cancel: &CancelToken,
    ) -> Result<Self> {
        Self::measure_while(base, adapted, windows, cancel, |_| true)
    }

    /// As [`Self::measure`], asking `go_on` after each window whether more is to be measured.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn measure_while(
        base: (&Model, &AdapterStack),
        adapted: (&Model, &AdapterStack),
        windows: &[Vec<Token>],
        cancel: &CancelToken,
        mut go_on: impl FnMut(KlSoFar) -> bool,
    ) -> Result<Self> {
        same_vocabulary(base.0, adapted.0)?;
        let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
        let options = ScorerOptions {
            n_ctx: u32::try_from(longest.max(256)).unwrap_or(u32::MAX),
            n_seq: 4,
            ..ScorerOptions::default()
        };
        let mut base = Scorer::new(base.0, base.1, &options)?;
        let mut adapted = Scorer::new(adapted.0, adapted.1, &options)?;
        let mut tally = Tally::default();
        let mut means = Vec::with_capacity(windows.len());
        for (number, window) in windows.iter().enumerate() {
            let (items, first) = ([ScoreItem::text(window.clone(), 1)], tally.kl.len());
            Scorer::score_both(&mut base, &mut adapted, &items, cancel, |at, p, q| {
                let Some(&target) = window.get(at.index + 1) else {
                    return Ok(());
                };
                tally
                    .add(p, q, target, at.index)
                    .ok_or_else(|| Error::NonFinite {
                        place: format!("window {number}, token {}", at.index),
                    })
            })?;
            let new = &tally.kl[first..];
            means.push(new.iter().sum::<f64>() / new.len().max(1) as f64);
            if !go_on(KlSoFar::of(&means, tally.kl.len())) {
                break;
            }
        }
        tally.finish()
    }
}

/// What is known of a divergence after some windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KlSoFar {
    /// Windows compared.
    pub n_windows: usize,
    /// Tokens compared.
    pub n_tokens: usize,
    /// Mean KL(base || adapted) of the windows, nats a token.
    pub mean: f64,
    /// Its standard error, from how the windows differ; infinite for one window.
    pub standard_error: f64,
}

impl KlSoFar {
    fn of(means: &[f64], n_tokens: usize) -> Self {
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n;
        let squares: f64 = means.iter().map(|m| (m - mean).powi(2)).sum();
        Self {
            n_windows: means.len(),
            n_tokens,
            mean,
            standard_error: match means.len() {
                0 | 1 => f64::INFINITY,
                _ => (squares / (n - 1.0) / n).sqrt(),
            },
        }
    }
}

/// Cuts a text into windows of `n_window` tokens, at most `max_tokens` in all. A last piece shorter than half a window
/// is left out.
///
/// # Errors
/// [`Error::InvalidArgument`] if the text is too short for one window of two tokens.
pub fn text_windows(
    model: &Model,
    text: &str,
    n_window: usize,
    max_tokens: usize,
) -> Result<Vec<Vec<Token>>> {
    let tokens = model.tokenize(text)?;
    let usable = &tokens[..tokens.len().min(max_tokens)];
    let windows: Vec<Vec<Token>> = usable
        .chunks(n_window.max(2))
        .enumerate()
        .filter(|(i, window)| window.len() >= 2 && (*i == 0 || window.len() * 2 >= n_window))
        .map(|(_, window)| window.to_vec())
        .collect();
    if windows.is_empty() {
        return Err(Error::InvalidArgument {
            what: "text",
            value: format!("{} tokens", usable.len()),
            expected: "at least two tokens to measure on".to_owned(),
        });
    }
    Ok(windows)
}

/// Token numbers mean the same text in both models: same size and same spelling, checked on a sample of 1,024.
fn same_vocabulary(base: &Model, adapted: &Model) -> Result<()> {
    const SAMPLE: usize = 1024;
    let n = base.n_vocab();
    let differs = || {
        Error::Engine(format!(
            "models '{}' and '{}' have different vocabularies and cannot be compared token by token",
            base.name(),
            adapted.name()
        ))
    };
    if n != adapted.n_vocab() {
        return Err(differs());
    }
    let same = (0..n).step_by((n / SAMPLE).max(1)).all(|token| {
        let token = Token(i32::try_from(token).unwrap_or(0));
        base.engine().token_text(token) == adapted.engine().token_text(token)
    });
    if same { Ok(()) } else { Err(differs()) }
}

#[derive(Default)]
struct Tally {
    kl: Vec<f64>,
    same_top: usize,
    base_nll: f64,
    adapted_nll: f64,
    by_position: Vec<(f64, usize)>,
}

impl Tally {
    fn add(&mut self, base: &[f32], adapted: &[f32], target: Token, position: usize) -> Option<()> {
        let row = compare(base, adapted)?;
        let target = usize::try_from(target.0).ok()?;
        self.kl.push(row.kl);
        self.same_top += usize::from(row.same_top);
        self.base_nll -= row.base.log_probability(*base.get(target)?);
        self.adapted_nll -= row.adapted.log_probability(*adapted.get(target)?);
        let bucket = position / POSITION_BUCKET;
        if self.by_position.len() <= bucket {
            self.by_position.resize(bucket + 1, (0.0, 0));
        }
        self.by_position[bucket].0 += row.kl;
        self.by_position[bucket].1 += 1;
        Some(())
    }

    fn finish(mut self) -> Result<TextDivergence> {
        let n = self.kl.len();
        if n == 0 {
            return Err(Error::InvalidArgument {
                what: "text",
                value: "0 tokens".to_owned(),
                expected: "at least two tokens to measure on".to_owned(),
            });
        }
        let count = n as f64;
        self.kl.sort_unstable_by(f64::total_cmp);
        Ok(TextDivergence {
            n_tokens: n,
            kl_mean: self.kl.iter().sum::<f64>() / count,
            kl_p50: percentile(&self.kl, 0.5),
            kl_p99: percentile(&self.kl, 0.99),
            kl_max: percentile(&self.kl, 1.0),
            top1_agreement: self.same_top as f64 / count,
            base_perplexity: (self.base_nll / count).exp(),
            adapted_perplexity: (self.adapted_nll / count).exp(),
            ln_perplexity_ratio: (self.adapted_nll - self.base_nll) / count,
            kl_by_position: self
                .by_position
                .iter()
                .map(|&(sum, n)| if n == 0 { 0.0 } else { sum / n as f64 })
                .collect(),
        })
    }
}

/// Nearest-rank percentile of sorted values; 0 of none.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(percentile(&values, 0.5), 2.0);
        assert_eq!(percentile(&values, 0.99), 4.0);
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn a_tally_by_hand() {
        let mut tally = Tally::default();
        let (p, q) = ([0.0f32, 0.0], [0.0f32, 2f32.ln()]);
        tally.add(&p, &p, Token(0), 0).expect("finite");
        tally.add(&p, &q, Token(1), 40).expect("finite");
        let found = tally.finish().expect("two tokens");
        // KL of (1/2, 1/2) to (1/3, 2/3) is ln(3 / (2 sqrt 2)).
        let kl = (3.0 / 8f64.sqrt()).ln();
        assert!((found.kl_max - kl).abs() < 1e-6);
        assert!((found.kl_mean - kl / 2.0).abs() < 1e-6);
        assert_eq!((found.top1_agreement, found.kl_by_position.len()), (0.5, 2));
        assert!((found.base_perplexity - 2.0).abs() < 1e-6);
        assert!((found.ln_perplexity_ratio - (0.75f64).ln() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_error_of_a_mean_by_hand() {
        let one = KlSoFar::of(&[0.5], 10);
        assert_eq!((one.mean, one.standard_error), (0.5, f64::INFINITY));
        let found = KlSoFar::of(&[1.0, 3.0], 20);
        // Sample deviation sqrt 2, over sqrt 2.
        assert_eq!((found.mean, found.standard_error), (2.0, 1.0));
    }

    #[test]
    fn nothing_to_measure_is_an_error() {
        assert!(Tally::default().finish().is_err());
    }
}
