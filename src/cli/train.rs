//! `unforget train`: an adapter out of rows of questions and answers, held to what the base knows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use unforget::engine::{ContentHash, GpuLayers, Model};
use unforget::guard::check::Tier;
use unforget::registry::{self, AdapterRecord, ModelRecord, Registry};
use unforget::train::compute::{Keep, Target, Transformer};
use unforget::train::{
    self, Estimate, Examples, Material, Origin, Recipe, Replay, ReplayRow, Row, Rows, StepReport,
    Trainer,
};
use unforget::{Error, Result};

use super::{Context, check, interrupt, output, progress, resolve};

/// Train an adapter on rows of questions and answers, without forgetting what the base knows
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget train tickets.jsonl --name triage            learn, then check what it costs\n  \
    unforget train tickets.jsonl --name triage --resume   go on where it was stopped\n  \
    unforget train chats.jsonl --name tone --rank 16 --epochs 3 --peft ./tone-peft\n\n\
    Rows are {\"prompt\": .., \"target\": ..} or {\"messages\": [{\"role\": .., \"content\": ..}, ..]}, one a line; what the\n\
    assistant says is learnt. A tenth of the rows is held back for the check.\n\
    Exit codes: those of `unforget check` for the new adapter; 0 with --check none.")]
pub struct Args {
    /// Rows to learn from, JSON Lines
    #[arg(value_name = "FILE")]
    data: PathBuf,

    /// Name of the new adapter
    #[arg(short, long)]
    name: String,

    /// Base model, installed [default: the catalog's default]
    #[arg(
        short,
        long,
        visible_alias = "model",
        env = "UNFORGET_MODEL",
        value_name = "NAME"
    )]
    base: Option<String>,

    #[command(flatten)]
    recipe: RecipeArgs,

    /// Go on from the last checkpoint of a run with the same rows and settings
    #[arg(long)]
    resume: bool,

    /// Steps between two checkpoints
    #[arg(long, default_value_t = 50, value_name = "N")]
    checkpoint_every: usize,

    /// Write a folder that PEFT loads, too
    #[arg(long, value_name = "DIR")]
    peft: Option<PathBuf>,

    /// How thoroughly the new adapter is checked: smoke, gate, certify, or none
    #[arg(long, default_value = "gate", value_name = "TIER")]
    check: String,

    /// Memory that training may take, in MB; what is kept of a forward pass is chosen to fit
    #[arg(long, env = "UNFORGET_MEMORY_LIMIT", value_name = "MB")]
    memory_limit: Option<u64>,

    /// Threads [default: one a core]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    threads: Option<usize>,
}

/// The settings, in PEFT's terms.
#[derive(Debug, clap::Args)]
struct RecipeArgs {
    /// Rank of the adapter
    #[arg(long, default_value_t = Recipe::default().rank, value_name = "N")]
    rank: usize,

    /// The adapter counts alpha / rank [default: twice the rank]
    #[arg(long, value_name = "A")]
    alpha: Option<f32>,

    /// Linear layers to adapt [default: all]
    #[arg(long, value_delimiter = ',', value_name = "q_proj,..")]
    targets: Vec<Target>,

    /// Highest learning rate
    #[arg(long, default_value_t = Recipe::default().learning_rate, value_name = "RATE")]
    lr: f64,

    /// Steps of the optimizer
    #[arg(long, default_value_t = Recipe::default().steps, conflicts_with = "epochs", value_name = "N")]
    steps: usize,

    /// Times that every row is learnt from, instead of steps
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Rows of a part of a step
    #[arg(long, default_value_t = Recipe::default().batch, value_name = "N")]
    batch: usize,

    /// Parts of a step
    #[arg(long, default_value_t = Recipe::default().accumulation, value_name = "N")]
    grad_accum: usize,

    /// Tokens of the longest sequence
    #[arg(long, default_value_t = Recipe::default().seq_len, value_name = "N")]
    seq_len: usize,

    /// Steps in which the learning rate rises
    #[arg(long, default_value_t = Recipe::default().warmup, value_name = "N")]
    warmup: usize,

    /// What the first weights and the order of rows start from
    #[arg(long, default_value_t = Recipe::default().seed, value_name = "N")]
    seed: u64,

    /// What the divergence from the base on the replay counts
    #[arg(long, default_value_t = Recipe::default().kl, value_name = "W")]
    kl: f32,

    /// Replayed answers of the base in each part of a step; 0 trains without
    #[arg(long, default_value_t = Recipe::default().replay, value_name = "N")]
    replay: usize,
}

impl RecipeArgs {
    fn recipe(&self, n_rows: usize) -> Result<Recipe> {
        let n_step = (self.batch * self.grad_accum).max(1);
        let recipe = Recipe {
            rank: self.rank,
            alpha: self.alpha.unwrap_or(2.0 * self.rank as f32),
            targets: match self.targets.as_slice() {
                [] => Target::ALL.to_vec(),
                some => some.to_vec(),
            },
            learning_rate: self.lr,
            warmup: self.warmup,
            steps: match self.epochs {
                Some(epochs) => (epochs * n_rows).div_ceil(n_step),
                None => self.steps,
            },
            batch: self.batch,
            accumulation: self.grad_accum,
            replay: self.replay,
            kl: self.kl,
            seq_len: self.seq_len,
            seed: self.seed,
            ..Recipe::default()
        };
        recipe.check()?;
        Ok(recipe)
    }
}

/// The result, as JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    adapter: &'a str,
    sha256: ContentHash,
    path: &'a Path,
    peft: &'a Option<PathBuf>,
    steps: usize,
    seconds_per_step: f64,
    last: &'a Option<StepReport>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let tier = tier(&args.check)?;
    let registry = Registry::open(&context.home)?;
    registry::check_name("adapter name", &args.name)?;
    if registry.adapter(&args.name).is_ok() {
        return Err(Error::InvalidArgument {
            what: "adapter name",
            value: args.name,
            expected: "a free name: this one is taken".to_owned(),
        });
    }
    let rows = Rows::read(&args.data)?;
    report_duplicates(&rows);
    let base = base(args.base.as_deref(), &registry)?;
    let (learnt, held) = rows.split(args.recipe.seed);
    let trained = train(&args, context, &base, &rows, &learnt)?;
    let record = register(&args, context, &registry, &base, &trained)?;
    if let Some(folder) = &args.peft {
        train::write_peft(&record.path, &base.path, &base.name, folder)?;
    }
    finish(&args, context, &record, &trained, &held, tier)
}

fn tier(text: &str) -> Result<Option<Tier>> {
    match text {
        "none" => Ok(None),
        text => text.parse().map(Some),
    }
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

fn report_duplicates(rows: &Rows) {
    if let Some(one) = rows.duplicates.first() {
        output::warn(&format!(
            "{} of the lines say what a line before says (line {} what line {} does); they are left out",
            rows.duplicates.len(),
            one.line,
            one.first
        ));
    }
}

/// A finished run.
struct Trained {
    adapter: tempfile::TempPath,
    steps: usize,
    /// Of this process's steps.
    seconds_per_step: f64,
    last: Option<StepReport>,
    checkpoint: PathBuf,
}

fn train(
    args: &Args,
    context: &Context,
    base: &ModelRecord,
    rows: &Rows,
    learnt: &[Row],
) -> Result<Trained> {
    let recipe = args.recipe.recipe(learnt.len())?;
    let model = open(base)?;
    let examples = Examples::of(&model, learnt, recipe.seq_len)?;
    if let Some((line, n)) = examples.too_long.first() {
        output::warn(&format!(
            "{} rows are longer than --seq-len {} (the one of line {line} has {n} tokens); they are left out",
            examples.too_long.len(),
            recipe.seq_len
        ));
    }
    let transformer = train::open(&base.path, recipe.seq_len)?;
    let threads = args.threads.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    });
    train::on_threads(threads, || {
        let replay = replay(context, &model, &transformer, &recipe)?;
        drop(model);
        let held_to = replay.as_ref().map_or(&[][..], |replay| &replay.rows);
        let fitting: Vec<ReplayRow> = held_to
            .iter()
            .filter(|row| row.tokens.len() <= recipe.seq_len)
            .cloned()
            .collect();
        let material = Material {
            transformer: &transformer,
            examples: &examples.examples,
            replay: &fitting,
            keep: keep(args, &transformer, &examples, &fitting, &recipe)?,
        };
        let origin = Origin {
            base_sha256: base.sha256,
            data_sha256: rows.sha256,
            replay_sha256: replay.as_ref().map(|replay| replay.sha256),
            recipe: recipe.clone(),
        };
        learn(args, context, material, &origin)
    })?
}

fn open(base: &ModelRecord) -> Result<Model> {
    let located = resolve::Located {
        path: base.path.clone(),
        name: Some(base.name.clone()),
        sha256: base.sha256,
    };
    located.open(GpuLayers::default())
}

/// What the base answers, unless training goes without.
fn replay(
    context: &Context,
    model: &Model,
    transformer: &Transformer,
    recipe: &Recipe,
) -> Result<Option<Replay>> {
    if recipe.replay == 0 || recipe.kl == 0.0 {
        output::warn("training without replay: nothing holds the adapter to what the base knows");
        return Ok(None);
    }
    let folder = context.home.cache().join("replay");
    let bar = progress::items(0);
    bar.set_message("replay");
    let replay = Replay::of(
        model,
        transformer,
        &folder,
        &interrupt::token(),
        |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        },
    );
    bar.finish_and_clear();
    replay.map(Some)
}

/// Everything is kept of a forward pass where that fits, else only what goes into each layer.
fn keep(
    args: &Args,
    transformer: &Transformer,
    examples: &Examples,
    replay: &[ReplayRow],
    recipe: &Recipe,
) -> Result<Keep> {
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let n_tokens = recipe.batch * longest(&mut examples.examples.iter().map(|e| e.tokens.len()))
        + recipe.replay * longest(&mut replay.iter().map(|row| row.tokens.len()));
    let estimate = |keep| {
        let base = transformer.base();
        let adapter = (recipe.rank, base.n_parameters(recipe.rank, &recipe.targets));
        Estimate::of(base.shape(), base.bytes(), adapter, n_tokens, keep)
    };
    let Some(limit) = args.memory_limit else {
        return Ok(Keep::All);
    };
    let fits = |keep| estimate(keep).total() <= limit * 1_000_000;
    match [Keep::All, Keep::Inputs]
        .into_iter()
        .find(|&keep| fits(keep))
    {
        Some(keep) => Ok(keep),
        None => {
            let needed = estimate(Keep::Inputs);
            Err(Error::InvalidArgument {
                what: "memory limit",
                value: format!("{limit} MB"),
                expected: format!(
                    "at least {} MB: {} MB for the weights, {} MB for the adapter, {} MB for parts of {n_tokens} tokens and {} MB for logits; a smaller --batch with more --grad-accum takes less",
                    needed.total().div_ceil(1_000_000),
                    needed.weights / 1_000_000,
                    needed.adapter / 1_000_000,
                    needed.activations / 1_000_000,
                    needed.logits / 1_000_000,
                ),
            })
        }
    }
}

fn learn(args: &Args, context: &Context, material: Material, origin: &Origin) -> Result<Trained> {
    let folder = context.home.cache().join("training");
    context.home.create(&folder)?;
    let checkpoint = folder.join(format!("{}.safetensors", args.name));
    let mut trainer = Trainer::new(material, origin.recipe.clone())?;
    if args.resume {
        trainer.resume(&checkpoint, origin)?;
    }
    let bar = progress::items(origin.recipe.steps as u64);
    let first = trainer.steps();
    let start = Instant::now();
    let mut last = None;
    while !trainer.is_done() {
        if interrupt::token().is_cancelled() {
            trainer.save(&checkpoint, origin)?;
            bar.finish_and_clear();
            output::note("stopped; the same command with --resume goes on from here");
            return Err(Error::Interrupted);
        }
        let report = trainer.step()?;
        show(&bar, &report);
        if trainer.steps().is_multiple_of(args.checkpoint_every.max(1)) {
            trainer.save(&checkpoint, origin)?;
        }
        last = Some(report);
    }
    bar.finish_and_clear();
    trainer.save(&checkpoint, origin)?;
    let adapter = tempfile::Builder::new()
        .suffix(".gguf")
        .tempfile_in(&folder)?
        .into_temp_path();
    let provenance = json!({
        "origin": origin,
        "rows": material.examples.len(),
        "steps": trainer.steps(),
        "loss": last.as_ref().map(|report: &StepReport| report.loss),
        "kl": last.as_ref().and_then(|report: &StepReport| report.kl),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let base = material.transformer.base();
    train::write_gguf(trainer.lora(), base, &args.name, &provenance, &adapter)?;
    let n = (trainer.steps() - first).max(1);
    Ok(Trained {
        adapter,
        steps: trainer.steps(),
        seconds_per_step: start.elapsed().as_secs_f64() / n as f64,
        last,
        checkpoint,
    })
}

/// The live line; where nobody looks, a line of it now and then.
fn show(bar: &ProgressBar, report: &StepReport) {
    let kl = report
        .kl
        .map_or(String::new(), |kl| format!(", KL {kl:.4}"));
    let speed = report.n_tokens as f64 / report.time.max(Duration::from_nanos(1)).as_secs_f64();
    let line = format!("loss {:.4}{kl}, {speed:.0} tokens/s", report.loss);
    bar.set_position(report.step as u64);
    if bar.is_hidden() && (report.step == 1 || report.step.is_multiple_of(20)) {
        output::note(&format!("step {}: {line}", report.step));
    }
    bar.set_message(line);
}

fn register(
    args: &Args,
    context: &Context,
    registry: &Registry,
    base: &ModelRecord,
    trained: &Trained,
) -> Result<AdapterRecord> {
    let home = &context.home;
    registry::import_adapter(registry, home, &trained.adapter, base, &args.name)
}

/// Says what came of it, and has it checked.
fn finish(
    args: &Args,
    context: &Context,
    record: &AdapterRecord,
    trained: &Trained,
    held: &[Row],
    tier: Option<Tier>,
) -> Result<ExitCode> {
    // The run is whole and registered: nothing will go on from there.
    let _ = fs_err::remove_file(&trained.checkpoint);
    output::note(&format!(
        "trained {} in {} steps, {:.2} s a step; use it with: unforget run --adapter {} \"..\"",
        args.name, trained.steps, trained.seconds_per_step, args.name
    ));
    let Some(tier) = tier else {
        let json = Json {
            adapter: &args.name,
            sha256: record.sha256,
            path: &record.path,
            peft: &args.peft,
            steps: trained.steps,
            seconds_per_step: trained.seconds_per_step,
            last: &trained.last,
        };
        context.output.result(&json, |_| Ok(()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let domain = domain(context, held)?;
    check::run(
        check::Args::of_trained(&args.name, tier, domain.as_deref(), &args.data),
        context,
    )
}

/// The rows held back as the task of a check.
fn domain(context: &Context, held: &[Row]) -> Result<Option<tempfile::TempPath>> {
    let lines: Vec<String> = held
        .iter()
        .filter_map(|row| {
            let (prompt, target) = row.pair()?;
            let line =
                json!({"id": format!("line/{}", row.line), "prompt": prompt, "target": target});
            Some(format!("{line}\n"))
        })
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let file = tempfile::Builder::new()
        .prefix("held-back.")
        .suffix(".jsonl")
        .tempfile_in(context.home.cache().join("training"))?
        .into_temp_path();
    fs_err::write(&file, lines.concat())?;
    Ok(Some(file))
}
