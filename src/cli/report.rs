//! `unforget report`: a stored report again, in any form, or a certificate verified.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use unforget::Result;
use unforget::engine::{ContentHash, Strength};
use unforget::guard::certificate::{Body, Certificate, Use, UsedAdapter};
use unforget::guard::key::{PublicKey, SecretKey};
use unforget::guard::report::{html, junit, markdown, text};
use unforget::registry::Registry;

use super::resolve::{self, AdapterRequest};
use super::{Context, check, output};

/// Show a report again, or verify a certificate
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  \
    unforget report triage                        the newest report of an adapter\n  \
    unforget report 3f2a9c --html report.html     by the beginning of its id\n  \
    unforget report verify certificate.json       offline: hashes, and the signature if there is one\n  \
    unforget report verify c.json --model smollm2 --adapter triage=0.5     that it stands for these, as they are now\n  \
    unforget report                               all reports")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// A report's id, or the beginning of it, or an adapter's name; nothing lists all
    #[arg(value_name = "ID|NAME")]
    id: Option<String>,

    #[command(flatten)]
    files: Files,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a certificate's hashes and signature, and what it is to stand for
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The certificate
    file: PathBuf,

    /// It has to be signed by this key: a file with a public key
    #[arg(long, env = "UNFORGET_TRUSTED_KEY", value_name = "FILE")]
    trusted: Option<PathBuf>,

    /// It has to be about this base, as it is now
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,

    /// It has to have passed this adapter at this scale; again for each adapter of a stack
    #[arg(long = "adapter", value_name = "NAME|FILE[=SCALE]")]
    adapters: Vec<String>,
}

/// Where a report is written besides the terminal.
#[derive(Debug, Default, clap::Args)]
pub struct Files {
    /// Write a page with plots, readable without a network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write JUnit XML, for a pipeline
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write Markdown, for a pipeline's summary
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write the certificate
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// Sign the certificate with this private key (ed25519, PEM)
    #[arg(long, env = "UNFORGET_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

type Render = fn(&Certificate) -> String;

impl Files {
    /// The key to sign with.
    pub fn key(&self) -> Result<Option<SecretKey>> {
        self.key.as_deref().map(SecretKey::read).transpose()
    }

    /// Writes what was asked for.
    pub fn write(&self, certificate: &Certificate) -> Result<()> {
        let forms: [(&Option<PathBuf>, Render); 4] = [
            (&self.html, html::render),
            (&self.junit, junit::render),
            (&self.markdown, markdown::render),
            (&self.certificate, Certificate::to_json),
        ];
        for (path, render) in forms {
            if let Some(path) = path {
                fs_err::write(path, render(certificate))?;
            }
        }
        Ok(())
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match (args.command, args.id) {
        (Some(Command::Verify(args)), _) => verify(&args, context),
        (None, Some(id)) => show(&id, &args.files, context),
        (None, None) => list(context),
    }
}

fn show(id: &str, files: &Files, context: &Context) -> Result<ExitCode> {
    let record = Registry::open(&context.home)?.report(id)?;
    let certificate = read(&record.path, None)?;
    files.write(&certificate)?;
    context
        .output
        .result(certificate.body(), |out| print(out, &certificate))?;
    Ok(check::exit_code(certificate.body().outcome.verdict))
}

fn verify(args: &VerifyArgs, context: &Context) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Verified<'a> {
        id: String,
        signed_by: Option<String>,
        #[serde(flatten)]
        body: &'a Body,
    }
    let trusted = args.trusted.as_deref().map(PublicKey::read).transpose()?;
    let certificate = read(&args.file, trusted.as_ref())?;
    if args.model.is_some() || !args.adapters.is_empty() {
        covers(&certificate, args, context)?;
    }
    let verified = Verified {
        id: certificate.id().to_string(),
        signed_by: certificate.signer().map(|key| key.to_string()),
        body: certificate.body(),
    };
    context.output.result(&verified, |out| {
        let signed = match &verified.signed_by {
            Some(key) => format!("signed by {key}"),
            None => "not signed: its hashes hold, which anybody can compute".to_owned(),
        };
        writeln!(out, "{} is whole, {signed}", verified.id)?;
        print(out, &certificate)
    })?;
    Ok(check::exit_code(certificate.body().outcome.verdict))
}

/// Fails unless the certificate stands for the base and the adapters that were named. What was not named is taken from
/// the certificate.
fn covers(certificate: &Certificate, args: &VerifyArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let body = certificate.body();
    let base = match &args.model {
        Some(name) => resolve::model_sha256(name, &registry)?,
        None => body.base.sha256,
    };
    let adapters = if args.adapters.is_empty() {
        let measured = body.adapters.iter();
        measured
            .map(|adapter| UsedAdapter {
                sha256: adapter.sha256,
                scale: adapter.scale,
                profile: adapter.profile,
            })
            .collect()
    } else {
        let named = args.adapters.iter();
        named
            .map(|text| used(text, &registry))
            .collect::<Result<Vec<_>>>()?
    };
    certificate.check_covers(&Use {
        base,
        adapters: &adapters,
    })
}

fn used(text: &str, registry: &Registry) -> Result<UsedAdapter> {
    let request = AdapterRequest::parse(text)?;
    let sha256 = if resolve::is_path(&request.name) {
        ContentHash::of_file(Path::new(&request.name))?
    } else {
        ContentHash::of_file(&registry.adapter(&request.name)?.path)?
    };
    let strength = request.strength(Strength::flat(1.0));
    Ok(UsedAdapter {
        sha256,
        scale: f64::from(strength.scale),
        profile: strength.profile,
    })
}

fn list(context: &Context) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Reports {
        reports: Vec<unforget::registry::ReportRecord>,
    }
    let reports = Reports {
        reports: Registry::open(&context.home)?.reports()?,
    };
    context.output.result(&reports, |out| {
        let rows: Vec<Vec<String>> = reports
            .reports
            .iter()
            .map(|report| {
                vec![
                    report.id.short(),
                    report.adapter.clone(),
                    report.verdict.clone(),
                    report.tier.clone(),
                    report.scale.to_string(),
                ]
            })
            .collect();
        output::table(
            out,
            &["report", "adapter", "verdict", "tier", "scale"],
            &rows,
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path, trusted: Option<&PublicKey>) -> Result<Certificate> {
    Certificate::verify(&fs_err::read_to_string(path)?, trusted)
}

/// The report for people.
pub fn print(out: &mut dyn Write, certificate: &Certificate) -> std::io::Result<()> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if std::io::stdout().is_terminal() && !plain {
        text::Colour::Yes
    } else {
        text::Colour::No
    };
    writeln!(out, "{}", text::render(certificate, colour).trim_end())
}
