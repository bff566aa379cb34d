//! The task that an adapter was made for: is the answer the right one, and how likely is the right one.

use std::ops::Range;

use serde_json::Value;

use super::answer::chat_prompt;
use super::{Probe, Reader, Record, content_of, not_finite, shuffled};
use crate::Result;
use crate::engine::divergence::nll;
use crate::engine::{CancelToken, ContentHash, Model, Opening, Scorer, Token};
use crate::guard::measurement::{Pair, Series};
use crate::guard::metric::Metric;
use crate::guard::suite::TargetItem;

/// Tokens that an answer may be longer than the longest right one.
const SLACK: usize = 8;
/// Most tokens of an answer, where no right one is longer.
const MAX_ANSWER: usize = 256;

/// What a model made of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskAnswer {
    answer: Vec<Token>,
    /// Of the right answer, nats.
    nll: f64,
}

impl Record for TaskAnswer {
    fn write(&self, out: &mut Vec<u8>) {
        let tokens: Vec<i32> = self.answer.iter().map(|token| token.0).collect();
        tokens.write(out);
        self.nll.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            answer: Vec::<i32>::read(input)?.into_iter().map(Token).collect(),
            nll: f64::read(input)?,
        })
    }
}

/// What an answer scores, the right one given first.
type Score = fn(&str, &str) -> f64;

/// A group of tasks with their right answers, in the chat template.
pub struct TaskProbe {
    group: String,
    model: Model,
    items: Vec<Task>,
    max_answer: usize,
}

struct Task {
    item: TargetItem,
    prompt: Vec<Token>,
    target: Vec<Token>,
}

impl TaskProbe {
    /// Takes at most `n` of the items, those of at most `max_tokens` tokens.
    ///
    /// # Errors
    /// [`crate::Error::Template`] if the chat template refuses a prompt.
    pub fn new(
        model: &Model,
        group: &str,
        items: &[TargetItem],
        n: usize,
        max_tokens: usize,
    ) -> Result<Self> {
        let mut tasks: Vec<Task> = Vec::new();
        for i in shuffled(group, items, |item| &item.id) {
            if tasks.len() == n {
                break;
            }
            let prompt = chat_prompt(model, &items[i].prompt)?;
            let target = model.tokenize_text(&items[i].target)?;
            if prompt.len() + target.len() <= max_tokens && !target.is_empty() {
                tasks.push(Task {
                    item: items[i].clone(),
                    prompt,
                    target,
                });
            }
        }
        let longest = tasks.iter().map(|task| task.target.len()).max();
        let longest = longest.unwrap_or(0);
        Ok(Self {
            group: group.to_owned(),
            model: model.clone(),
            items: tasks,
            max_answer: (longest + SLACK).min(MAX_ANSWER).max(longest + 1),
        })
    }

    fn measure(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<TaskAnswer>> {
        let tasks = &self.items[items];
        let openings: Vec<Opening> = tasks
            .iter()
            .map(|task| Opening {
                prompt: task.prompt.clone(),
                guess: task.target.clone(),
            })
            .collect();
        let mut losses = vec![0.0; tasks.len()];
        let answers = scorer.answer(&openings, self.max_answer, cancel, |at, row| {
            let task = &tasks[at.item];
            let token = task.target.get(at.index).filter(|_| at.branch.is_none());
            if let Some(token) = token.and_then(|token| usize::try_from(token.0).ok()) {
                let failed = || not_finite(&self.group, &task.item.id);
                losses[at.item] += nll(row, token).ok_or_else(failed)?;
            }
            Ok(())
        })?;
        Ok(answers
            .into_iter()
            .zip(losses)
            .map(|(answer, nll)| TaskAnswer {
                answer: answer.tokens,
                nll: f64::max(nll, 0.0),
            })
            .collect())
    }
}

impl Probe for TaskProbe {
    type Base = TaskAnswer;
    type Adapted = TaskAnswer;

    fn group(&self) -> &str {
        &self.group
    }

    fn n_items(&self) -> usize {
        self.items.len()
    }

    fn content(&self) -> ContentHash {
        content_of(
            &format!("task 1 {}", self.max_answer),
            self.items
                .iter()
                .map(|task| format!("{}{:?}{:?}", task.item.id, task.prompt, task.target)),
        )
    }

    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<TaskAnswer>> {
        self.measure(scorer, items, cancel)
    }

    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        _base: &[TaskAnswer],
        cancel: &CancelToken,
    ) -> Result<Vec<TaskAnswer>> {
        self.measure(scorer, items, cancel)
    }

    fn series(&self, base: &[TaskAnswer], adapted: &[TaskAnswer]) -> Result<Vec<Series>> {
        let mut metrics: Vec<(Metric, Score)> = vec![(Metric::ExactMatch, exact_match)];
        if self.items.iter().all(|task| is_object(&task.item.target)) {
            metrics.push((Metric::JsonValidity, |_, answer| {
                f64::from(u8::from(is_object(answer)))
            }));
            metrics.push((Metric::FieldAccuracy, field_accuracy));
        }
        let pair = |task: &Task, base, adapted| Pair {
            id: task.item.id.clone(),
            cluster: task.item.cluster.clone(),
            base,
            adapted,
        };
        let rows = || self.items.iter().zip(base.iter().zip(adapted));
        let mut series = Vec::new();
        for (metric, score) in metrics {
            let pairs = rows().map(|(task, (base, adapted))| {
                let score = |tokens: &[Token]| -> Result<f64> {
                    Ok(score(&task.item.target, &self.model.detokenize(tokens)?))
                };
                Ok(pair(task, score(&base.answer)?, score(&adapted.answer)?))
            });
            series.push(Series::new(
                self.group.as_str(),
                metric,
                None,
                pairs.collect::<Result<_>>()?,
            )?);
        }
        let pairs = rows().map(|(task, (base, adapted))| pair(task, base.nll, adapted.nll));
        series.push(Series::new(
            self.group.as_str(),
            Metric::Nll,
            None,
            pairs.collect(),
        )?);
        Ok(series)
    }
}

fn is_object(text: &str) -> bool {
    matches!(serde_json::from_str(text.trim()), Ok(Value::Object(_)))
}

fn exact_match(target: &str, answer: &str) -> f64 {
    f64::from(u8::from(target.trim() == answer.trim()))
}

/// Share of the wanted fields that the answer has with the wanted value.
fn field_accuracy(target: &str, answer: &str) -> f64 {
    let parse = |text: &str| serde_json::from_str::<Value>(text.trim()).ok();
    let (Some(Value::Object(wanted)), Some(found)) = (parse(target), parse(answer)) else {
        return 0.0;
    };
    let right = wanted
        .iter()
        .filter(|(key, value)| found.get(key.as_str()) == Some(value))
        .count();
    right as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_against_the_right_one() {
        let target = r#"{"queue": "bug", "hours": 4}"#;
        assert_eq!(exact_match(target, &format!("{target}\n")), 1.0);
        assert_eq!(exact_match(target, r#"{"queue":"bug","hours":4}"#), 0.0);
        assert_eq!(field_accuracy(target, r#"{"hours":4,"queue":"bug"}"#), 1.0);
        assert_eq!(
            field_accuracy(target, r#"{"queue": "bug", "hours": "4"}"#),
            0.5
        );
        assert_eq!(field_accuracy(target, "a bug"), 0.0);
        assert!(is_object(target) && !is_object("[1]") && !is_object("{"));
    }
}
