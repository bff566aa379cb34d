//! Free answers to general prompts in the chat template: where careless tuning shows first.
//!
//! The base's own greedy answers are scored under the adapter, token by token; the adapter's greedy answers are compared
//! with them, and the share that suddenly comes in the adapter's trained format is its own metric.

use std::ops::Range;

use super::answer::{chat_prompt, length_drift, repetition, similarity};
use super::format::AnswerFormat;
use super::sketch::{RowChange, Sketch};
use super::text::{divergence_series, mean, summarize};
use super::{Probe, Reader, Record, content_of, language, not_finite, shuffled};
use crate::Result;
use crate::engine::{CancelToken, ContentHash, GreedyAnswer, Model, Opening, Scorer, Token};
use crate::guard::measurement::{Pair, Series, TextDivergence};
use crate::guard::metric::Metric;
use crate::guard::suite::PromptItem;

/// Most tokens of a free answer: its beginning shows whether it is one.
pub const MAX_ANSWER: usize = 40;

/// The base's answer, with its distribution at each token.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BaseAnswer {
    tokens: Vec<Token>,
    ended: bool,
    rows: Vec<Sketch>,
}

/// What base and adapter made of a prompt.
#[derive(Debug, Clone)]
pub struct AdaptedAnswer {
    rows: Vec<RowChange>,
    answer: GreedyAnswer,
}

impl Record for BaseAnswer {
    fn write(&self, out: &mut Vec<u8>) {
        let tokens: Vec<i32> = self.tokens.iter().map(|token| token.0).collect();
        tokens.write(out);
        u8::from(self.ended).write(out);
        self.rows.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let answer = Self {
            tokens: Vec::<i32>::read(input)?.into_iter().map(Token).collect(),
            ended: u8::read(input)? != 0,
            rows: Vec::read(input)?,
        };
        let n_rows = answer.tokens.len() + usize::from(answer.ended);
        (answer.rows.len() == n_rows).then_some(answer)
    }
}

/// A group of general prompts.
pub struct FreeProbe {
    group: String,
    model: Model,
    items: Vec<(PromptItem, Vec<Token>)>,
    format: Option<AnswerFormat>,
}

impl FreeProbe {
    /// Takes at most `n` of the prompts, those of at most `max_tokens` tokens. `format` is the adapter's trained one,
    /// where it is known.
    ///
    /// # Errors
    /// [`crate::Error::Template`] if the chat template refuses a prompt.
    pub fn new(
        model: &Model,
        group: &str,
        items: &[PromptItem],
        n: usize,
        max_tokens: usize,
        format: Option<AnswerFormat>,
    ) -> Result<Self> {
        let mut chosen = Vec::new();
        for i in shuffled(group, items, |item| &item.id) {
            if chosen.len() == n {
                break;
            }
            let tokens = chat_prompt(model, &items[i].prompt)?;
            if tokens.len() <= max_tokens {
                chosen.push((items[i].clone(), tokens));
            }
        }
        Ok(Self {
            group: group.to_owned(),
            model: model.clone(),
            items: chosen,
            format,
        })
    }

    fn texts(
        &self,
        base: &[BaseAnswer],
        adapted: &[AdaptedAnswer],
    ) -> Result<Vec<(String, String)>> {
        base.iter()
            .zip(adapted)
            .map(|(base, adapted)| {
                Ok((
                    self.model.detokenize(&base.tokens)?,
                    self.model.detokenize(&adapted.answer.tokens)?,
                ))
            })
            .collect()
    }

    /// The format that is looked for: the known one, or what the adapter's answers betray.
    fn format(&self, texts: &[(String, String)]) -> Option<AnswerFormat> {
        self.format.clone().or_else(|| {
            let base: Vec<&str> = texts.iter().map(|(base, _)| base.as_str()).collect();
            let adapted: Vec<&str> = texts.iter().map(|(_, adapted)| adapted.as_str()).collect();
            AnswerFormat::of_answers(&adapted, &base)
        })
    }
}

impl Probe for FreeProbe {
    type Base = BaseAnswer;
    type Adapted = AdaptedAnswer;

    const BY_TOKEN: bool = true;
    const FIRST_LOOK: usize = 30;

    fn group(&self) -> &str {
        &self.group
    }

    fn n_items(&self) -> usize {
        self.items.len()
    }

    fn content(&self) -> ContentHash {
        content_of(
            &format!("free 1 {MAX_ANSWER}"),
            self.items
                .iter()
                .map(|(item, tokens)| format!("{}{tokens:?}", item.id)),
        )
    }

    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<BaseAnswer>> {
        let items = &self.items[items];
        let openings: Vec<Opening> = items
            .iter()
            .map(|(_, tokens)| Opening {
                prompt: tokens.clone(),
                guess: Vec::new(),
            })
            .collect();
        let mut records = vec![BaseAnswer::default(); items.len()];
        let answers = scorer.answer(&openings, MAX_ANSWER, cancel, |at, row| {
            let failed = || not_finite(&self.group, &items[at.item].0.id);
            let sketch = Sketch::of_likeliest(row).ok_or_else(failed)?;
            records[at.item].rows.push(sketch);
            Ok(())
        })?;
        for (record, answer) in records.iter_mut().zip(answers) {
            record.tokens = answer.tokens;
            record.ended = answer.ended;
        }
        Ok(records)
    }

    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        base: &[BaseAnswer],
        cancel: &CancelToken,
    ) -> Result<Vec<AdaptedAnswer>> {
        let items = &self.items[items];
        let openings: Vec<Opening> = items
            .iter()
            .zip(base)
            .map(|((_, prompt), base)| Opening {
                prompt: prompt.clone(),
                guess: base.tokens.clone(),
            })
            .collect();
        let mut rows: Vec<Vec<RowChange>> = vec![Vec::new(); items.len()];
        let answers = scorer.answer(&openings, MAX_ANSWER, cancel, |at, row| {
            // What comes after the answer has left the base's is not compared.
            if at.branch.is_none()
                && let Some(sketch) = base[at.item].rows.get(at.index)
            {
                let change = sketch.compare(row, sketch.top());
                let failed = || not_finite(&self.group, &items[at.item].0.id);
                rows[at.item].push(change.ok_or_else(failed)?);
            }
            Ok(())
        })?;
        Ok(rows
            .into_iter()
            .zip(answers)
            .map(|(rows, answer)| AdaptedAnswer { rows, answer })
            .collect())
    }

    fn series(&self, base: &[BaseAnswer], adapted: &[AdaptedAnswer]) -> Result<Vec<Series>> {
        let rows: Vec<Vec<RowChange>> = adapted.iter().map(|answer| answer.rows.clone()).collect();
        let ids = self
            .items
            .iter()
            .map(|(item, _)| (item.id.as_str(), item.cluster.as_deref()));
        let mut series = divergence_series(&self.group, ids.clone(), &rows)?;
        let texts = self.texts(base, adapted)?;
        let format = self.format(&texts);
        let in_format = |text: &str| {
            let collapsed = format.as_ref().is_some_and(|format| format.is_answer(text));
            f64::from(u8::from(collapsed))
        };
        let mut add = |metric, score: &dyn Fn(usize) -> (f64, f64)| -> Result<()> {
            let pairs = ids.clone().take(texts.len()).enumerate();
            let pairs = pairs.map(|(i, (id, cluster))| {
                let (base, adapted) = score(i);
                Pair {
                    id: id.to_owned(),
                    cluster: cluster.map(str::to_owned),
                    base,
                    adapted,
                }
            });
            series.push(Series::new(
                self.group.as_str(),
                metric,
                None,
                pairs.collect(),
            )?);
            Ok(())
        };
        add(Metric::Nll, &|i| {
            (
                mean(base[i].rows.iter().map(|row| row.nll)),
                mean(adapted[i].rows.iter().map(|row| row.nll)),
            )
        })?;
        add(Metric::AnswerSimilarity, &|i| {
            (1.0, similarity(&texts[i].0, &texts[i].1))
        })?;
        add(Metric::AnswerLengthDrift, &|i| {
            let lengths = (base[i].tokens.len(), adapted[i].answer.tokens.len());
            (0.0, length_drift(lengths.0, lengths.1))
        })?;
        add(Metric::LanguageKept, &|i| {
            let kept = language::is_kept(&texts[i].0, &texts[i].1);
            (1.0, f64::from(u8::from(kept)))
        })?;
        add(Metric::Repetition, &|i| {
            (repetition(&texts[i].0), repetition(&texts[i].1))
        })?;
        add(Metric::FormatCollapse, &|i| {
            (in_format(&texts[i].0), in_format(&texts[i].1))
        })?;
        Ok(series)
    }

    fn divergence(&self, base: &[BaseAnswer], adapted: &[AdaptedAnswer]) -> Option<TextDivergence> {
        let rows: Vec<Vec<RowChange>> = adapted.iter().map(|answer| answer.rows.clone()).collect();
        summarize(
            "base_answers",
            base.iter().map(|base| base.rows.as_slice()),
            &rows,
        )
    }
}
