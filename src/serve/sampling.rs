//! Sampling fields that chat and completions share, with llama-server's beside OpenAI's.

use serde::Deserialize;

use super::chat_request::is_absent;
use super::error::{ApiError, ApiResult};
use super::limits::{DEFAULT_MAX_TOKENS, MAX_STOP, MAX_STOPS};
use crate::engine::{GenerateOptions, SamplingParams};

/// Temperature below which the likeliest token is taken: dividing by less makes logits infinite.
const COLDEST: f32 = 1e-3;

/// How to answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct SamplingFields {
    pub(super) max_tokens: Option<i64>,
    pub(super) max_completion_tokens: Option<i64>,
    /// llama-server's name for it.
    pub(super) n_predict: Option<i64>,
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) top_k: Option<i64>,
    pub(super) min_p: Option<f32>,
    pub(super) frequency_penalty: Option<f32>,
    pub(super) presence_penalty: Option<f32>,
    pub(super) repeat_penalty: Option<f32>,
    pub(super) repeat_last_n: Option<i64>,
    pub(super) seed: Option<i64>,
    pub(super) stop: Option<StopField>,
    /// llama-server's GBNF. Refused: llama.cpp parses it by recursion without a bound.
    grammar: Option<serde_json::Value>,
}

/// One stop string or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum StopField {
    One(String),
    Several(Vec<String>),
}

impl SamplingFields {
    /// Options for the answer with this index among several.
    pub(super) fn options(&self, index: usize) -> ApiResult<GenerateOptions> {
        if !is_absent(self.grammar.as_ref()) {
            return Err(ApiError::invalid(
                "grammar",
                "grammars are not taken by request; say what you want with 'response_format'",
            ));
        }
        let default = SamplingParams::default();
        let natural = |param: &'static str, value: Option<i64>, default: u32| match value {
            None => Ok(default),
            // llama-server's "off" and "all".
            Some(-1) => Ok(0),
            Some(value) => u32::try_from(value).map_err(|_| {
                ApiError::invalid(param, format!("{value} is not a whole number from 0"))
            }),
        };
        Ok(GenerateOptions {
            max_tokens: self.max_tokens()?,
            stop: self.stops()?,
            sampling: SamplingParams {
                temperature: match self.temperature.unwrap_or(default.temperature) {
                    temperature if temperature > 0.0 && temperature < COLDEST => 0.0,
                    temperature => temperature,
                },
                top_k: natural("top_k", self.top_k, default.top_k)?,
                top_p: self.top_p.unwrap_or(default.top_p),
                min_p: self.min_p.unwrap_or(default.min_p),
                repeat_penalty: self.repeat_penalty.unwrap_or(default.repeat_penalty),
                frequency_penalty: self.frequency_penalty.unwrap_or(default.frequency_penalty),
                presence_penalty: self.presence_penalty.unwrap_or(default.presence_penalty),
                repeat_last_n: natural("repeat_last_n", self.repeat_last_n, default.repeat_last_n)?,
                seed: self.seed(index)?,
                grammar: None,
            },
            ..GenerateOptions::default()
        })
    }

    fn max_tokens(&self) -> ApiResult<usize> {
        let given = self
            .max_completion_tokens
            .or(self.max_tokens)
            .or(self.n_predict);
        match given {
            None => Ok(DEFAULT_MAX_TOKENS),
            // llama-server's "until the context is full".
            Some(-1) => Ok(usize::MAX),
            Some(n) => usize::try_from(n).map_err(|_| {
                ApiError::invalid("max_tokens", format!("{n} is not a number of tokens"))
            }),
        }
    }

    fn stops(&self) -> ApiResult<Vec<String>> {
        let stops = match &self.stop {
            None => Vec::new(),
            Some(StopField::One(stop)) => vec![stop.clone()],
            Some(StopField::Several(stops)) => stops.clone(),
        };
        if stops.len() > MAX_STOPS {
            return Err(ApiError::invalid(
                "stop",
                format!("{} stop strings; at most {MAX_STOPS}", stops.len()),
            ));
        }
        if let Some(long) = stops.iter().find(|stop| stop.len() > MAX_STOP) {
            return Err(ApiError::invalid(
                "stop",
                format!("a stop string of {} bytes; at most {MAX_STOP}", long.len()),
            ));
        }
        Ok(stops)
    }

    /// The seed given, else a random one; each of several answers has its own.
    fn seed(&self, index: usize) -> ApiResult<u32> {
        let first = match self.seed {
            // Any number will do as a seed; the low bits are as good as all.
            Some(seed) => (seed.cast_unsigned() & u64::from(u32::MAX)) as u32,
            None => getrandom::u32()
                .map_err(|error| ApiError::internal(format!("no random seed: {error}")))?,
        };
        Ok(first.wrapping_add(u32::try_from(index).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> ApiResult<GenerateOptions> {
        let fields: SamplingFields = serde_json::from_str(json).expect("fields");
        fields.options(1)
    }

    #[test]
    fn fields_of_both_dialects() {
        let both = options(r#"{"max_completion_tokens": 3, "max_tokens": 9, "stop": "x", "seed": -1, "top_k": -1}"#)
            .expect("options");
        assert_eq!(both.max_tokens, 3);
        assert_eq!(both.stop, ["x"]);
        assert_eq!(both.sampling.seed, 0, "u32::MAX and one more");
        assert_eq!(both.sampling.top_k, 0);
        let none = options("{}").expect("options");
        assert_eq!(
            (none.max_tokens, none.sampling.temperature),
            (DEFAULT_MAX_TOKENS, 0.0)
        );
    }

    #[test]
    fn limits_name_their_field() {
        let param = |json: &str| options(json).err().and_then(|error| error.param);
        assert_eq!(
            param(r#"{"max_tokens": -2}"#).as_deref(),
            Some("max_tokens")
        );
        assert_eq!(param(r#"{"top_k": -5}"#).as_deref(), Some("top_k"));
        let stop = format!(r#"{{"stop": "{}"}}"#, "s".repeat(MAX_STOP + 1));
        assert_eq!(param(&stop).as_deref(), Some("stop"));
    }
}
