//! Measuring answers on a benchmark whose queries carry a short answer: each is asked as `ask` asks, by its own
//! retrieval.

use std::time::Instant;

use super::answer_score::AnswerScores;
use super::ask::{AskOptions, Status, ask};
use super::benchmark::{Benchmark, Steps, percentile, step};
use super::citation::Claim;
use super::embed::Embed;
use crate::Result;
use crate::engine::Session;

/// One question of the benchmark and what came of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AnsweredQuestion {
    /// The query's name in the benchmark.
    pub query: String,
    /// The question.
    pub question: String,
    /// The short answer that is expected.
    pub expected: String,
    /// What was answered.
    pub text: String,
    /// What came of it.
    pub status: Status,
    /// Whether every claim of it is supported by a passage.
    pub grounded: bool,
    /// Its sentences, each with how well it is supported.
    pub claims: Vec<Claim>,
    /// How near it is to what is expected.
    #[serde(flatten)]
    pub scores: AnswerScores,
    /// Time from the question to the whole answer.
    pub ms: f64,
}

/// What an evaluation of answers found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AnswerReport {
    /// Questions that were asked.
    pub questions: usize,
    /// Most passages in a prompt.
    pub passages: usize,
    /// Means over the questions.
    #[serde(flatten)]
    pub scores: AnswerScores,
    /// Share of the answers whose every claim is supported by a passage.
    pub grounded: f64,
    /// Of those, the share that contains the expected answer.
    pub grounded_contains: f64,
    /// Share of the questions of which it was said that the documents do not answer them, without asking the model.
    pub not_in_documents: f64,
    /// Median time of an answer.
    pub p50_ms: f64,
    /// 99th percentile of that time.
    pub p99_ms: f64,
    /// Each question with its answer.
    pub answers: Vec<AnsweredQuestion>,
}

impl Benchmark {
    /// Asks the judged questions that carry an answer: all of them, or `sample`, taken evenly from the whole file.
    ///
    /// # Errors
    /// What [`ask`] returns; [`crate::Error::InvalidArgument`] if no question carries an answer.
    pub fn answers(
        &mut self,
        sample: Option<usize>,
        embedder: &mut dyn Embed,
        session: &mut Session,
        options: &AskOptions,
        progress: &mut Steps<'_>,
    ) -> Result<AnswerReport> {
        let asked = self.answered_queries()?;
        let asked = evenly(&asked, sample.unwrap_or(asked.len()));
        let mut answers = Vec::with_capacity(asked.len());
        for (nth, (query, expected)) in asked.iter().enumerate() {
            step(progress, nth, asked.len())?;
            let begun = Instant::now();
            let answer = ask(
                &query.text,
                &mut self.collection,
                embedder,
                session,
                options,
            )?;
            answers.push(AnsweredQuestion {
                query: query.id.clone(),
                question: query.text.clone(),
                expected: expected.clone(),
                scores: AnswerScores::of(&answer.bare, expected),
                text: answer.outcome.text,
                status: answer.status,
                grounded: answer.grounded,
                claims: answer.claims,
                ms: begun.elapsed().as_secs_f64() * 1000.0,
            });
        }
        Ok(report(answers, options.passages))
    }
}

/// `n` of `all`, evenly spread, in order.
fn evenly<T: Clone>(all: &[T], n: usize) -> Vec<T> {
    let n = n.min(all.len());
    (0..n)
        .filter_map(|nth| all.get(nth * all.len() / n).cloned())
        .collect()
}

fn report(answers: Vec<AnsweredQuestion>, passages: usize) -> AnswerReport {
    let n = answers.len().max(1) as f64;
    let share = |is: &dyn Fn(&AnsweredQuestion) -> bool| {
        answers.iter().filter(|answer| is(answer)).count() as f64 / n
    };
    let scores: Vec<AnswerScores> = answers.iter().map(|answer| answer.scores).collect();
    let grounded: Vec<AnswerScores> = answers
        .iter()
        .filter(|answer| answer.grounded)
        .map(|answer| answer.scores)
        .collect();
    let mut times: Vec<f64> = answers.iter().map(|answer| answer.ms).collect();
    AnswerReport {
        questions: answers.len(),
        passages,
        scores: AnswerScores::mean(&scores),
        grounded: share(&|answer| answer.grounded),
        grounded_contains: AnswerScores::mean(&grounded).contains,
        not_in_documents: share(&|answer| answer.status == Status::NotInDocuments),
        p50_ms: percentile(&mut times, 50),
        p99_ms: percentile(&mut times, 99),
        answers,
    }
}

#[cfg(test)]
mod tests {
    use super::evenly;

    #[test]
    fn a_sample_is_spread_over_the_whole() {
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(evenly(&all, 5), [0, 2, 4, 6, 8]);
        assert_eq!(evenly(&all, 3), [0, 3, 6]);
        assert_eq!(evenly(&all, 99), all);
        assert_eq!(evenly(&all, 0), [] as [u32; 0]);
    }
}
