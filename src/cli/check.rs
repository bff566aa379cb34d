//! `unforget check`: what adapters make the base forget, measured and judged.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use unforget::engine::{AdapterStack, Strength};
use unforget::guard::budget::Budget;
use unforget::guard::certificate::Certificate;
use unforget::guard::check::{self, MeasureOptions, Tier};
use unforget::guard::overlap::Overlap;
use unforget::guard::suite::{Group, Suite};
use unforget::guard::verdict::{Outcome, Verdict};
use unforget::registry::{self, AdapterState, Finding, Home, Registry, ReportRecord};
use unforget::{Error, ErrorKind, Result};

use super::report::{Files, print};
use super::resolve::{self, AdapterRequest, BaseChoice, CheckTarget};
use super::{Context, interrupt, output, progress};

/// Measure what adapters make the base forget, and judge it by a budget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget check triage --domain models/suites/triage_test.jsonl      with the task it was made for\n  \
    unforget check triage --tier smoke                                  a first look: finds careless tuning\n  \
    unforget check triage --scale 0.5 --tier certify --html report.html\n  \
    unforget check mine --suite ./my-groups --budget ./budget.toml      groups and limits of your own\n\n\
    A pass of tier gate or certify certifies the adapter up to the scale; a fail makes `run` and `ask` refuse it.\n\
    Exit codes: 0 pass, 3 fail, 4 undecided.")]
pub struct Args {
    /// Adapters to measure together: names, or GGUF files
    #[arg(required = true, value_name = "NAME|FILE[=SCALE]")]
    adapters: Vec<String>,

    /// Scale of those that have none of their own
    #[arg(long, env = "UNFORGET_SCALE", value_name = "S")]
    scale: Option<f32>,

    /// How thorough: smoke, gate or certify
    #[arg(
        long,
        env = "UNFORGET_TIER",
        default_value_t = Tier::Gate,
        value_name = "TIER"
    )]
    tier: Tier,

    #[command(flatten)]
    what: MeasureArgs,
    #[command(flatten)]
    files: Files,
}

/// What is measured on which base: also the sweep's.
#[derive(Debug, Default, clap::Args)]
pub struct MeasureArgs {
    /// Base model [default: the one that the adapter belongs to]
    #[arg(short, long, env = "UNFORGET_MODEL", value_name = "NAME|FILE")]
    pub model: Option<String>,

    /// Measure on the tuned copy of the base (see `unforget tune`); the adapter's state is about the file as shipped
    #[arg(long, env = "UNFORGET_TUNED")]
    pub tuned: bool,

    /// Declared, acceptable forgetting [default: the one that ships]
    #[arg(long, env = "UNFORGET_BUDGET", value_name = "FILE")]
    pub budget: Option<PathBuf>,

    /// Groups (*.jsonl) and texts (*.txt) of your own, beside those that ship
    #[arg(long, env = "UNFORGET_SUITE", value_name = "DIR")]
    pub suite: Option<PathBuf>,

    /// Only these groups and texts, by name: a look at a part, which certifies nothing
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub groups: Vec<String>,

    /// The task that the adapter was made for: prompts with their right answers
    #[arg(long, env = "UNFORGET_DOMAIN", value_name = "FILE")]
    pub domain: Option<PathBuf>,

    /// The adapter's training rows: items that stand in them are reported
    #[arg(long, env = "UNFORGET_TRAINING", value_name = "FILE")]
    pub training: Option<PathBuf>,

    /// Measure the base again, whatever is kept of it
    #[arg(long)]
    pub no_cache: bool,

    /// Measure everything, also when the verdict stands before
    #[arg(long)]
    pub all: bool,

    /// Threads [default: one a core]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    pub threads: Option<u32>,
}

#[cfg(feature = "train")]
impl Args {
    /// The check of an adapter that was just trained on `training`, with rows held back of it for its task.
    pub fn of_trained(
        name: &str,
        tier: Tier,
        domain: Option<&Path>,
        training: &Path,
        budget: Option<&Path>,
    ) -> Self {
        Self {
            adapters: vec![name.to_owned()],
            scale: None,
            tier,
            what: MeasureArgs {
                domain: domain.map(Path::to_owned),
                training: Some(training.to_owned()),
                budget: budget.map(Path::to_owned),
                ..MeasureArgs::default()
            },
            files: Files::default(),
        }
    }
}

/// What a check is measured with.
pub struct Prepared {
    pub suite: Suite,
    pub budget: Budget,
    pub overlap: Option<Overlap>,
}

impl MeasureArgs {
    /// The base that is measured on.
    pub fn base(&self) -> BaseChoice<'_> {
        BaseChoice {
            name: self.model.as_deref(),
            tuned: self.tuned,
        }
    }

    /// Reads what the arguments name.
    pub fn prepare(&self) -> Result<Prepared> {
        let mut suite = Suite::builtin()?;
        if let Some(folder) = &self.suite {
            suite.add_folder(folder)?;
        }
        self.retain(&mut suite)?;
        if let Some(path) = &self.domain {
            suite.set_domain_file(path)?;
        }
        let budget = match &self.budget {
            Some(path) => Budget::read(path)?,
            None => Budget::embedded()?,
        };
        let overlap = match &self.training {
            Some(path) => Some(check::overlap_with(&suite, &training_rows(path)?)),
            None => None,
        };
        Ok(Prepared {
            suite,
            budget,
            overlap,
        })
    }

    /// Leaves only the groups that were named.
    fn retain(&self, suite: &mut Suite) -> Result<()> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = suite.names().map(str::to_owned).collect();
        for name in &self.groups {
            if !names.contains(name) {
                return Err(Error::UnknownName {
                    what: "group",
                    name: name.clone(),
                    nearest: registry::nearest(name, names.iter().map(String::as_str)),
                });
            }
        }
        suite.retain(|name| self.groups.iter().any(|wanted| wanted == name));
        Ok(())
    }

    /// Whether all that ships was measured.
    pub fn is_whole(&self) -> bool {
        self.groups.is_empty()
    }

    /// How a tier is measured.
    pub fn options(&self, tier: Tier, home: &Home) -> MeasureOptions {
        let mut options = MeasureOptions::of(tier);
        if self.all {
            options.sizes.looks = 1;
            options.sizes.extension = 1;
        }
        MeasureOptions {
            cache: (!self.no_cache).then(|| home.guard_cache()),
            n_threads: self.threads,
            cancel: interrupt::token(),
            ..options
        }
    }
}

/// Prompts with answers where the file is JSONL of a suite's kind, lines of text otherwise.
fn training_rows(path: &Path) -> Result<Vec<String>> {
    let text = fs_err::read_to_string(path)?;
    let rows: Vec<String> = match Group::parse("training", &text) {
        Ok(group) => group.texts().into_iter().map(|(_, text)| text).collect(),
        Err(_) => text.lines().map(str::to_owned).collect(),
    };
    Ok(rows)
}

/// The JSON of a check: the outcome, and what it is about.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    pub id: String,
    pub tier: Tier,
    max_scale: f64,
    overlap: &'a Option<Overlap>,
    report: &'a Path,
    /// State of the adapter in the registry, where it is imported.
    state: Option<AdapterState>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let judged = judge(&args, context)?;
    context
        .output
        .result(&judged.json(), |out| judged.print(out))?;
    judged.advise(context);
    Ok(exit_code(judged.verdict()))
}

/// A check that was made and is kept.
pub struct Judged {
    target: CheckTarget,
    certificate: Certificate,
    stored: ReportRecord,
    depth: Depth,
    state: Option<AdapterState>,
}

/// Measures, judges, keeps the report and moves the adapter's state.
pub fn judge(args: &Args, context: &Context) -> Result<Judged> {
    let prepared = args.what.prepare()?;
    let key = args.files.key()?;
    let registry = Registry::open(&context.home)?;
    let target = target(args, &registry)?;
    let options = args.what.options(args.tier, &context.home);
    let bar = progress::items(0);
    let checked = check::check(
        &target.model,
        &target.stack,
        &prepared.suite,
        &prepared.budget,
        &options,
        |at| {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(at.group.to_owned());
        },
    )?;
    bar.finish_and_clear();
    let body = checked.body(
        &target.model,
        &target.stack,
        &prepared.suite,
        &prepared.budget,
        args.tier,
        prepared.overlap,
    )?;
    let certificate = Certificate::seal(&body, key.as_ref())?;
    let stored = store(&registry, &context.home, &certificate, &target)?;
    let depth = Depth {
        tier: args.tier,
        whole: args.what.is_whole(),
    };
    let state = apply(&registry, &target, &certificate, depth)?;
    args.files.write(&certificate)?;
    Ok(Judged {
        target,
        certificate,
        stored,
        depth,
        state,
    })
}

impl Judged {
    pub fn json(&self) -> Json<'_> {
        let body = self.certificate.body();
        Json {
            outcome: &body.outcome,
            id: self.certificate.id().to_string(),
            tier: self.depth.tier,
            max_scale: body.max_scale,
            overlap: &body.overlap,
            report: &self.stored.path,
            state: self.state,
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.certificate.body().outcome.verdict
    }

    pub fn print(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        print(out, &self.certificate)
    }

    /// What to do next, for people.
    pub fn advise(&self, context: &Context) {
        advise(
            &self.target,
            &self.certificate,
            self.depth,
            self.state,
            context,
        );
    }
}

fn target(args: &Args, registry: &Registry) -> Result<CheckTarget> {
    let requests = args
        .adapters
        .iter()
        .map(|text| AdapterRequest::parse(text))
        .collect::<Result<Vec<_>>>()?;
    resolve::open_to_check(args.what.base(), requests, args.scale, registry)
}

/// Exit code of a verdict.
pub fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Pass => ExitCode::SUCCESS,
        Verdict::Fail => ExitCode::from(ErrorKind::Rejected.exit_code()),
        Verdict::Undecided => ExitCode::from(ErrorKind::Undecided.exit_code()),
    }
}

/// Keeps the report in the data folder.
pub fn store(
    registry: &Registry,
    home: &Home,
    certificate: &Certificate,
    target: &CheckTarget,
) -> Result<ReportRecord> {
    let body = certificate.body();
    let names: Vec<&str> = body.adapters.iter().map(|one| one.name.as_str()).collect();
    let first = body.adapters.first().ok_or_else(|| Error::Certificate {
        reason: "it is about no adapter".to_owned(),
    })?;
    let record = ReportRecord {
        id: certificate.id(),
        adapter: names.join("+"),
        adapter_sha256: first.sha256,
        base_sha256: body.base.sha256,
        verdict: body.outcome.verdict.to_string(),
        tier: body.tier.clone(),
        scale: max_scale(&target.stack),
        path: PathBuf::new(),
        created_at: 0,
    };
    registry::store_report(registry, home, record, &certificate.to_json())
}

/// How much was measured.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    pub tier: Tier,
    /// Whether no group was left out.
    pub whole: bool,
}

impl Depth {
    /// Whether a pass certifies: a first look and a part of the suite do not.
    fn certifies(self) -> bool {
        self.whole && self.tier != Tier::Smoke
    }
}

/// Moves the adapter to where the verdict puts it. Only an imported one that was measured alone, and on the file that it
/// belongs to, has a state of its own.
pub fn apply(
    registry: &Registry,
    target: &CheckTarget,
    certificate: &Certificate,
    depth: Depth,
) -> Result<Option<AdapterState>> {
    let [Some(name)] = target.imported.as_slice() else {
        return Ok(None);
    };
    // What was measured on a copy says nothing of the file that the state is about; the report itself is kept.
    if target.model.derived_from().is_some() {
        return Ok(None);
    }
    let finding = match certificate.body().outcome.verdict {
        Verdict::Fail => Finding::Failed,
        Verdict::Pass if depth.certifies() => Finding::Certified,
        Verdict::Pass | Verdict::Undecided => Finding::Open,
    };
    registry::apply_finding(registry, name, strength(target), finding).map(Some)
}

fn max_scale(stack: &AdapterStack) -> f32 {
    stack
        .iter()
        .map(|(_, scale)| scale.abs())
        .fold(0.0, f32::max)
}

/// How strongly the first adapter was measured.
pub fn strength(target: &CheckTarget) -> Strength {
    let first = target.stack.iter().next();
    first.map_or(Strength::flat(0.0), |(adapter, scale)| Strength {
        scale,
        profile: adapter.profile(),
    })
}

/// What to do next, for people.
pub fn advise(
    target: &CheckTarget,
    certificate: &Certificate,
    depth: Depth,
    state: Option<AdapterState>,
    context: &Context,
) {
    if context.output.is_json() {
        return;
    }
    let id = certificate.id().short();
    output::note(&format!(
        "report {id}; show it again with: unforget report {id}"
    ));
    let [Some(name)] = target.imported.as_slice() else {
        return;
    };
    match (certificate.body().outcome.verdict, state) {
        (Verdict::Pass, Some(AdapterState::Certified)) => output::note(&format!(
            "{name} is certified up to scale {}",
            strength(target)
        )),
        (Verdict::Pass, _) if !depth.certifies() => output::note(&format!(
            "nothing showed in this look; certify it with: unforget check {name} --tier gate"
        )),
        (Verdict::Fail, Some(AdapterState::Failed)) => output::note(&format!(
            "{name} is refused from now on; find a scale that passes with: unforget sweep {name}"
        )),
        (Verdict::Undecided, _) => output::note(&format!(
            "more items may decide: unforget check {name} --tier certify"
        )),
        _ => {}
    }
}
