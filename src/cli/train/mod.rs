//! `unforget train`: an adapter out of rows of questions and answers, held to what the base knows.

mod args;
mod data;
mod diary;
mod fit;
mod job;
mod learn;
mod lineage;
mod look;
mod result;
mod screen;
mod texts;

use std::process::ExitCode;

use unforget::guard::check::Tier;
use unforget::registry::{self, AdapterRecord, ModelRecord, Registry};
use unforget::train;
use unforget::{Error, ErrorKind, Result};

use super::{Context, check, resolve};
pub use args::Args;
use data::Data;
use job::Job;
use learn::Trained;
use lineage::Lineage;
use result::Finished;

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
    let of_base = |name: &String| of_base(name, &base, &registry);
    let continued = args.continued.as_ref().map(of_base).transpose()?;
    let lineage = match continued {
        Some(record) => Some(Lineage::of(record, &args.earlier, &registry)?),
        None => None,
    };
    let beside = args.beside.iter().map(of_base);
    let beside = beside.collect::<Result<Vec<_>>>()?;
    let folder = context.home.cache().join("training");
    context.home.create(&folder)?;
    let task = data.task(&folder)?;
    let job = Job {
        args: &args,
        context,
        base: &base,
        lineage: lineage.as_ref(),
        beside: &beside,
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
    finish(&job, &registry, record, trained, tier)
}

/// Has the adapter checked, and says what came of it.
fn finish(
    job: &Job,
    registry: &Registry,
    record: AdapterRecord,
    trained: Trained,
    tier: Option<Tier>,
) -> Result<ExitCode> {
    let (args, context) = (job.args, job.context);
    result::announce(&args.name, &trained);
    let judged = match tier {
        Some(tier) => {
            let (task, budget) = (job.task, args.budget.as_deref());
            // What was held back was not learnt.
            let learnt = job.data.learnt_texts(job.folder)?;
            let check = check::Args::of_trained(&args.name, tier, task, &learnt, budget);
            Some(check::judge(&check, context)?)
        }
        None => None,
    };
    let record = registry.adapter(&record.name)?;
    let versions = match job.lineage {
        Some(lineage) => lineage.score(&job.open()?, &record, job)?,
        None => None,
    };
    let finished = Finished {
        record: &record,
        peft: &args.peft_folder(),
        trained: &trained,
        judged: judged.as_ref(),
        versions: versions.as_ref(),
    };
    finished.write()?;
    let json = finished.json();
    context.output.result(&json, |out| finished.print(out))?;
    if let Some(path) = &args.log {
        fs_err::copy(&trained.diary.path, path)?;
    }
    let _ = fs_err::remove_file(&trained.diary.path);
    match &judged {
        Some(judged) => {
            judged.advise(context);
            Ok(check::exit_code(judged.verdict()))
        }
        // Nothing else will say it.
        None if trained.is_outside => Ok(ExitCode::from(ErrorKind::Rejected.exit_code())),
        None => Ok(ExitCode::SUCCESS),
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

/// An adapter to go on from, or to keep apart from.
fn of_base(name: &str, base: &ModelRecord, registry: &Registry) -> Result<AdapterRecord> {
    let record = registry.adapter(name)?;
    if record.base_sha256 != base.sha256 {
        return Err(Error::InvalidArgument {
            what: "adapter",
            value: name.to_owned(),
            expected: format!("one of the base {}", base.name),
        });
    }
    Ok(record)
}
