//! What is kept of a forward pass and how much is computed at once, so that training fits into memory.

use unforget::engine::available_memory;
use unforget::train::compute::{Keep, Transformer};
use unforget::train::{Estimate, Material, Recipe};
use unforget::{Error, Result};

const MB: u64 = 1_000_000;

/// Memory that training may take, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limit(Option<u64>);

impl Limit {
    /// The one that was given, in MB; else what the system says is available, if it does.
    pub fn of(given: Option<u64>) -> Self {
        Self(
            given
                .map(|mb| mb.saturating_mul(MB))
                .or_else(available_memory),
        )
    }

    /// Refuses weights that do not fit before they are dequantized.
    pub fn check_weights(self, bytes: u64) -> Result<()> {
        match self.0 {
            Some(limit) if bytes > limit => Err(refused(
                limit,
                format!(
                    "at least {} MB for the weights as floats",
                    bytes.div_ceil(MB)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// How steps are computed so that they fit: in as few parts as can be, everything kept of a forward pass where that
    /// fits, else only what goes into each layer. Neither changes what is learnt; other parts round otherwise.
    pub fn plan(self, material: &Material, recipe: &Recipe) -> Result<Plan> {
        let Some(limit) = self.0 else {
            return Ok(Plan::new(Keep::All, recipe.accumulation));
        };
        let estimate = |plan: &Plan| {
            let n_tokens = n_tokens(material, recipe, plan.parts);
            (
                n_tokens,
                estimate(material.transformer, recipe, n_tokens, plan.keep),
            )
        };
        let plans = plans(recipe);
        let fits = |plan: &&Plan| estimate(plan).1.total() <= limit;
        if let Some(plan) = plans.iter().find(fits) {
            return Ok(*plan);
        }
        let (n_tokens, needed) = estimate(&plans[plans.len() - 1]);
        Err(refused(
            limit,
            format!(
                "at least {} MB: {} MB for the weights, {} MB for the adapter, {} MB for parts of {n_tokens} tokens and {} MB \
                 for logits",
                needed.total().div_ceil(MB),
                needed.weights / MB,
                needed.adapter / MB,
                needed.activations / MB,
                needed.logits / MB,
            ),
        ))
    }
}

/// How a step is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub keep: Keep,
    pub parts: usize,
}

impl Plan {
    fn new(keep: Keep, parts: usize) -> Self {
        Self { keep, parts }
    }
}

/// From the fastest to the one that needs the least: down to a row and a replayed text at a time.
fn plans(recipe: &Recipe) -> Vec<Plan> {
    let most = recipe.batch.max(recipe.replay) * recipe.accumulation;
    let doubled = std::iter::successors(Some(recipe.accumulation), |parts| Some(2 * parts));
    let fewer = doubled.take_while(|&parts| parts < most);
    let all = fewer.chain([most]);
    all.flat_map(|parts| [Keep::All, Keep::Inputs].map(|keep| Plan::new(keep, parts)))
        .collect()
}

/// The most tokens of a part.
fn n_tokens(material: &Material, recipe: &Recipe, parts: usize) -> usize {
    let rows = material.examples.iter().map(|row| row.tokens.len());
    let replay = material.replay.iter().map(|row| row.tokens.len());
    let of = |n: usize, longest: Option<usize>| {
        (n * recipe.accumulation).div_ceil(parts) * longest.unwrap_or(0)
    };
    of(recipe.batch, rows.max()) + of(recipe.replay, replay.max())
}

fn estimate(transformer: &Transformer, recipe: &Recipe, n_tokens: usize, keep: Keep) -> Estimate {
    let base = transformer.base();
    let adapter = (recipe.rank, base.n_parameters(recipe.rank, &recipe.targets));
    Estimate::of(base.shape(), base.bytes(), adapter, n_tokens, keep)
}

fn refused(limit: u64, expected: String) -> Error {
    Error::InvalidArgument {
        what: "memory limit",
        value: format!("{} MB", limit / MB),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_need_less_and_less() {
        let recipe = Recipe {
            batch: 6,
            accumulation: 2,
            replay: 4,
            ..Recipe::default()
        };
        let plans = plans(&recipe);
        let parts: Vec<usize> = plans.iter().map(|plan| plan.parts).collect();
        assert_eq!(parts, [2, 2, 4, 4, 8, 8, 12, 12]);
        assert_eq!(plans[0].keep, Keep::All);
        assert_eq!(plans[7].keep, Keep::Inputs);
    }
}
