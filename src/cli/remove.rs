//! `unforget remove`: takes a model away.

use std::process::ExitCode;

use unforget::Result;
use unforget::registry::{Registry, Removed, remove_model};

use super::Context;

/// Remove an installed model
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Refused while adapters belong to the model. A file that was registered where it lies stays there.\n\n\
    Example:\n  \
    unforget remove smollm2"
)]
pub struct Args {
    /// Name of an installed model
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let registry = Registry::open(&context.home)?;
    report(
        &remove_model(&registry, &context.home, &args.name)?,
        context,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Says what was removed; also for adapters.
pub fn report(removed: &Removed, context: &Context) -> Result<()> {
    context.output.result(removed, |out| match &removed.file {
        Some(file) => writeln!(out, "{} is removed, with {}", removed.name, file.display()),
        None => writeln!(out, "{} is removed; no file was deleted", removed.name),
    })
}
