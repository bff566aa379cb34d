//! `unforget adapter`: import, list, inspect, state, remove; merge is in `adapter_merge`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use unforget::registry::{self, AdapterListing, AdapterRecord, AdapterState, Listing, Registry};
use unforget::{Error, Result};

use super::{Context, adapter_merge, layers, output, remove, resolve};

/// Adapters
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget adapter import ./my-lora --base smollm2 --name mine     a folder that PEFT saved\n  \
    unforget adapter import mine.gguf --base smollm2                 a GGUF LoRA\n  \
    unforget adapter list\n  \
    unforget adapter inspect mine --json\n  \
    unforget adapter state mine retired                              out of use, kept for its history\n  \
    unforget adapter remove mine")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Convert a LoRA and bind it to its base
    Import(ImportArgs),
    /// List the adapters with their states
    List,
    /// Show an adapter: base, rank, targets, scale, provenance
    Inspect(InspectArgs),
    /// Set an adapter's state; certified is given by `unforget check` alone
    State(StateArgs),
    /// Remove an adapter and its file
    Remove(InspectArgs),
    /// Make a new model in which adapters are part of the weights
    Merge(adapter_merge::Args),
}

#[derive(Debug, clap::Args)]
struct StateArgs {
    /// Name of an imported adapter
    name: String,

    /// quarantined or retired; without it the state is shown
    state: Option<AdapterState>,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Folder with adapter_config.json and adapter_model.safetensors, or a GGUF LoRA
    #[arg(value_name = "FOLDER|FILE")]
    source: PathBuf,

    /// Base model that it was trained on: an installed name
    #[arg(long, env = "UNFORGET_MODEL", value_name = "NAME")]
    base: String,

    /// Name to import it under [default: the folder's or file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
struct InspectArgs {
    /// Name of an imported adapter
    name: String,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Import(args) => import(args, context),
        Command::List => list(context),
        Command::Inspect(args) => inspect(&args.name, context),
        Command::State(args) => state(&args, context),
        Command::Remove(args) => {
            let registry = Registry::open(&context.home)?;
            let removed = registry::remove_adapter(&registry, &context.home, &args.name)?;
            remove::report(&removed, context)
        }
        Command::Merge(args) => adapter_merge::run(&args, context),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn import(args: ImportArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let base = registry.model(&args.base)?;
    let name = match args.name {
        Some(name) => name,
        None => default_name(&args.source)?,
    };
    let record = registry::import_adapter(&registry, &context.home, &args.source, &base, &name)?;
    context.output.result(&record, |out| {
        writeln!(
            out,
            "{} is imported for {} ({}), state {}",
            record.name,
            base.name,
            base.sha256.short(),
            record.state
        )
    })
}

fn state(args: &StateArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    if let Some(state) = args.state {
        registry.set_state(&args.name, state)?;
    }
    let record = registry.adapter(&args.name)?;
    context.output.result(&record, |out| {
        writeln!(out, "{} is {}", record.name, record.state)?;
        print_reasons(out, &record)
    })
}

/// Why an adapter was set apart, a line each.
fn print_reasons(out: &mut dyn std::io::Write, record: &AdapterRecord) -> std::io::Result<()> {
    record
        .quarantine_reasons()
        .into_iter()
        .try_for_each(|reason| writeln!(out, "quarantined  {reason}"))
}

fn default_name(source: &Path) -> Result<String> {
    source
        .file_stem()
        .and_then(|stem| stem.to_str())
        .map(str::to_owned)
        .ok_or_else(|| Error::InvalidArgument {
            what: "--name",
            value: source.display().to_string(),
            expected: "a name, since none can be made from the path".to_owned(),
        })
}

fn list(context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Adapters {
        adapters: Vec<AdapterListing>,
    }
    let report = Adapters {
        adapters: Listing::read(&Registry::open(&context.home)?)?.adapters,
    };
    context
        .output
        .result(&report, |out| print_adapters(out, &report.adapters))
}

/// The table of adapters, also part of `unforget list`.
pub fn print_adapters(
    out: &mut dyn std::io::Write,
    adapters: &[AdapterListing],
) -> std::io::Result<()> {
    let rows: Vec<_> = adapters
        .iter()
        .map(|listing| {
            let AdapterListing {
                adapter,
                base,
                missing,
            } = listing;
            vec![
                adapter.name.clone(),
                base.clone().unwrap_or_else(|| adapter.base_sha256.short()),
                adapter.state.to_string(),
                adapter.scale.to_string(),
                adapter.sha256.short(),
                if *missing {
                    "file is gone".to_owned()
                } else {
                    adapter.quarantine_reasons().join("; ")
                },
            ]
        })
        .collect();
    output::table(
        out,
        &["adapter", "base", "state", "scale", "sha256", ""],
        &rows,
    )
}

fn inspect(name: &str, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Inspection {
        #[serde(flatten)]
        record: AdapterRecord,
        #[serde(flatten)]
        file: registry::AdapterFile,
    }
    let registry = Registry::open(&context.home)?;
    let record = registry.adapter(name)?;
    let file = registry::inspect_adapter(&registry, &record)?;
    let report = Inspection { record, file };
    context.output.result(&report, |out| {
        let Inspection { record, file } = &report;
        let lora = &file.lora;
        let base = file.base.as_deref().unwrap_or("not installed");
        writeln!(out, "name         {}", record.name)?;
        writeln!(out, "state        {}", record.state)?;
        writeln!(out, "sha256       {}", record.sha256)?;
        writeln!(out, "base         {} ({base})", record.base_sha256)?;
        writeln!(
            out,
            "file         {}, {}",
            record.path.display(),
            output::megabytes(file.bytes)
        )?;
        writeln!(out, "architecture {}", lora.architecture)?;
        writeln!(out, "rank         {}", rank(lora.rank_min, lora.rank_max))?;
        writeln!(out, "alpha        {}", lora.alpha)?;
        writeln!(
            out,
            "scale        {}, effective {}",
            record.scale, file.effective_scale
        )?;
        writeln!(
            out,
            "targets      {} ({} tensors)",
            lora.targets.join(", "),
            lora.n_tensors
        )?;
        print_reasons(out, record)?;
        writeln!(out, "provenance   {}", record.provenance)?;
        layers::print(out, file)
    })
}

fn rank(min: u32, max: u32) -> String {
    if min == max {
        return max.to_string();
    }
    format!("{min} to {max}")
}

/// Adapters are also inspected by `unforget inspect NAME`.
pub fn inspect_by_name(name: &str, context: &Context) -> Result<()> {
    inspect(name, context)
}

/// Whether `text` is the name of an imported adapter and of nothing on disk.
pub fn is_adapter(text: &str, registry: &Registry) -> Result<bool> {
    Ok(!resolve::is_path(text)
        && registry
            .adapters()?
            .iter()
            .any(|adapter| adapter.name == text))
}
