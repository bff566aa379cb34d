//! The run: steps, looks, checkpoints, and the live line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use unforget::train::compute::Lora;
use unforget::train::{
    self, Anchor, Apart, Evaluation, Hold, Kept, Material, Origin, StepReport, Trainer,
};
use unforget::{Error, Result};

use super::args::Args;
use super::diary::Diary;
use super::look::{Guard, Look, Looks};
use crate::cli::{interrupt, output, progress};

/// Steps between two lines where nobody looks at a bar.
const SHOWN: usize = 10;

/// A finished run.
pub struct Trained {
    pub adapter: tempfile::TempPath,
    /// Steps that the adapter was trained for.
    pub steps: usize,
    /// How much of what was learnt it has: less than 1 where only that is within the budget.
    pub scale: f32,
    /// Whether it was looked at, and is outside of the budget at every scale.
    pub is_outside: bool,
    /// Of this process's steps, without looks.
    pub seconds_per_step: f64,
    pub last: Option<StepReport>,
    pub evaluation: Option<Evaluation>,
    pub checkpoint: PathBuf,
    pub provenance: Value,
    pub diary: Diary,
}

/// A run under way.
pub struct Run<'a> {
    args: &'a Args,
    folder: &'a Path,
    material: Material<'a>,
    origin: &'a Origin,
    looks: Option<Looks<'a>>,
    checkpoint: PathBuf,
    diary: Diary,
    bar: ProgressBar,
    kept: Option<Kept>,
    /// Of the last looks.
    evaluation: Option<Evaluation>,
    guard: Option<Guard>,
    last: Option<StepReport>,
    computing: Duration,
}

/// Other adapters that a run has to do with.
pub struct Beginning<'a> {
    /// The version whose factors it begins with.
    pub earlier: Option<&'a Lora>,
    /// What holds its parameters.
    pub anchor: Option<Anchor>,
    /// Those that it is kept apart from.
    pub apart: Option<Apart>,
}

/// The adapter that is the result.
struct Chosen {
    lora: Lora,
    steps: usize,
    scale: f32,
    evaluation: Option<Evaluation>,
    /// Whether it was looked at, and is outside of the budget at every scale.
    is_outside: bool,
}

impl<'a> Run<'a> {
    /// A run that keeps its checkpoint in `folder`.
    pub fn new(
        args: &'a Args,
        folder: &'a Path,
        material: Material<'a>,
        origin: &'a Origin,
        looks: Option<Looks<'a>>,
    ) -> Self {
        Self {
            args,
            folder,
            material,
            origin,
            looks,
            checkpoint: folder.join(format!("{}.safetensors", args.name)),
            diary: Diary::new(folder.join(format!("{}.steps.jsonl", args.name))),
            bar: progress::items(origin.recipe.steps as u64),
            kept: None,
            evaluation: None,
            guard: None,
            last: None,
            computing: Duration::ZERO,
        }
    }

    /// Trains, and writes the adapter.
    pub fn learn(mut self, beginning: Beginning) -> Result<Trained> {
        let mut trainer = Trainer::new(self.material, self.origin.recipe.clone())?;
        if let Some(earlier) = beginning.earlier {
            trainer.begin_with(earlier)?;
        }
        if let Some(anchor) = beginning.anchor {
            trainer.hold_to(anchor);
        }
        if let Some(apart) = beginning.apart {
            trainer.keep_apart(apart);
        }
        if self.args.resume {
            self.kept = trainer.resume(&self.checkpoint, self.origin)?;
        }
        let first = trainer.steps();
        self.diary.begin(first)?;
        let result = self.steps(&mut trainer);
        self.bar.finish_and_clear();
        result?;
        let chosen = self.choose(&trainer)?;
        let n = (trainer.steps() - first).max(1);
        let seconds_per_step = self.computing.as_secs_f64() / n as f64;
        self.write(&chosen, seconds_per_step)
    }

    fn steps(&mut self, trainer: &mut Trainer) -> Result<()> {
        while !trainer.is_done() && !self.kept.as_ref().is_some_and(|kept| kept.found.is_enough) {
            if interrupt::token().is_cancelled() {
                return Err(self.interrupted(trainer));
            }
            let start = Instant::now();
            let report = trainer.step()?;
            self.computing += start.elapsed();
            self.show(&report);
            self.diary.write(&report)?;
            self.last = Some(report);
            let every = |n: usize| n > 0 && trainer.steps().is_multiple_of(n);
            let looked =
                (every(self.args.look_every) || trainer.is_done()) && self.look(trainer)?;
            if looked || every(self.args.checkpoint_every) || trainer.is_done() {
                trainer.save(&self.checkpoint, self.origin, self.kept.as_ref())?;
            }
        }
        Ok(())
    }

    fn interrupted(&self, trainer: &Trainer) -> Error {
        match trainer.save(&self.checkpoint, self.origin, self.kept.as_ref()) {
            Ok(()) => {
                self.bar.finish_and_clear();
                output::note("stopped; the same command with --resume goes on from here");
                Error::Interrupted
            }
            Err(error) => error,
        }
    }

    /// Whether there was anything to look at.
    fn look(&mut self, trainer: &Trainer) -> Result<bool> {
        let Some(looks) = self.looks.as_ref().filter(|_| self.args.look_every > 0) else {
            return Ok(false);
        };
        let (lora, kept) = (trainer.lora(), self.kept.as_ref());
        let Look {
            evaluation,
            guard,
            better,
        } = looks.look(lora, trainer.steps(), kept)?;
        output::note(&format!(
            "step {}: {} of {} held-back rows right, loss {:.4}",
            trainer.steps(),
            evaluation.right,
            evaluation.rows,
            evaluation.loss
        ));
        let look = json!({"step": trainer.steps(), "held_back": evaluation, "guard": guard});
        self.diary.write(&look)?;
        self.evaluation = Some(evaluation);
        self.guard = guard.or(self.guard);
        self.kept = better.or(self.kept.take());
        Ok(true)
    }

    /// The best that is within the budget; else the last one at a lower scale, if that is; else the last one as it is,
    /// for the check to judge.
    fn choose(&self, trainer: &Trainer) -> Result<Chosen> {
        let mut lora = trainer.lora().clone();
        if let Some(Kept { found, values }) = &self.kept {
            lora.values.clone_from(values);
            return Ok(Chosen {
                lora,
                steps: found.steps,
                scale: 1.0,
                evaluation: Some(found.evaluation),
                is_outside: false,
            });
        }
        let looks = self.looks.as_ref().filter(|_| self.args.look_every > 0);
        let lower = match looks {
            Some(looks) => looks.lower(&lora)?,
            None => None,
        };
        let scale = lower.map_or(1.0, |(scale, _)| scale);
        if lower.is_some() {
            output::warn(&format!(
                "only at {scale} of its strength is it within the budget: that is what is kept"
            ));
        } else if looks.is_some() {
            output::warn("no look found it within the budget, at no strength");
        }
        Ok(Chosen {
            lora: lora.scaled(scale),
            steps: trainer.steps(),
            scale,
            evaluation: lower.map(|(_, evaluation)| evaluation).or(self.evaluation),
            is_outside: looks.is_some() && lower.is_none(),
        })
    }

    fn write(self, chosen: &Chosen, seconds_per_step: f64) -> Result<Trained> {
        let adapter = tempfile::Builder::new()
            .suffix(".gguf")
            .tempfile_in(self.folder)?
            .into_temp_path();
        let provenance = json!({
            "origin": self.origin,
            "rows": self.material.examples.len(),
            "steps": chosen.steps,
            "scale": chosen.scale,
            "held_back": chosen.evaluation,
            "replay": self.texts(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": option_env!("UNFORGET_COMMIT"),
        });
        let base = self.material.transformer.base();
        train::write_gguf(&chosen.lora, base, &self.args.name, &provenance, &adapter)?;
        Ok(Trained {
            adapter,
            steps: chosen.steps,
            scale: chosen.scale,
            is_outside: chosen.is_outside,
            seconds_per_step,
            last: self.last,
            evaluation: chosen.evaluation,
            checkpoint: self.checkpoint,
            provenance,
            diary: self.diary,
        })
    }

    /// How many texts of each kind the adapter was held to.
    fn texts(&self) -> Value {
        let mut counts = serde_json::Map::new();
        for row in self.material.replay {
            let kind = serde_json::to_value(row.kind).ok();
            if let Some(Value::String(kind)) = kind {
                let n = counts.get(&kind).and_then(Value::as_u64).unwrap_or(0);
                counts.insert(kind, json!(n + 1));
            }
        }
        Value::Object(counts)
    }

    /// The live line; where nobody looks, a line of it now and then.
    fn show(&self, report: &StepReport) {
        let label = match self.origin.recipe.hold {
            Hold::Divergence => "KL to base",
            Hold::Tokens => "loss on the replay",
        };
        // Rounding leaves a divergence a hair below 0 where nothing has been learnt yet.
        let kl = report.kl.map(|kl| kl.max(0.0));
        let kl = kl.map_or(String::new(), |kl| format!(", {label} {kl:.4}"));
        let speed = report.n_tokens as f64 / report.time.max(Duration::from_nanos(1)).as_secs_f64();
        let held = self.evaluation.map_or(String::new(), |found| {
            format!(", {} of {} held back right", found.right, found.rows)
        });
        let kept = self.guard.and_then(|guard| guard.retention);
        let kept = kept.map_or(String::new(), |kept| {
            format!(", retention {:.1} %", 100.0 * kept)
        });
        let line = format!(
            "loss {:.4}{kl}{held}{kept}, {speed:.0} tokens/s",
            report.loss
        );
        self.bar.set_position(report.step as u64);
        if self.bar.is_hidden() && (report.step == 1 || report.step.is_multiple_of(SHOWN)) {
            // The bar says it by itself.
            let left = (self.origin.recipe.steps - report.step) as f64 * report.time.as_secs_f64();
            output::note(&format!(
                "step {} of {}: {line}, {left:.0} s left at most",
                report.step, self.origin.recipe.steps
            ));
        }
        self.bar.set_message(line);
    }
}
