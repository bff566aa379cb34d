//! Looks at an adapter while it is trained: does it answer what was held back, and is it within the budget?

use std::path::{Path, PathBuf};

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
    pub fn look(
        &self,
        lora: &Lora,
        steps: usize,
        kept: Option<&Kept>,
    ) -> Result<(Evaluation, Option<Kept>)> {
        let evaluation = Evaluation::of(self.transformer, Some(lora), self.held)?;
        let is_better = kept.is_none_or(|kept| evaluation.is_better_than(&kept.found.evaluation));
        if !is_better || !self.is_within_budget(lora)? {
            return Ok((evaluation, None));
        }
        let found = Found {
            steps,
            evaluation,
            is_enough: evaluation.share() >= self.enough,
        };
        let values = lora.values.clone();
        Ok((evaluation, Some(Kept { found, values })))
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
            if self.is_within_budget(&scaled)? {
                return Ok(Some((scale, evaluation)));
            }
        }
        Ok(None)
    }

    /// Whether the guard's smoke tier finds nothing lost.
    fn is_within_budget(&self, lora: &Lora) -> Result<bool> {
        let provenance = serde_json::Value::Null;
        train::write_gguf(
            lora,
            self.transformer.base(),
            "draft",
            &provenance,
            &self.draft,
        )?;
        let outcome = self.smoke();
        let _ = fs_err::remove_file(&self.draft);
        let outcome = outcome?;
        output::note(&format!(
            "first look of the guard: {}, {}",
            outcome.0, outcome.1
        ));
        Ok(outcome.0 == Verdict::Pass)
    }

    fn smoke(&self) -> Result<(Verdict, String)> {
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
            Ok(checked) => Ok((checked.outcome.verdict, checked.outcome.reason)),
            // An adapter that makes numbers of no use is outside of every budget.
            Err(Error::NonFinite { .. }) => {
                Ok((Verdict::Fail, "logits that are no numbers".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}
