//! Going on from an earlier version of an adapter: its factors to begin with, and what it answers to its own rows to hold
//! on to.

use std::collections::BTreeSet;
use std::path::Path;

use unforget_quant::gguf::Gguf;

use super::compute::{Base, Lora, Target, Transformer};
use super::example::Example;
use super::replay::{Kind, ReplayRow, add_distributions};
use crate::engine::CancelToken;
use crate::{Error, Result};

/// An adapter that was trained before.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Its factors.
    pub lora: Lora,
    /// What it adapts.
    pub targets: Vec<Target>,
}

impl Earlier {
    /// Reads a GGUF LoRA for `base`.
    ///
    /// # Errors
    /// [`Error::Format`] for a file that is no adapter of `base`, or one that training could not have made: with pairs of
    /// several ranks, or the same linear layer adapted in some of the layers only.
    pub fn read(path: &Path, base: &Base) -> Result<Self> {
        let gguf = Gguf::open(path)?;
        let invalid = |reason: String| {
            Error::Format(unforget_quant::Error::Invalid {
                path: path.to_owned(),
                reason,
            })
        };
        let shape = base.shape();
        let mut targets = Vec::new();
        let mut ranks = BTreeSet::new();
        let mut n_known = 0;
        for target in Target::ALL {
            let factors = (0..shape.n_layers)
                .filter_map(|layer| gguf.tensor(&format!("{}.lora_a", target.weight(layer))));
            let before = n_known;
            for a in factors {
                ranks.insert(a.shape.get(1).copied().unwrap_or(0));
                n_known += 1;
            }
            match n_known - before {
                0 => {}
                n if n == shape.n_layers => targets.push(target),
                n => {
                    let name = target.peft_name();
                    let all = shape.n_layers;
                    return Err(invalid(format!(
                        "it adapts {name} in {n} of {all} layers; training adapts all or none"
                    )));
                }
            }
        }
        if 2 * n_known != gguf.tensors().len() || ranks.len() != 1 {
            return Err(invalid(
                "it is not what training makes: factors of one rank for linear layers".to_owned(),
            ));
        }
        let rank = ranks.first().and_then(|&rank| usize::try_from(rank).ok());
        let alpha = gguf.metadata().f32("adapter.lora.alpha").unwrap_or(0.0);
        let rank = rank.filter(|&rank| rank > 0 && alpha > 0.0);
        let rank = rank.ok_or_else(|| invalid("it has no rank or no alpha".to_owned()))?;
        let mut lora = Lora::new(base, rank, alpha, &targets, 0);
        for layer in 0..shape.n_layers {
            for &target in &targets {
                let read = |half: &str| -> Result<Vec<f32>> {
                    let name = format!("{}.{half}", target.weight(layer));
                    let tensor = gguf.tensor(&name);
                    let tensor = tensor.ok_or_else(|| invalid(format!("it has no {name}")))?;
                    Ok(gguf.tensor_values(tensor)?)
                };
                let (a, b) = (read("lora_a")?, read("lora_b")?);
                if !lora.set_factors(layer, target, &a, &b) {
                    let weight = target.weight(layer);
                    return Err(invalid(format!(
                        "its factors for {weight} do not fit the base"
                    )));
                }
            }
        }
        if let Some(value) = lora.values.iter().find(|value| !value.is_finite()) {
            return Err(invalid(format!("it holds {value}")));
        }
        Ok(Self { lora, targets })
    }

    /// What this version holds likely in the answers of its own rows, to be replayed while the next one is trained.
    ///
    /// # Errors
    /// As [`Transformer::forward`]; [`Error::Interrupted`].
    pub fn replay(
        &self,
        transformer: &Transformer,
        examples: &[Example],
        cancel: &CancelToken,
    ) -> Result<Vec<ReplayRow>> {
        held_likely(transformer, Some(&self.lora), examples, cancel)
    }
}

/// What the base, or an adapter on it, holds likely in the last answer of each example.
///
/// # Errors
/// As [`Transformer::forward`]; [`Error::Interrupted`].
pub fn held_likely(
    transformer: &Transformer,
    lora: Option<&Lora>,
    examples: &[Example],
    cancel: &CancelToken,
) -> Result<Vec<ReplayRow>> {
    let mut rows: Vec<ReplayRow> = examples.iter().map(last_answer).collect();
    add_distributions(transformer, lora, &mut rows, cancel, |_| {})?;
    Ok(rows)
}

/// The last answer of a row: its end is the row's.
fn last_answer(example: &Example) -> ReplayRow {
    let learnt = &example.learnt;
    let apart = learnt.windows(2).rposition(|pair| pair[0] + 1 != pair[1]);
    let first = learnt.get(apart.map_or(0, |at| at + 1));
    ReplayRow {
        kind: Kind::Earlier,
        prompt: String::new(),
        answer: String::new(),
        tokens: example.tokens.clone(),
        // One that learns nothing is held to nothing.
        first: first.copied().unwrap_or(example.tokens.len()),
        likely: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_answer_is_replayed() {
        let example = |learnt: &[usize]| Example {
            line: 1,
            tokens: vec![0; 9],
            learnt: learnt.to_vec(),
        };
        let first = |learnt: &[usize]| last_answer(&example(learnt)).first;
        assert_eq!(first(&[2, 3, 6, 7, 8]), 6);
        assert_eq!(first(&[6, 7, 8]), 6);
        assert_eq!(first(&[]), 9);
    }
}
