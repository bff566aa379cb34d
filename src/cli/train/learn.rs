//! The run: steps, looks, checkpoints, and the live line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use unforget::train::compute::Lora;
use unforget::train::{self, Anchor, Evaluation, Kept, Material, Origin, StepReport, Trainer};
use unforget::{Error, Result};

use super::args::Args;
use super::diary::Diary;
use super::look::Looks;
use crate::cli::{interrupt, output, progress};

/// Steps between two lines where nobody looks at a bar.
const SHOWN: usize = 10;

/// A finished run.
pub struct Trained {
    pub adapter: tempfile::TempPath,
    /// Steps that the adapter was trained for.
    pub steps: usize,
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
    evaluation: Option<Evaluation>,
    last: Option<StepReport>,
    computing: Duration,
}

/// The adapter that is the result.
struct Chosen {
    lora: Lora,
    steps: usize,
    scale: f32,
    evaluation: Option<Evaluation>,
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
            last: None,
            computing: Duration::ZERO,
        }
    }

    /// Trains, from an earlier version's factors if there are any, and writes the adapter.
    pub fn learn(mut self, earlier: Option<&Lora>, anchor: Option<Anchor>) -> Result<Trained> {
        let mut trainer = Trainer::new(self.material, self.origin.recipe.clone())?;
        if let Some(earlier) = earlier {
            trainer.begin_with(earlier)?;
        }
        if let Some(anchor) = anchor {
            trainer.hold_to(anchor);
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
        let (evaluation, better) =
            looks.look(trainer.lora(), trainer.steps(), self.kept.as_ref())?;
        output::note(&format!(
            "step {}: {} of {} held-back rows right, loss {:.4}",
            trainer.steps(),
            evaluation.right,
            evaluation.rows,
            evaluation.loss
        ));
        let look = json!({"step": trainer.steps(), "held_back": evaluation});
        self.diary.write(&look)?;
        self.evaluation = Some(evaluation);
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
            "version": env!("CARGO_PKG_VERSION"),
        });
        let base = self.material.transformer.base();
        train::write_gguf(&chosen.lora, base, &self.args.name, &provenance, &adapter)?;
        Ok(Trained {
            adapter,
            steps: chosen.steps,
            seconds_per_step,
            last: self.last,
            evaluation: chosen.evaluation,
            checkpoint: self.checkpoint,
            provenance,
            diary: self.diary,
        })
    }

    /// The live line; where nobody looks, a line of it now and then.
    fn show(&self, report: &StepReport) {
        let kl = report
            .kl
            .map_or(String::new(), |kl| format!(", KL to base {kl:.4}"));
        let speed = report.n_tokens as f64 / report.time.max(Duration::from_nanos(1)).as_secs_f64();
        let held = self.evaluation.map_or(String::new(), |found| {
            format!(", {} of {} held back right", found.right, found.rows)
        });
        let line = format!("loss {:.4}{kl}{held}, {speed:.0} tokens/s", report.loss);
        self.bar.set_position(report.step as u64);
        if self.bar.is_hidden() && (report.step == 1 || report.step.is_multiple_of(SHOWN)) {
            output::note(&format!("step {}: {line}", report.step));
        }
        self.bar.set_message(line);
    }
}
