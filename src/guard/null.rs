//! Nulls: models that nobody would call damaged, measured as an adapter is. The harm found on them is the noise floor;
//! a budget below it would fail adapters without harm.

use std::path::Path;

use tempfile::TempDir;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{RandomAdapter, write_random};

use super::measure::Track;
use super::measurement::NoiseFloor;
use crate::Result;
use crate::engine::{
    Adapter, AdapterStack, CancelToken, Model, ModelOptions, Scorer, ScorerOptions,
};
use crate::rewrite::{QuantizeRequest, RewriteOptions, quantize_file};

/// The random adapter: small enough that nobody would notice, large enough that no number stays the same.
const NOISE: RandomAdapter = RandomAdapter {
    rank: 8,
    size: 0.002,
    seed: 5,
};
/// Requantizing writes a second copy of the model and maps it: for a larger one that is too much for a check.
const MOST_REQUANTIZED: u64 = 2 << 30;
/// The most faithful of the usual types.
const FAITHFUL: &str = "Q8_0";

/// Measures the base against itself requantized and against a random adapter of tiny norm, on the first `n` items of
/// each probe that compares token by token.
///
/// # Errors
/// The engine's; [`crate::Error::Io`] where no temporary file can be written.
pub fn noise_floor(
    model: &Model,
    tracks: &[Box<dyn Track>],
    n: usize,
    scorer: &ScorerOptions,
    cancel: &CancelToken,
) -> Result<Vec<NoiseFloor>> {
    let folder = tempfile::tempdir()?;
    let mut floors = Vec::new();
    let mut against = |name: &str, mut null: Scorer| -> Result<()> {
        for track in tracks {
            floors.extend(track.noise_floor(n, name, &mut null, cancel)?);
        }
        Ok(())
    };
    if let Some(copy) = requantized(model, &folder, scorer, cancel)? {
        let null = Scorer::new(&copy, &AdapterStack::base(), scorer)?;
        against(&FAITHFUL.to_lowercase(), null)?;
    }
    let stack = random(model, folder.path())?;
    against("random adapter", Scorer::new(model, &stack, scorer)?)?;
    Ok(floors)
}

/// The base in another type; `None` where it is too large, or not to be had in that type.
fn requantized(
    model: &Model,
    folder: &TempDir,
    scorer: &ScorerOptions,
    cancel: &CancelToken,
) -> Result<Option<Model>> {
    if model.size() > MOST_REQUANTIZED {
        return Ok(None);
    }
    let path = folder.path().join("requantized.gguf");
    let request = QuantizeRequest {
        file_type: FAITHFUL,
        pure: false,
        allow_requantize: true,
        importance: None,
    };
    let options = RewriteOptions {
        n_threads: scorer.n_threads.unwrap_or(0) as usize,
        cancel,
        progress: None,
    };
    match quantize_file(model.path(), &path, &request, options) {
        Ok(_) => Model::open(&path, ModelOptions::default()).map(Some),
        Err(crate::Error::Interrupted) => Err(crate::Error::Interrupted),
        Err(error) => {
            tracing::warn!("the noise floor leaves out {FAITHFUL}: {error}");
            Ok(None)
        }
    }
}

fn random(model: &Model, folder: &Path) -> Result<AdapterStack> {
    let path = folder.join("random.gguf");
    write_random(&Gguf::open(model.path())?, NOISE, &path)?;
    let mut stack = AdapterStack::base();
    stack.push(Adapter::load(model, &path, "random")?, 1.0)?;
    Ok(stack)
}
