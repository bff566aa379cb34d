//! `unforget sweep`: the scale at which an adapter gains most inside the budget.

use std::process::ExitCode;

use serde::Serialize;
use unforget::engine::{Adapter, LayerProfile, Strength};
use unforget::guard::certificate::Certificate;
use unforget::guard::check::Tier;
use unforget::guard::frontier::SweepPoint;
use unforget::guard::sweep::{SCALES, profiles, sweep};
use unforget::registry::{AdapterState, Registry};
use unforget::{Error, ErrorKind, Result};

use super::check::{self, MeasureArgs};
use super::report::{Files, print};
use super::resolve::{self, AdapterRequest, CheckTarget};
use super::{Context, output, progress};

/// Find the scale at which an adapter gains most inside the budget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget sweep triage --domain models/suites/triage_test.jsonl\n  \
    unforget sweep triage --domain tasks.jsonl --scales 0.2,0.4,0.6 --tier certify\n\n\
    Each scale is tried flat and rising with depth (LiNeS). The best is picked on one half of the items and certified on
    the other.\n\
    Exit codes: 0 a scale passed, 3 none does, 4 undecided.")]
pub struct Args {
    /// The adapter: a name, or a GGUF file
    #[arg(value_name = "NAME|FILE")]
    adapter: String,

    /// Scales to try
    #[arg(long, value_delimiter = ',', default_values_t = SCALES, value_name = "S,..")]
    scales: Vec<f32>,

    /// How the scale is spread over the layers: flat, lines (rising with depth from nothing) or lines:FIRST [default: flat,lines]
    #[arg(long, value_delimiter = ',', value_name = "P,..")]
    profiles: Vec<LayerProfile>,

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
    profile: LayerProfile,
    verdict: unforget::guard::verdict::Verdict,
    id: String,
    state: Option<AdapterState>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let prepared = args.what.prepare()?;
    let key = args.files.key()?;
    let registry = Registry::open(&context.home)?;
    let (mut target, adapters) = open(&args, &registry)?;
    let options = args.what.options(args.tier, &context.home);
    let bar = progress::items(0);
    let swept = sweep(
        &target.model,
        &adapters,
        &prepared.suite,
        &prepared.budget,
        &args.scales,
        &options,
        |scale, profile, at| {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(format!("{}: {}", Strength { scale, profile }, at.group));
        },
    );
    bar.finish_and_clear();
    let swept = swept?;
    let Some((stack, checked)) = swept.picked else {
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
    target.stack = stack;
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
    let depth = check::Depth {
        tier: args.tier,
        whole: args.what.is_whole(),
    };
    let state = check::apply(&registry, &target, &certificate, depth)?;
    args.files.write(&certificate)?;
    let picked = check::strength(&target);
    let json = Json {
        points: &body.sweep,
        picked: Some(Picked {
            scale: picked.scale,
            profile: picked.profile,
            verdict: body.outcome.verdict,
            id: certificate.id().to_string(),
            state,
        }),
    };
    context.output.result(&json, |out| {
        table(out, &body.sweep)?;
        writeln!(out, "\npicked {picked}; on the other half of the items:\n")?;
        print(out, &certificate)
    })?;
    check::advise(&target, &certificate, depth, state, context);
    Ok(check::exit_code(body.outcome.verdict))
}

/// The adapter once for each profile that is tried.
fn open(args: &Args, registry: &Registry) -> Result<(CheckTarget, Vec<Adapter>)> {
    let request = AdapterRequest::parse(&args.adapter)?;
    if request.scale.is_some() {
        return Err(Error::InvalidArgument {
            what: "NAME",
            value: args.adapter.clone(),
            expected:
                "an adapter without a scale: a sweep finds it; give those to try with --scales"
                    .to_owned(),
        });
    }
    let profiles = if args.profiles.is_empty() {
        profiles()?.to_vec()
    } else {
        args.profiles.clone()
    };
    let mut adapters = Vec::new();
    let mut target = None;
    for profile in profiles {
        let request = AdapterRequest {
            name: request.name.clone(),
            scale: None,
            profile: Some(profile),
        };
        let opened = match &target {
            None => resolve::open_to_check(args.what.base(), vec![request], None, registry)?,
            Some(CheckTarget { model, .. }) => {
                resolve::open_on(model.clone(), vec![request], None, registry)?
            }
        };
        adapters.extend(opened.stack.iter().map(|(adapter, _)| adapter.clone()));
        target.get_or_insert(opened);
    }
    target
        .map(|target| (target, adapters))
        .ok_or_else(|| Error::InvalidArgument {
            what: "--profiles",
            value: String::new(),
            expected: "at least one".to_owned(),
        })
}

fn table(out: &mut dyn std::io::Write, points: &[SweepPoint]) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|point| {
            vec![
                point.scale.to_string(),
                point.profile.to_string(),
                format!("{:+.3}", point.gain),
                format!("{:.2}", point.harm),
                point.worst_group.clone(),
                point.verdict.to_string(),
            ]
        })
        .collect();
    output::table(
        out,
        &[
            "scale",
            "profile",
            "gain",
            "harm/budget",
            "worst group",
            "verdict",
        ],
        &rows,
    )
}
