//! `unforget sweep`: the scale at which an adapter gains most inside the budget.

use std::process::ExitCode;

use serde::Serialize;
use unforget::guard::certificate::Certificate;
use unforget::guard::check::Tier;
use unforget::guard::frontier::SweepPoint;
use unforget::guard::sweep::{SCALES, sweep};
use unforget::registry::{AdapterState, Registry};
use unforget::{ErrorKind, Result};

use super::check::{self, MeasureArgs};
use super::report::{Files, print};
use super::resolve::{self, AdapterRequest};
use super::{Context, output, progress};

/// Find the scale at which an adapter gains most inside the budget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget sweep triage --domain models/suites/triage_test.jsonl\n  \
    unforget sweep triage --domain tasks.jsonl --scales 0.2,0.4,0.6 --tier certify\n\n\
    The scale is picked on one half of the items and certified on the other.\n\
    Exit codes: 0 a scale passed, 3 none does, 4 undecided.")]
pub struct Args {
    /// The adapter: a name, or a GGUF file
    #[arg(value_name = "NAME|FILE")]
    adapter: String,

    /// Scales to try
    #[arg(long, value_delimiter = ',', default_values_t = SCALES, value_name = "S,..")]
    scales: Vec<f32>,

    /// How thorough: smoke, gate or certify
    #[arg(long, env = "UNFORGET_TIER", default_value_t = Tier::Gate, value_name = "TIER")]
    tier: Tier,

    #[command(flatten)]
    what: MeasureArgs,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    points: &'a [SweepPoint],
    /// The scale picked, and the verdict on the other half of the items.
    picked: Option<Picked>,
}

#[derive(Debug, Serialize)]
struct Picked {
    scale: f32,
    verdict: unforget::guard::verdict::Verdict,
    id: String,
    state: Option<AdapterState>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let prepared = args.what.prepare()?;
    let key = args.files.key()?;
    let registry = Registry::open(&context.home)?;
    let request = AdapterRequest::parse(&args.adapter)?;
    let mut target = resolve::open_to_check(&args.what, vec![request], None, &registry)?;
    let adapter = target
        .stack
        .iter()
        .next()
        .map(|(adapter, _)| adapter.clone());
    let Some(adapter) = adapter else {
        return Ok(ExitCode::FAILURE);
    };
    let options = args.what.options(args.tier, &context.home);
    let bar = progress::items(0);
    let swept = sweep(
        &target.model,
        &adapter,
        &prepared.suite,
        &prepared.budget,
        &args.scales,
        &options,
        |scale, at| {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(format!("scale {scale}: {}", at.group));
        },
    )?;
    bar.finish_and_clear();
    let Some((scale, checked)) = swept.picked else {
        let json = Json {
            points: &swept.points,
            picked: None,
        };
        context
            .output
            .result(&json, |out| table(out, &swept.points))?;
        if !context.output.is_json() {
            output::note("no scale is inside the budget with certainty");
        }
        return Ok(ExitCode::from(ErrorKind::Rejected.exit_code()));
    };
    target.stack = unforget::engine::AdapterStack::base();
    target.stack.push(adapter, scale)?;
    let mut body = checked.body(
        &target.model,
        &target.stack,
        &prepared.suite,
        &prepared.budget,
        args.tier,
        prepared.overlap,
    )?;
    body.sweep = swept.points;
    let certificate = Certificate::seal(&body, key.as_ref())?;
    check::store(&registry, &context.home, &certificate, &target)?;
    let state = check::apply(&registry, &target, &certificate, args.tier)?;
    args.files.write(&certificate)?;
    let json = Json {
        points: &body.sweep,
        picked: Some(Picked {
            scale,
            verdict: body.outcome.verdict,
            id: certificate.id().to_string(),
            state,
        }),
    };
    context.output.result(&json, |out| {
        table(out, &body.sweep)?;
        writeln!(
            out,
            "\npicked scale {scale}; on the other half of the items:\n"
        )?;
        print(out, &certificate)
    })?;
    Ok(check::exit_code(body.outcome.verdict))
}

fn table(out: &mut dyn std::io::Write, points: &[SweepPoint]) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|point| {
            vec![
                point.scale.to_string(),
                format!("{:+.3}", point.gain),
                format!("{:.2}", point.harm),
                point.worst_group.clone(),
                point.verdict.to_string(),
            ]
        })
        .collect();
    output::table(
        out,
        &["scale", "gain", "harm/budget", "worst group", "verdict"],
        &rows,
    )
}
