//! A sampler: chooses the next token from logits.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::model::Model;
use crate::error::{Error, Result};

/// A chain of llama.cpp's samplers that ends in a choice. It carries state: the seed's generator, the last tokens
/// for penalties, the place in a grammar. One a generation.
#[derive(Debug)]
pub struct Sampler {
    chain: Vec<LlamaSampler>,
    choose: LlamaSampler,
    grammar: Option<LlamaSampler>,
    candidates: LlamaTokenDataArray,
}

impl Sampler {
    /// An empty chain that ends in `dist` with `seed`, or in `greedy` without one.
    #[must_use]
    pub fn new(seed: Option<u32>) -> Self {
        Self {
            chain: Vec::new(),
            choose: seed.map_or_else(LlamaSampler::greedy, LlamaSampler::dist),
            grammar: None,
            candidates: LlamaTokenDataArray::new(Vec::new(), false),
        }
    }

    /// Penalizes tokens among the last `last_n`: repetition multiplies, frequency and presence subtract.
    #[must_use]
    pub fn penalties(
        mut self,
        model: &Model,
        last_n: i32,
        repeat: f32,
        frequency: f32,
        presence: f32,
    ) -> Self {
        let n_vocab = i32::try_from(model.n_vocab()).unwrap_or(i32::MAX);
        self.chain.push(LlamaSampler::penalties(
            n_vocab, last_n, repeat, frequency, presence,
        ));
        self
    }

    /// Keeps the `k` likeliest tokens.
    #[must_use]
    pub fn top_k(mut self, k: i32) -> Self {
        self.chain.push(LlamaSampler::top_k(k));
        self
    }

    /// Keeps the likeliest tokens that together have probability `p`.
    #[must_use]
    pub fn top_p(mut self, p: f32) -> Self {
        self.chain.push(LlamaSampler::top_p(p, 1));
        self
    }

    /// Keeps tokens with at least `p` times the probability of the likeliest.
    #[must_use]
    pub fn min_p(mut self, p: f32) -> Self {
        self.chain.push(LlamaSampler::min_p(p, 1));
        self
    }

    /// Divides the logits by `t`.
    #[must_use]
    pub fn temperature(mut self, t: f32) -> Self {
        self.chain.push(LlamaSampler::temp(t));
        self
    }

    /// Allows only what the GBNF `grammar` derives from `root`.
    ///
    /// # Errors
    /// [`Error::Grammar`] if it does not parse.
    pub fn grammar(mut self, model: &Model, grammar: &str) -> Result<Self> {
        let sampler = LlamaSampler::grammar(model.vocabulary(), grammar, "root")
            .map_err(|error| Error::Grammar(error.to_string()))?;
        self.grammar = Some(sampler);
        Ok(self)
    }

    /// Chooses a token from one position's logits and remembers it.
    ///
    /// # Errors
    /// [`Error::Engine`] if the chain leaves nothing to choose from.
    pub fn sample(&mut self, logits: &[f32]) -> Result<LlamaToken> {
        let token = if self.chain.is_empty() && self.grammar.is_none() && self.is_greedy() {
            argmax(logits)
        } else {
            self.choose_from(logits)
        }
        .ok_or_else(|| Error::Engine("the sampler found no token to choose".to_owned()))?;
        self.accept(token)?;
        Ok(token)
    }

    fn is_greedy(&self) -> bool {
        self.choose.name() == Some(c"greedy")
    }

    /// A choice as the grammar has it. It is asked about one token first, since it nearly always allows what the model
    /// wants, and asking about a whole vocabulary takes as long as computing the next token. As in llama.cpp.
    fn choose_from(&mut self, logits: &[f32]) -> Option<LlamaToken> {
        let token = self.choose_among(logits, false)?;
        if self.allows(token) {
            return Some(token);
        }
        self.choose_among(logits, true)
    }

    fn allows(&mut self, token: LlamaToken) -> bool {
        let Some(grammar) = &mut self.grammar else {
            return true;
        };
        let data = vec![LlamaTokenData::new(token, 1.0, 0.0)];
        let mut one = LlamaTokenDataArray::new(data, false);
        one.apply_sampler(grammar);
        one.data.iter().all(|token| token.logit().is_finite())
    }

    fn choose_among(&mut self, logits: &[f32], with_grammar: bool) -> Option<LlamaToken> {
        let candidates = &mut self.candidates;
        candidates.data.clear();
        candidates.data.extend(
            (0i32..)
                .zip(logits)
                .map(|(id, &logit)| LlamaTokenData::new(LlamaToken(id), logit, 0.0)),
        );
        candidates.sorted = false;
        candidates.selected = None;
        let grammar = self.grammar.iter_mut().filter(|_| with_grammar);
        for sampler in grammar.chain(&mut self.chain) {
            candidates.apply_sampler(sampler);
        }
        candidates.apply_sampler(&mut self.choose);
        candidates.selected_token()
    }

    fn accept(&mut self, token: LlamaToken) -> Result<()> {
        for sampler in &mut self.chain {
            sampler.accept(token);
        }
        if let Some(grammar) = &mut self.grammar {
            grammar.try_accept(token).map_err(|error| {
                Error::Engine(format!("grammar refused its own token: {error}"))
            })?;
        }
        Ok(())
    }
}

/// The GBNF grammar of what a JSON schema describes, by llama.cpp's converter.
///
/// # Errors
/// [`Error::Grammar`] if the schema is not one that it understands.
pub fn grammar_of_json_schema(schema: &str) -> Result<String> {
    llama_cpp_2::json_schema_to_grammar(schema).map_err(|error| Error::Grammar(error.to_string()))
}

/// Index of the largest logit: the first of equals. `None` if there are none, or all are NaN.
#[must_use]
fn argmax(logits: &[f32]) -> Option<LlamaToken> {
    // Two plain passes are vectorized; one that carries the index is not. `f32::max` skips NaN.
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let index = logits.iter().position(|&logit| logit == highest)?;
    i32::try_from(index).ok().map(LlamaToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals_and_no_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), Some(LlamaToken(1)));
        assert_eq!(argmax(&[f32::NAN, -1.0]), Some(LlamaToken(1)));
        assert_eq!(argmax(&[f32::NAN]), None);
        assert_eq!(argmax(&[]), None);
    }

    #[test]
    fn a_seed_repeats_its_choices() {
        let logits: Vec<f32> = (0..64u8).map(|i| f32::from(i % 7)).collect();
        let choices = |seed| {
            let mut sampler = Sampler::new(Some(seed)).temperature(1.0);
            (0..20)
                .map(|_| sampler.sample(&logits).map(|token| token.0))
                .collect::<Result<Vec<_>>>()
                .ok()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }
}
