//! Looks at an adapter while it is trained: does it answer what was held back, and is it within the budget?

use std::path::{Path, PathBuf};

use serde::Serialize;
use unforget::engine::{Adapter, AdapterStack, Model};
use unforget::guard::budget::Budget;
use unforget::guard::check::{self, MeasureOptions, Tier};
use unforget::guard::suite::Suite;
use unforget::guard::verdict::Verdict;
use unforget::train::compute::{Lora, Transformer};
use unforget::train::{self, Evaluation, Example, Found, Kept};
use unforget::{Error, Result};

use super::args::Args;
use crate::cli::{Context, interrupt, output};

/// Scales that are tried where an adapter is outside of the budget, the largest first.
const LOWER_SCALES: [f32; 3] = [0.75, 0.5, 0.25];

/// What was seen.
pub struct Look {
    pub evaluation: Evaluation,
    /// Absent where the adapter is no better than the one that is kept.
    pub guard: Option<Guard>,
    /// The adapter, where it is the best so far within the budget.
    pub better: Option<Kept>,
}

/// What the guard found.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Guard {
    pub verdict: Verdict,
    /// Share of places in a text where the likeliest token is still the base's; of the text where that is least.
    pub retention: Option<f64>,
    /// Mean divergence from the base in the text where it is largest, in nats a token.
    pub kl: Option<f64>,
}

/// What is looked at, and with what.
pub struct Looks<'a> {
    model: &'a Model,
    transformer: &'a Transformer,
    held: &'a [Example],
    suite: Suite,
    budget: Budget,
    options: MeasureOptions,
    enough: f64,
    draft: PathBuf,
}

impl<'a> Looks<'a> {
    /// `task` is a file with the held-back rows, which tells the guard the format that is trained; `folder` is for drafts.
    pub fn new(
        args: &Args,
        context: &Context,
        model: &'a Model,
        transformer: &'a Transformer,
        held: &'a [Example],
        (task, folder): (&Path, &Path),
    ) -> Result<Self> {
        let mut suite = Suite::builtin()?;
        suite.set_domain_file(task)?;
        let budget = match &args.budget {
            Some(path) => Budget::read(path)?,
            None => Budget::embedded()?,
        };
        let options = MeasureOptions {
            cache: Some(context.home.guard_cache()),
            n_threads: u32::try_from(args.n_threads()).ok(),
            cancel: interrupt::token(),
            ..MeasureOptions::of(Tier::Smoke)
        };
        Ok(Self {
            model,
            transformer,
            held,
            suite,
            budget,
            options,
            enough: args.enough,
            draft: folder.join(format!("{}.draft.gguf", args.name)),
        })
    }

    /// Looks at `lora`, and gives it if it is better than `kept` and within the budget.
    pub fn look(&self, lora: &Lora, steps: usize, kept: Option<&Kept>) -> Result<Look> {
        let evaluation = Evaluation::of(self.transformer, Some(lora), self.held)?;
        let is_better = kept.is_none_or(|kept| evaluation.is_better_than(&kept.found.evaluation));
        let guard = is_better.then(|| self.guard(lora)).transpose()?;
        let is_within = guard.is_some_and(|guard| guard.verdict == Verdict::Pass);
        let better = is_within.then(|| Kept {
            found: Found {
                steps,
                evaluation,
                is_enough: evaluation.share() >= self.enough,
            },
            values: lora.values.clone(),
        });
        Ok(Look {
            evaluation,
            guard,
            better,
        })
    }

    /// The largest lower scale at which `lora` is within the budget and still answers more than the base does.
    pub fn lower(&self, lora: &Lora) -> Result<Option<(f32, Evaluation)>> {
        let base = Evaluation::of(self.transformer, None, self.held)?;
        for scale in LOWER_SCALES {
            let scaled = lora.scaled(scale);
            let evaluation = Evaluation::of(self.transformer, Some(&scaled), self.held)?;
            if !evaluation.is_better_than(&base) {
                return Ok(None);
            }
            if self.guard(&scaled)?.verdict == Verdict::Pass {
                return Ok(Some((scale, evaluation)));
            }
        }
        Ok(None)
    }

    /// What the guard's smoke tier finds.
    fn guard(&self, lora: &Lora) -> Result<Guard> {
        let (base, provenance) = (self.transformer.base(), serde_json::Value::Null);
        train::write_gguf(lora, base, "draft", &provenance, &self.draft)?;
        let found = self.smoke();
        let _ = fs_err::remove_file(&self.draft);
        let (guard, reason) = found?;
        output::note(&format!(
            "first look of the guard: {}, {reason}",
            guard.verdict
        ));
        Ok(guard)
    }

    fn smoke(&self) -> Result<(Guard, String)> {
        let mut stack = AdapterStack::base();
        stack.push(Adapter::load(self.model, &self.draft, "draft")?, 1.0)?;
        let checked = check::check(
            self.model,
            &stack,
            &self.suite,
            &self.budget,
            &self.options,
            |_| {},
        );
        match checked {
            Ok(check::Checked { outcome, .. }) => {
                let kept = outcome.text.iter().map(|text| text.top1_agreement);
                let guard = Guard {
                    verdict: outcome.verdict,
                    retention: kept.reduce(f64::min),
                    kl: outcome.kl.map(|kl| kl.mean),
                };
                Ok((guard, outcome.reason))
            }
            // An adapter that makes numbers of no use is outside of every budget.
            Err(Error::NonFinite { .. }) => {
                let guard = Guard {
                    verdict: Verdict::Fail,
                    retention: None,
                    kl: None,
                };
                Ok((guard, "logits that are no numbers".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}
