//! `unforget inspect`: what is in a file, and what it takes in memory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use unforget::engine::{ContentHash, Model, ModelOptions, memory_use};
use unforget::inspect::{FileReport, inspect_file};
use unforget::registry::{Registry, TunedRecord};
use unforget::tune::machine;
use unforget::{Error, Result};

use super::{Context, adapter, ask, output, resolve};

/// Show what is in a GGUF or safetensors file, and what it takes in memory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget inspect smollm2\n  \
    unforget inspect adapter_model.safetensors --tensors\n  \
    unforget inspect model.gguf --json")]
pub struct Args {
    /// A file, or the name of an installed model or adapter
    #[arg(value_name = "FILE|NAME")]
    target: String,

    /// Print every tensor, not only the totals
    #[arg(long)]
    tensors: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    file: FileReport,
    /// What loading it took, where it is a model that can be loaded.
    memory: Option<Loaded>,
    /// What `unforget tune` found for it.
    tuned: Vec<TunedLayout>,
}

#[derive(Serialize)]
struct TunedLayout {
    layout: String,
    path: PathBuf,
    /// Whether that was on this machine, so that commands use it.
    used_here: bool,
}

#[derive(Serialize)]
struct Loaded {
    mapped_bytes: u64,
    resident_file_bytes: u64,
    resident_anonymous_bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let registry = Registry::open(&context.home)?;
    if adapter::is_adapter(&args.target, &registry)? {
        adapter::inspect_by_name(&args.target, context)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (path, tuned) = if resolve::is_path(&args.target) {
        (PathBuf::from(&args.target), Vec::new())
    } else {
        let model = registry.model(&args.target)?;
        let tuned = tuned_layouts(&registry, model.sha256)?;
        (model.path, tuned)
    };
    let file = inspect_file(&path)?;
    let memory = if file.is_model() {
        Some(load(&path, file.bytes)?)
    } else {
        None
    };
    let report = Report {
        file,
        memory,
        tuned,
    };
    context
        .output
        .result(&report, |out| print(out, &report, args.tensors))?;
    Ok(ExitCode::SUCCESS)
}

fn tuned_layouts(registry: &Registry, base: ContentHash) -> Result<Vec<TunedLayout>> {
    let records = registry.tuned_of(base)?;
    let here = machine()?;
    let shown = |record: TunedRecord| TunedLayout {
        layout: record.layout,
        path: record.path,
        used_here: record.machine == here,
    };
    Ok(records.into_iter().map(shown).collect())
}

/// Loads the model and sees what became resident: pages of the file stay the file's, repacked weights do not.
fn load(path: &Path, mapped_bytes: u64) -> Result<Loaded> {
    let before = memory_use();
    let model = match Model::open(path, ModelOptions::default()) {
        Ok(model) => model,
        Err(error @ Error::ModelLoad { .. }) => {
            output::warn(&error.to_string());
            return Ok(Loaded {
                mapped_bytes: 0,
                resident_file_bytes: 0,
                resident_anonymous_bytes: 0,
            });
        }
        Err(error) => return Err(error),
    };
    let after = memory_use();
    drop(model);
    Ok(Loaded {
        mapped_bytes,
        resident_file_bytes: after.file_bytes.saturating_sub(before.file_bytes),
        resident_anonymous_bytes: after.anonymous_bytes.saturating_sub(before.anonymous_bytes),
    })
}

fn print(out: &mut dyn Write, report: &Report, all_tensors: bool) -> std::io::Result<()> {
    let Report {
        file,
        memory,
        tuned,
    } = report;
    writeln!(
        out,
        "file        {}, {}",
        file.path.display(),
        output::megabytes(file.bytes)
    )?;
    writeln!(out, "format      {}", file.format)?;
    if let Some(architecture) = &file.architecture {
        writeln!(out, "architecture {architecture}")?;
    }
    let totals = &file.summary;
    writeln!(
        out,
        "tensors     {} with {} parameters",
        totals.n_tensors, totals.n_params
    )?;
    writeln!(out, "weights     {:.2} bits each", totals.bits_per_weight)?;
    for share in &totals.by_type {
        writeln!(
            out,
            "  {:9} {} tensors, {}",
            share.ty,
            share.n_tensors,
            output::megabytes(share.n_bytes)
        )?;
    }
    if let Some(memory) = memory {
        writeln!(
            out,
            "memory      {} mapped; resident after loading: {} of the file, {} of its own",
            output::megabytes(memory.mapped_bytes),
            output::megabytes(memory.resident_file_bytes),
            output::megabytes(memory.resident_anonymous_bytes)
        )?;
    }
    for TunedLayout {
        layout,
        path,
        used_here,
    } in tuned
    {
        let machine = if *used_here {
            "here"
        } else {
            "on another machine"
        };
        writeln!(out, "tuned       {layout}, {machine}: {}", path.display())?;
    }
    for (key, value) in &file.metadata {
        writeln!(out, "{key} = {}", short(value))?;
    }
    if all_tensors {
        let rows: Vec<_> = file
            .tensors
            .iter()
            .map(|tensor| {
                let shape = tensor
                    .shape
                    .iter()
                    .map(u64::to_string)
                    .collect::<Vec<_>>()
                    .join(" x ");
                vec![
                    tensor.name.clone(),
                    tensor.kind.clone(),
                    shape,
                    tensor.bytes.to_string(),
                ]
            })
            .collect();
        output::table(out, &["tensor", "type", "shape", "bytes"], &rows)?;
    }
    Ok(())
}

/// A metadata value on one line.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => ask::one_line(text),
        other => ask::one_line(&other.to_string()),
    }
}
