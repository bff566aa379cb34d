//! `unforget adapter merge`: a new model with adapters in its weights.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use unforget::engine::ContentHash;
use unforget::registry::{self, Registry};
use unforget::rewrite::{
    MergeAdapter, MergeCheck, MergeRequest, Merged, RewriteOptions, check_merge, merge_adapters,
};
use unforget::{Error, Result};

use super::quantize::may_write;
use super::resolve::{self, AdapterRequest};
use super::{Context, interrupt, output, progress};

/// Make a new model in which adapters are part of the weights
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget adapter merge mine -o merged.gguf\n  \
    unforget adapter merge mine=0.8 other=0.5 -o both.gguf --method ties --density 0.3\n  \
    unforget adapter merge mine -o merged-f16.gguf --type F16\n  \
    unforget adapter merge lora.gguf --base smollm2 -o merged.gguf")]
pub struct Args {
    /// Adapters with their scales: names of imported ones, or GGUF files with --base
    #[arg(value_name = "A[=SCALE]", required = true)]
    adapters: Vec<String>,

    /// The model to write
    #[arg(short, long, value_name = "OUT.gguf")]
    out: PathBuf,

    /// Base model: an installed name or a file [default: the one that the first adapter belongs to]
    #[arg(long, env = "UNFORGET_MODEL", value_name = "NAME|FILE")]
    base: Option<String>,

    /// What to store the weights as: `same`, or a type of `unforget quantize`
    #[arg(
        long = "type",
        default_value = "same",
        env = "UNFORGET_TYPE",
        value_name = "TYPE"
    )]
    file_type: String,

    /// How several deltas become one
    #[arg(long, value_enum, default_value = "linear", env = "UNFORGET_METHOD")]
    method: Method,

    /// Share of each delta that ties and dare keep
    #[arg(
        long,
        default_value_t = 0.2,
        env = "UNFORGET_DENSITY",
        value_name = "D"
    )]
    density: f32,

    /// Seed of dare
    #[arg(long, default_value_t = 0, env = "UNFORGET_SEED")]
    seed: u64,

    /// Tokens of text that the result is compared on with the adapters at run time; 0 leaves it out
    #[arg(
        long,
        env = "UNFORGET_VERIFY_TOKENS",
        default_value_t = 2048,
        value_name = "N"
    )]
    verify_tokens: usize,

    /// Threads [default: as many as there are cores]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    threads: Option<usize>,

    /// Replace OUT if it exists, and merge adapters that are retired or belong to another base
    #[arg(long, env = "UNFORGET_FORCE")]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    /// Their sum
    Linear,
    /// Trim the small values, elect signs, average those that agree (arXiv 2306.01708)
    Ties,
    /// Drop values at random, enlarge the rest (arXiv 2311.03099)
    Dare,
}

/// A base, and what it is by content.
struct Base {
    path: PathBuf,
    sha256: ContentHash,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    may_write(&args.out, args.force)?;
    let registry = Registry::open(&context.home)?;
    let requests = args
        .adapters
        .iter()
        .map(|text| AdapterRequest::parse(text))
        .collect::<Result<Vec<_>>>()?;
    let base = base(args, &requests, &registry)?;
    let adapters = requests
        .iter()
        .map(|request| adapter(request, &base, args.force, &registry))
        .collect::<Result<Vec<_>>>()?;
    let adapters: Vec<_> = adapters
        .iter()
        .map(|(path, scale)| MergeAdapter {
            path,
            scale: *scale,
        })
        .collect();
    let bar = progress::bytes();
    bar.set_message("merge");
    progress::with_total(&bar);
    let cancel = interrupt::token();
    let keep = args.file_type.eq_ignore_ascii_case("same");
    let request = MergeRequest {
        method: match args.method {
            Method::Linear => "linear",
            Method::Ties => "ties",
            Method::Dare => "dare",
        },
        density: args.density,
        seed: args.seed,
        file_type: (!keep).then_some(args.file_type.as_str()),
    };
    let show = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let options = RewriteOptions {
        n_threads: args.threads.unwrap_or(0),
        cancel: &cancel,
        progress: Some(&show),
    };
    let merged = merge_adapters(
        &base.path,
        base.sha256,
        &adapters,
        &args.out,
        &request,
        options,
    );
    bar.finish_and_clear();
    let merged = merged?;
    let check = match args.verify_tokens {
        0 => None,
        n => Some(check_merge(
            &base.path,
            base.sha256,
            &adapters,
            &args.out,
            &request,
            n,
            options,
        )?),
    };
    let report = Report { merged, check };
    context.output.result(&report, |out| {
        let Report { merged, check } = &report;
        let report = &merged.report;
        writeln!(
            out,
            "{}: {} tensors merged, {} copied, {}, {:.2} s",
            args.out.display(),
            merged.n_merged,
            report.n_copied,
            output::megabytes(report.bytes_out),
            report.seconds
        )?;
        if let Some(check) = check {
            let (merged, stored) = (&check.merged, &check.requantization);
            writeln!(
                out,
                "from the adapters at run time: {}",
                output::divergence(merged)
            )?;
            writeln!(
                out,
                "the base, only stored anew:    {}",
                output::divergence(stored)
            )?;
        }
        writeln!(out, "run it with: unforget run -m {}", args.out.display())
    })
}

/// What merging did, and how far the result is from the adapters at run time.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    merged: Merged,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<MergeCheck>,
}

fn base(args: &Args, requests: &[AdapterRequest], registry: &Registry) -> Result<Base> {
    if let Some(name) = &args.base {
        if resolve::is_path(name) {
            let path = PathBuf::from(name);
            let sha256 = ContentHash::of_file(&path)?;
            return Ok(Base { path, sha256 });
        }
        let model = registry.model(name)?;
        registry.verify_model(&model)?;
        return Ok(Base {
            path: model.path,
            sha256: model.sha256,
        });
    }
    let Some(request) = requests.iter().find(|r| !resolve::is_path(&r.name)) else {
        return Err(Error::InvalidArgument {
            what: "--base",
            value: String::new(),
            expected: "the base model, since a file does not say which it belongs to".to_owned(),
        });
    };
    let record = registry.adapter(&request.name)?;
    let models = registry.models()?;
    let found = models.into_iter().find(|m| m.sha256 == record.base_sha256);
    let Some(model) = found else {
        return Err(Error::AdapterRefused {
            adapter: record.name,
            reason: format!(
                "its base {} is not installed; give the file with --base",
                record.base_sha256
            ),
        });
    };
    registry.verify_model(&model)?;
    Ok(Base {
        path: model.path,
        sha256: model.sha256,
    })
}

fn adapter(
    request: &AdapterRequest,
    base: &Base,
    force: bool,
    registry: &Registry,
) -> Result<(PathBuf, f32)> {
    if resolve::is_path(&request.name) {
        output::warn(&format!(
            "adapter {} is not imported: nothing is known of its base or of what it costs",
            request.name
        ));
        return Ok((PathBuf::from(&request.name), request.scale.unwrap_or(1.0)));
    }
    let record: registry::AdapterRecord = registry.adapter(&request.name)?;
    let strength = request.strength(record.strength());
    resolve::check_trust(&record, strength, force)?;
    if !strength.profile.is_flat() {
        return Err(Error::InvalidArgument {
            what: "--adapter",
            value: format!("{}={strength}", record.name),
            expected:
                "a scale that is the same in all layers: merging knows no other; run it unmerged"
                    .to_owned(),
        });
    }
    if record.base_sha256 != base.sha256 {
        let error = Error::AdapterMismatch {
            adapter: record.name,
            expected: record.base_sha256.to_string(),
            found: base.sha256.to_string(),
        };
        if !force {
            return Err(error);
        }
        output::warn(&error.to_string());
    }
    let found = ContentHash::of_file(&record.path)?;
    if found != record.sha256 {
        return Err(Error::Checksum {
            path: record.path,
            expected: record.sha256.to_string(),
            found: found.to_string(),
        });
    }
    Ok((record.path, strength.scale))
}
