//! `unforget quantize`: a model in another type.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use unforget::engine::TextDivergence;
use unforget::registry::Registry;
use unforget::rewrite::{
    Importance, QuantizeRequest, Quantized, RewriteOptions, file_distance, quantize_file,
};
use unforget::{Error, Result};

use super::{Context, interrupt, output, progress, resolve};

/// Store a model in another type: fewer bits, less memory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget quantize model-f16.gguf model-q4.gguf --type Q4_K_M\n  \
    unforget quantize smollm2 small.gguf --type Q8_0 --allow-requantize\n  \
    unforget quantize model-f16.gguf tiny.gguf --type IQ2_XS --imatrix imatrix.gguf\n  \
    unforget quantize model-f16.gguf tiny.gguf --type IQ2_XS --imatrix-text examples.txt\n\n\
    Types are llama.cpp's: F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M\n\
    Q5_K_S Q5_K_M Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0\n\
    MXFP4_MOE Q1_0 Q2_0")]
pub struct Args {
    /// The model: a file, or the name of an installed one
    #[arg(value_name = "IN")]
    input: String,

    /// The file to write
    #[arg(value_name = "OUT")]
    out: PathBuf,

    /// What to store the weights as
    #[arg(long = "type", env = "UNFORGET_TYPE", value_name = "TYPE")]
    file_type: String,

    /// Give every weight the same type, without the mix of the type's name
    #[arg(long, env = "UNFORGET_PURE")]
    pure: bool,

    /// Quantize a model that is quantized already, which loses more than quantizing its original
    #[arg(long, env = "UNFORGET_ALLOW_REQUANTIZE")]
    allow_requantize: bool,

    /// Importance matrix in GGUF form, as llama-imatrix writes it
    #[arg(long, env = "UNFORGET_IMATRIX", value_name = "FILE")]
    imatrix: Option<PathBuf>,

    /// Compute the importance matrix from this text, such as examples of what the model is used for
    #[arg(
        long,
        env = "UNFORGET_IMATRIX_TEXT",
        value_name = "FILE",
        conflicts_with = "imatrix"
    )]
    imatrix_text: Option<PathBuf>,

    /// Tokens of text that the divergence from a quantized original is measured on; 0 leaves it out
    #[arg(
        long,
        env = "UNFORGET_MEASURE_TOKENS",
        default_value_t = 2048,
        value_name = "N"
    )]
    measure_tokens: usize,

    /// Threads [default: as many as there are cores]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    threads: Option<usize>,

    /// Replace OUT if it exists
    #[arg(long, env = "UNFORGET_FORCE")]
    force: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let input = if resolve::is_path(&args.input) {
        PathBuf::from(&args.input)
    } else {
        let registry = Registry::open(&context.home)?;
        let model = registry.model(&args.input)?;
        registry.verify_model(&model)?;
        model.path
    };
    may_write(&args.out, args.force)?;
    let bar = progress::bytes();
    bar.set_message("quantize");
    progress::with_total(&bar);
    let cancel = interrupt::token();
    let text = args.imatrix_text.as_deref().map(read_text).transpose()?;
    let importance = match (&args.imatrix, &text) {
        (Some(path), _) => Some(Importance::File(path)),
        (None, text) => text.as_deref().map(Importance::Text),
    };
    let done = quantize_file(
        &input,
        &args.out,
        &QuantizeRequest {
            file_type: &args.file_type,
            pure: args.pure,
            allow_requantize: args.allow_requantize,
            importance,
        },
        RewriteOptions {
            n_threads: args.threads.unwrap_or(0),
            cancel: &cancel,
            progress: Some(&|done, total| {
                bar.set_length(total);
                bar.set_position(done);
            }),
        },
    );
    bar.finish_and_clear();
    let done = done?;
    for fallback in &done.fallbacks {
        tracing::info!(
            "{}: rows of {} do not fit {}, stored as {}",
            fallback.tensor,
            fallback.n_per_row,
            fallback.wanted,
            fallback.got
        );
    }
    let divergence = match done.requantized && args.measure_tokens > 0 {
        true => file_distance(&input, &args.out, args.measure_tokens, &cancel)?,
        false => None,
    };
    let report = Report { done, divergence };
    context.output.result(&report, |out| {
        let Report { done, divergence } = &report;
        let report = &done.report;
        writeln!(
            out,
            "{}: {}, {} -> {}, {:.2} bits a weight, {:.2} s",
            args.out.display(),
            done.file_type,
            output::megabytes(report.bytes_in),
            output::megabytes(report.bytes_out),
            report.summary.bits_per_weight,
            report.seconds
        )?;
        if !done.fallbacks.is_empty() {
            writeln!(
                out,
                "{} tensors got another type, since their rows are not whole blocks of the one meant (-vv names them)",
                done.fallbacks.len()
            )?;
        }
        if let Some(divergence) = divergence {
            writeln!(
                out,
                "the original was quantized already; from it {}",
                output::divergence(divergence)
            )?;
        }
        writeln!(out, "run it with: unforget run -m {}", args.out.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Longest text that an importance matrix is computed from, in bytes: far more than the tokens that are used of it.
const MAX_TEXT_BYTES: u64 = 64 << 20;

fn read_text(path: &Path) -> Result<String> {
    let fail = |value: String, expected: &str| Error::InvalidArgument {
        what: "--imatrix-text",
        value,
        expected: expected.to_owned(),
    };
    let bytes = fs_err::metadata(path)?.len();
    if bytes > MAX_TEXT_BYTES {
        return Err(fail(
            format!("{} with {bytes} bytes", path.display()),
            "a text of at most 64 MiB",
        ));
    }
    String::from_utf8(fs_err::read(path)?)
        .map_err(|_| fail(path.display().to_string(), "text in UTF-8"))
}

/// What quantizing did, and how far the new file is from a quantized original.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    done: Quantized,
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<TextDivergence>,
}

/// Refuses to replace a file that nobody said to replace.
pub fn may_write(out: &Path, force: bool) -> Result<()> {
    if out.exists() && !force {
        return Err(Error::InvalidArgument {
            what: "output",
            value: out.display().to_string(),
            expected: "a file that does not exist; use --force to replace it".to_owned(),
        });
    }
    Ok(())
}
