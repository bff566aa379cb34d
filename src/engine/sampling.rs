//! How the next token is chosen, in llama.cpp's terms.

use super::model::Model;
use crate::error::{Error, Result};
use crate::llama::Sampler;

/// Sampling parameters. The default is greedy: the likeliest token, always the same text.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 is greedy.
    pub temperature: f32,
    /// Keep the k likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keep the likeliest that together have probability p; 1 keeps all.
    pub top_p: f32,
    /// Keep those with at least p times the probability of the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits of recent tokens (multiplies negative ones); 1 is off.
    pub repeat_penalty: f32,
    /// Subtracted for each recent occurrence; 0 is off.
    pub frequency_penalty: f32,
    /// Subtracted once for a recent occurrence; 0 is off.
    pub presence_penalty: f32,
    /// How many tokens are recent; 0 turns the penalties off.
    pub repeat_last_n: u32,
    /// Seed of the random choice: the same seed gives the same text.
    pub seed: u32,
    /// A GBNF grammar that the answer must follow.
    pub grammar: Option<String>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repeat_last_n: 64,
            seed: 0,
            grammar: None,
        }
    }
}

impl SamplingParams {
    /// Checks the ranges and builds a sampler. The order is llama.cpp's: penalties, top-k, top-p, min-p,
    /// temperature.
    pub(super) fn sampler(&self, model: &Model) -> Result<Sampler> {
        self.check()?;
        let greedy = self.temperature == 0.0;
        let mut sampler = Sampler::new((!greedy).then_some(self.seed));
        if self.has_penalties() {
            sampler = sampler.penalties(
                model.engine(),
                i32::try_from(self.repeat_last_n).unwrap_or(i32::MAX),
                self.repeat_penalty,
                self.frequency_penalty,
                self.presence_penalty,
            );
        }
        if !greedy {
            if self.top_k > 0 {
                sampler = sampler.top_k(i32::try_from(self.top_k).unwrap_or(i32::MAX));
            }
            if self.top_p < 1.0 {
                sampler = sampler.top_p(self.top_p);
            }
            if self.min_p > 0.0 {
                sampler = sampler.min_p(self.min_p);
            }
            sampler = sampler.temperature(self.temperature);
        }
        match &self.grammar {
            Some(grammar) => sampler.grammar(model.engine(), grammar),
            None => Ok(sampler),
        }
    }

    fn has_penalties(&self) -> bool {
        self.repeat_last_n > 0
            && (self.repeat_penalty != 1.0
                || self.frequency_penalty != 0.0
                || self.presence_penalty != 0.0)
    }

    fn check(&self) -> Result<()> {
        in_range("--temp", self.temperature, 0.0, 100.0)?;
        in_range("--top-p", self.top_p, 0.0, 1.0)?;
        in_range("--min-p", self.min_p, 0.0, 1.0)?;
        in_range("--repeat-penalty", self.repeat_penalty, 0.01, 100.0)?;
        in_range("--frequency-penalty", self.frequency_penalty, -100.0, 100.0)?;
        in_range("--presence-penalty", self.presence_penalty, -100.0, 100.0)
    }
}

fn in_range(what: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        what,
        value: value.to_string(),
        expected: format!("a number from {low} to {high}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let wrong = SamplingParams {
            top_p: 1.5,
            ..SamplingParams::default()
        };
        let message = wrong.check().err().map(|error| error.to_string());
        assert_eq!(
            message.as_deref(),
            Some("invalid --top-p '1.5': a number from 0 to 1")
        );
        let nan = SamplingParams {
            temperature: f32::NAN,
            ..SamplingParams::default()
        };
        assert!(nan.check().is_err());
        assert!(SamplingParams::default().check().is_ok());
    }
}
