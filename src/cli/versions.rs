//! `unforget versions`: what an adapter's versions keep of the tasks that were trained before.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use unforget::Result;
use unforget::engine::{AdapterStack, Model};
use unforget::guard::check::{MeasureOptions, Tier};
use unforget::guard::continual::{Continual, ScoreMatrix};
use unforget::guard::suite::Suite;
use unforget::guard::versions;
use unforget::registry::Registry;

use super::resolve::{self, AdapterRequest, BaseChoice};
use super::{Context, interrupt, output, progress};

/// Score the versions of an adapter on their tasks: what learning the next one made them forget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget versions v1 v2 v3 --task tickets.jsonl --task mail.jsonl --task notes.jsonl\n\n\
    Version i was trained for task i, after the versions before it. Average accuracy, backward and forward transfer are\n\
    those of Lopez-Paz and Ranzato (2017), forgetting that of Chaudhry et al. (2018).")]
pub struct Args {
    /// The versions, in the order in which they were trained: names, or GGUF files
    #[arg(required = true, value_name = "NAME|FILE[=SCALE]")]
    versions: Vec<String>,

    /// The task of each version, in the same order: items with their right answers
    #[arg(long = "task", required = true, value_name = "FILE")]
    tasks: Vec<PathBuf>,

    /// Base model [default: the one that the first version belongs to]
    #[arg(short, long, env = "UNFORGET_MODEL", value_name = "NAME|FILE")]
    model: Option<String>,

    /// How many items of each task: those of smoke, gate or certify
    #[arg(long, env = "UNFORGET_TIER", default_value_t = Tier::Gate, value_name = "TIER")]
    tier: Tier,

    /// Measure the base again, whatever is kept of it
    #[arg(long)]
    no_cache: bool,

    /// Threads [default: one a core]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    threads: Option<u32>,
}

/// Versions of an adapter on their tasks.
#[derive(Debug, Serialize)]
pub struct Scored {
    versions: Vec<String>,
    tasks: Vec<String>,
    #[serde(flatten)]
    matrix: ScoreMatrix,
    #[serde(flatten)]
    figures: Continual,
}

pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let tasks = args
        .tasks
        .iter()
        .map(|path| {
            let mut suite = Suite::empty();
            suite.set_domain_file(path)?;
            Ok(suite)
        })
        .collect::<Result<Vec<_>>>()?;
    let registry = Registry::open(&context.home)?;
    let requests = args
        .versions
        .iter()
        .map(|text| AdapterRequest::parse(text))
        .collect::<Result<Vec<_>>>()?;
    let base = BaseChoice {
        name: args.model.as_deref(),
        tuned: false,
    };
    let target = resolve::open_to_check(base, requests, None, &registry)?;
    let stacks = target
        .stack
        .iter()
        .map(|(adapter, scale)| {
            let mut stack = AdapterStack::base();
            stack.push(adapter.clone(), scale)?;
            Ok(stack)
        })
        .collect::<Result<Vec<_>>>()?;
    let options = MeasureOptions {
        cache: (!args.no_cache).then(|| context.home.guard_cache()),
        n_threads: args.threads,
        cancel: interrupt::token(),
        ..MeasureOptions::of(args.tier)
    };
    let names = args.tasks.iter().map(|path| task_name(path)).collect();
    let scored = Scored::of(
        &target.model,
        (args.versions.clone(), &stacks),
        (names, &tasks),
        &options,
    )?;
    context.output.result(&scored, |out| scored.print(out))?;
    Ok(ExitCode::SUCCESS)
}

impl Scored {
    /// Scores every version on every task: both with their names, in the order in which they were trained.
    pub fn of(
        model: &Model,
        (versions, stacks): (Vec<String>, &[AdapterStack]),
        (names, tasks): (Vec<String>, &[Suite]),
        options: &MeasureOptions,
    ) -> Result<Self> {
        let bar = progress::items((stacks.len() * tasks.len()) as u64);
        let matrix = versions::score(model, stacks, tasks, options, |version, task| {
            bar.set_position((version * tasks.len() + task) as u64);
            bar.set_message(versions[version].clone());
        });
        bar.finish_and_clear();
        let matrix = matrix?;
        Ok(Self {
            versions,
            tasks: names,
            figures: matrix.figures(),
            matrix,
        })
    }

    /// The share of right answers of the base and each version on each task.
    pub fn table(&self) -> (Vec<&str>, Vec<Vec<String>>) {
        let mut header = vec!["share right"];
        header.extend(self.tasks.iter().map(String::as_str));
        let base = ("base", self.matrix.untrained());
        let names = self.versions.iter().map(String::as_str);
        let versions = names.zip(self.matrix.scores().iter().map(Vec::as_slice));
        let rows = std::iter::once(base)
            .chain(versions)
            .map(|(name, scores)| {
                let scores = scores.iter().map(|score| format!("{score:.3}"));
                std::iter::once(name.to_owned()).chain(scores).collect()
            })
            .collect();
        (header, rows)
    }

    /// The published figures that there are.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let figures = self.figures;
        let average = format!("{:.3}", figures.average_accuracy);
        let others = [
            ("backward transfer", figures.backward_transfer),
            ("forward transfer", figures.forward_transfer),
            ("forgetting", figures.forgetting),
        ];
        let others = others
            .into_iter()
            .filter_map(|(name, figure)| Some((name, figure?)));
        std::iter::once(("average accuracy", average))
            .chain(others.map(|(name, figure)| (name, format!("{figure:+.3}"))))
            .collect()
    }

    pub fn print(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let (header, rows) = self.table();
        output::table(out, &header, &rows)?;
        writeln!(out)?;
        for (name, figure) in self.figures() {
            writeln!(out, "{name:<18} {figure}")?;
        }
        Ok(())
    }
}

fn task_name(path: &std::path::Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
