//! `unforget train`: an adapter out of rows of questions and answers, held to what the base knows.

mod args;
mod data;
mod diary;
mod fit;
mod learn;
mod look;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};
use unforget::engine::{ContentHash, GpuLayers, Model, memory_use};
use unforget::guard::check::Tier;
use unforget::registry::{self, AdapterRecord, ModelRecord, Registry};
use unforget::train::compute::{Keep, Transformer};
use unforget::train::{
    self, Anchor, Earlier, Evaluation, Example, Examples, Material, Origin, Recipe, Replay,
    ReplayRow, Row, Rows, StepReport,
};
use unforget::{Error, Result};

use super::{Context, check, interrupt, output, progress, resolve};
pub use args::Args;
use data::Data;
use fit::Limit;
use learn::{Run, Trained};
use look::Looks;

/// The result, as JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    adapter: &'a str,
    sha256: ContentHash,
    path: &'a Path,
    peft: &'a Path,
    steps: usize,
    seconds_per_step: f64,
    peak_rss_bytes: u64,
    held_back: &'a Option<Evaluation>,
    last: &'a Option<StepReport>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let tier = match args.check.as_str() {
        "none" => None,
        text => Some(text.parse()?),
    };
    let registry = Registry::open(&context.home)?;
    registry::check_name("adapter name", &args.name)?;
    if registry.adapter(&args.name).is_ok() {
        return Err(Error::InvalidArgument {
            what: "adapter name",
            value: args.name,
            expected: "a free name: this one is taken".to_owned(),
        });
    }
    // Settings that nothing can be trained by are refused before anything is read.
    args.recipe.recipe(1, None)?;
    let data = Data::read(&args)?;
    let base = base(args.base.as_deref(), &registry)?;
    let continued = match &args.continued {
        Some(name) => Some(continued(name, &base, &registry)?),
        None => None,
    };
    let folder = context.home.cache().join("training");
    context.home.create(&folder)?;
    let task = data.task(&folder)?;
    let job = Job {
        args: &args,
        context,
        base: &base,
        continued: continued.as_ref(),
        data: &data,
        task: task.as_deref(),
        folder: &folder,
    };
    let trained = job.train()?;
    let home = &context.home;
    let record = registry::import_adapter(&registry, home, &trained.adapter, &base, &args.name)?;
    let peft = args.peft_folder();
    train::write_peft(&record.path, &base.path, &base.name, &peft)?;
    // The run is whole and registered: nothing will go on from there.
    let _ = fs_err::remove_file(&trained.checkpoint);
    let code = job.finish(&record, &trained, &peft, tier)?;
    write_provenance(&registry, &record, &trained, &peft)?;
    if let Some(path) = &args.log {
        fs_err::copy(&trained.diary.path, path)?;
    }
    let _ = fs_err::remove_file(&trained.diary.path);
    Ok(code)
}

fn base(name: Option<&str>, registry: &Registry) -> Result<ModelRecord> {
    let located = resolve::locate(name, registry)?;
    let models = registry.models()?;
    let installed = models
        .into_iter()
        .find(|model| model.sha256 == located.sha256);
    installed.ok_or_else(|| Error::InvalidArgument {
        what: "base",
        value: located.path.display().to_string(),
        expected: "an installed model; install the file with `unforget pull`".to_owned(),
    })
}

fn continued(name: &str, base: &ModelRecord, registry: &Registry) -> Result<AdapterRecord> {
    let record = registry.adapter(name)?;
    if record.base_sha256 != base.sha256 {
        return Err(Error::InvalidArgument {
            what: "adapter to continue",
            value: name.to_owned(),
            expected: format!("one of the base {}", base.name),
        });
    }
    Ok(record)
}

/// What is to be done, and where.
struct Job<'a> {
    args: &'a Args,
    context: &'a Context,
    base: &'a ModelRecord,
    /// The version that is continued.
    continued: Option<&'a AdapterRecord>,
    data: &'a Data,
    /// The held-back rows, for the guard.
    task: Option<&'a Path>,
    folder: &'a Path,
}

impl Job<'_> {
    fn train(&self) -> Result<Trained> {
        let limit = Limit::of(self.args.memory_limit);
        limit.check_weights(train::float_bytes(&self.base.path)?)?;
        let model = self.open()?;
        // The longest sequence is all that the base is opened for.
        let transformer = train::open(&self.base.path, self.args.recipe.seq_len)?;
        let earlier = self.earlier(&transformer)?;
        let recipe = self
            .args
            .recipe
            .recipe(self.data.learnt.len(), earlier.as_ref())?;
        let recipe = Recipe {
            seq_len: recipe.seq_len.min(transformer.max_len()),
            ..recipe
        };
        let learnt = self.examples(&model, &self.data.learnt, &recipe)?;
        let held = match self.data.held.as_slice() {
            [] => Vec::new(),
            // Those that are too long are as little use here.
            held => Examples::of(&model, held, recipe.seq_len)?.examples,
        };
        train::on_threads(self.args.n_threads(), || {
            let replay = self.replay(&model, &transformer, &recipe)?;
            let mut held_to = fitting(replay.as_ref(), recipe.seq_len);
            let cancel = interrupt::token();
            let mut anchor = None;
            if let Some(earlier) = &earlier {
                let rows = self.earlier_rows(&model, &recipe, held_to.len())?;
                if !held_to.is_empty() {
                    held_to.extend(earlier.replay(&transformer, &rows, &cancel)?);
                }
                if recipe.ewc > 0.0 {
                    let lora = &earlier.lora;
                    anchor = Some(Anchor::of(&transformer, lora, &rows, recipe.ewc, &cancel)?);
                }
            }
            let beside = match recipe.mask_target > 0.0 {
                true => train::held_likely(&transformer, None, &learnt, &cancel)?,
                false => Vec::new(),
            };
            let material = Material {
                transformer: &transformer,
                examples: &learnt,
                replay: &held_to,
                beside: &beside,
                keep: Keep::All,
            };
            let material = Material {
                keep: limit.keep(&material, &recipe)?,
                ..material
            };
            let origin = Origin {
                base_sha256: self.base.sha256,
                data_sha256: self.data.rows.sha256,
                replay_sha256: replay.as_ref().map(|replay| replay.sha256),
                continued_sha256: self.continued.as_ref().map(|record| record.sha256),
                recipe,
            };
            let looks = self.looks(&model, &transformer, &held)?;
            let begin = earlier.as_ref().map(|earlier| &earlier.lora);
            Run::new(self.args, self.folder, material, &origin, looks).learn(begin, anchor)
        })?
    }

    fn open(&self) -> Result<Model> {
        let located = resolve::Located {
            path: self.base.path.clone(),
            name: Some(self.base.name.clone()),
            sha256: self.base.sha256,
        };
        located.open(GpuLayers::default())
    }

    fn examples(&self, model: &Model, rows: &[Row], recipe: &Recipe) -> Result<Vec<Example>> {
        let found = Examples::of(model, rows, recipe.seq_len)?;
        if let Some((line, n)) = found.too_long.first() {
            output::warn(&format!(
                "{} rows are longer than --seq-len {} (the one of line {line} has {n} tokens); they are left out",
                found.too_long.len(),
                recipe.seq_len
            ));
        }
        Ok(found.examples)
    }

    /// The version that is continued.
    fn earlier(&self, transformer: &Transformer) -> Result<Option<Earlier>> {
        let read = |record: &AdapterRecord| Earlier::read(&record.path, transformer.base());
        self.continued.map(read).transpose()
    }

    /// Rows that it was trained on: as many as the base's answers, so that neither is drowned by the other; a hundred
    /// where there are none.
    fn earlier_rows(&self, model: &Model, recipe: &Recipe, n: usize) -> Result<Vec<Example>> {
        let mut rows = Vec::new();
        for path in &self.args.earlier {
            rows.extend(Rows::read(path)?.rows);
        }
        let every = rows.len().div_ceil(if n == 0 { 100 } else { n }).max(1);
        let some: Vec<Row> = rows.into_iter().step_by(every).collect();
        self.examples(model, &some, recipe)
    }

    /// What the base answers, unless training goes without.
    fn replay(
        &self,
        model: &Model,
        transformer: &Transformer,
        recipe: &Recipe,
    ) -> Result<Option<Replay>> {
        if recipe.replay == 0 || recipe.kl == 0.0 {
            output::warn(
                "training without replay: nothing holds the adapter to what the base knows",
            );
            return Ok(None);
        }
        let folder = self.context.home.cache().join("replay");
        let bar = progress::items(0);
        bar.set_message("replay");
        let cancel = interrupt::token();
        let replay = Replay::of(model, transformer, &folder, &cancel, |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        replay.map(Some)
    }

    fn looks<'a>(
        &self,
        model: &'a Model,
        transformer: &'a Transformer,
        held: &'a [Example],
    ) -> Result<Option<Looks<'a>>> {
        match self.task.filter(|_| !held.is_empty()) {
            None => Ok(None),
            Some(task) => {
                let places = (task, self.folder);
                Looks::new(self.args, self.context, model, transformer, held, places).map(Some)
            }
        }
    }

    /// Says what came of it, and has it checked.
    fn finish(
        &self,
        record: &AdapterRecord,
        trained: &Trained,
        peft: &Path,
        tier: Option<Tier>,
    ) -> Result<ExitCode> {
        let name = &self.args.name;
        let peak = memory_use().peak_rss_bytes;
        output::note(&format!(
            "trained {name} in {} steps, {:.2} s a step, {} at most; use it with: unforget run --adapter {name} \"..\"",
            trained.steps,
            trained.seconds_per_step,
            output::megabytes(peak)
        ));
        let Some(tier) = tier else {
            let json = Json {
                adapter: name,
                sha256: record.sha256,
                path: &record.path,
                peft,
                steps: trained.steps,
                seconds_per_step: trained.seconds_per_step,
                peak_rss_bytes: peak,
                held_back: &trained.evaluation,
                last: &trained.last,
            };
            self.context.output.result(&json, |_| Ok(()))?;
            return Ok(ExitCode::SUCCESS);
        };
        let check = check::Args::of_trained(
            name,
            tier,
            self.task,
            &self.args.data,
            self.args.budget.as_deref(),
        );
        check::run(check, self.context)
    }
}

/// Rows that are short enough.
fn fitting(replay: Option<&Replay>, seq_len: usize) -> Vec<ReplayRow> {
    let rows = replay.map_or(&[][..], |replay| &replay.rows);
    let short = rows.iter().filter(|row| row.tokens.len() <= seq_len);
    short.cloned().collect()
}

/// How the adapter was made and judged, beside PEFT's files: for machines, and as a page with plots.
fn write_provenance(
    registry: &Registry,
    record: &AdapterRecord,
    trained: &Trained,
    peft: &Path,
) -> Result<()> {
    let report = registry.last_report(record.sha256, record.base_sha256)?;
    let check = report.map(
        |report| json!({"certificate": report.id, "tier": report.tier, "verdict": report.verdict}),
    );
    let all = json!({"sha256": record.sha256, "training": trained.provenance, "check": check});
    fs_err::write(peft.join("unforget.json"), format!("{all:#}\n"))?;
    let mut facts = Vec::new();
    flatten("", &all, &mut facts);
    let page = trained.diary.page(&record.name, &facts)?;
    Ok(fs_err::write(peft.join("training.html"), page)?)
}

/// The leaves of a JSON object, by their paths.
fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}{}{key}", if path.is_empty() { "" } else { " " });
                flatten(&path, value, into);
            }
        }
        Value::String(text) => into.push((path.to_owned(), text.clone())),
        other => into.push((path.to_owned(), other.to_string())),
    }
}
