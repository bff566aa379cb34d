//! `unforget pull`: fetch a model and register it.

use std::process::ExitCode;

use indicatif::ProgressBar;
use serde::Serialize;
use unforget::Result;
use unforget::registry::{self, Installed, Phase, PullProgress, PullRequest};

use super::{Context, interrupt, output, progress};

/// Fetch a model and register it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget pull smollm2                       the default base model\n  \
    unforget pull minilm                        the default embedder, for documents\n  \
    unforget pull hf:OWNER/REPO:FILE.gguf       a file of a hub repository\n  \
    unforget pull https://example.org/x.gguf    a plain download; #sha256=HEX at the end checks it\n  \
    unforget pull ./x.gguf --name x             register a file where it lies\n\n\
    An interrupted download goes on where it stopped; a model that is installed is not fetched again.")]
pub struct Args {
    /// Catalog name, hf:OWNER/REPO[:FILE], URL or path
    #[arg(value_name = "NAME|hf:OWNER/REPO[:FILE]|URL|PATH")]
    source: String,

    /// Name to register it under
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    model: registry::ModelRecord,
    already_installed: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut request: PullRequest = args.source.parse()?;
    if let Some(name) = &args.name {
        request = request.named(name)?;
    }
    let bar = progress::bytes();
    let cancel = interrupt::token();
    let installed = registry::pull(
        &request,
        &context.home,
        &registry::convert_embedder,
        &mut |step| show(&bar, step),
        cancel.flag(),
    );
    bar.finish_and_clear();
    let Installed { model, already } = installed?;
    let report = Report {
        model,
        already_installed: already,
    };
    context.output.result(&report, |out| {
        let verb = if already {
            "is already installed"
        } else {
            "is installed"
        };
        let Report { model, .. } = &report;
        writeln!(
            out,
            "{} {verb}: {}, {}, sha256 {}",
            model.name,
            model.path.display(),
            output::megabytes(model.bytes),
            model.sha256.short()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn show(bar: &ProgressBar, step: PullProgress) {
    bar.set_message(match step.phase {
        Phase::Fetching => "fetching",
        Phase::Verifying => "verifying",
        Phase::Converting => "converting",
    });
    if let Some(total) = step.total
        && bar.length() != Some(total)
    {
        bar.set_length(total);
        progress::with_total(bar);
    }
    bar.set_position(step.done);
}
