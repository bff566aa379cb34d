//! What is kept of a forward pass, so that training fits into memory.

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

    /// Everything is kept of a forward pass where that fits, else only what goes into each layer.
    pub fn keep(self, material: &Material, recipe: &Recipe) -> Result<Keep> {
        let n_tokens = n_tokens(material, recipe);
        let Some(limit) = self.0 else {
            return Ok(Keep::All);
        };
        let estimate = |keep| estimate(material.transformer, recipe, n_tokens, keep);
        let fits = |keep: &Keep| estimate(*keep).total() <= limit;
        let fitting = [Keep::All, Keep::Inputs].into_iter().find(fits);
        fitting.ok_or_else(|| {
            let needed = estimate(Keep::Inputs);
            refused(
                limit,
                format!(
                    "at least {} MB: {} MB for the weights, {} MB for the adapter, {} MB for parts of {n_tokens} tokens and \
                     {} MB for logits; a smaller --batch with more --grad-accum takes less",
                    needed.total().div_ceil(MB),
                    needed.weights / MB,
                    needed.adapter / MB,
                    needed.activations / MB,
                    needed.logits / MB,
                ),
            )
        })
    }
}

/// The most tokens of a part.
fn n_tokens(material: &Material, recipe: &Recipe) -> usize {
    let rows = material.examples.iter().map(|row| row.tokens.len());
    let replay = material.replay.iter().map(|row| row.tokens.len());
    recipe.batch * rows.max().unwrap_or(0) + recipe.replay * replay.max().unwrap_or(0)
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
