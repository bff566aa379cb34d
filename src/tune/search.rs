//! The search itself: candidates in turn, then settings, then the file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use unforget_quant::gguf::Gguf;
use unforget_quant::rewrite::{Job as Pass, Options, rewrite};

use super::choice::{Budget, Verdict, fastest, judge};
use super::journal::Journal;
use super::layout::Layout;
use super::measure::{Bench, Measured};
use super::settings::{self, Settings};
use super::{candidates, machine};
use crate::engine::{CancelToken, ContentHash, Job, Model, ModelOptions, text_windows};
use crate::prose::{PROSE, WINDOW};
use crate::rewrite::known;
use crate::{Error, Result};

/// Memory of its own, as a share of the file, from which on a layout is also tried where it lies.
const REPACKED: f64 = 0.1;

/// What to tune, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The file as shipped.
    pub shipped: &'a Path,
    /// Its hash.
    pub sha256: ContentHash,
    /// Where the chosen file goes.
    pub folder: &'a Path,
    /// Where the journal and candidates lie.
    pub scratch: &'a Path,
    /// How far the result may be from the file as shipped.
    pub budget: Budget,
    /// The work that it is to be fast at.
    pub job: Job,
    /// Measurements of each candidate, beside as many of the file as shipped.
    pub rounds: usize,
    /// Tokens of text that the distance is measured on.
    pub n_tokens: usize,
    /// Measure again what a search before this one has measured.
    pub fresh: bool,
    /// Stops it.
    pub cancel: CancelToken,
}

/// Where the search is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is being measured.
    pub step: &'a str,
    /// Steps done.
    pub done: usize,
    /// Steps known of so far.
    pub total: usize,
}

/// A candidate and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// Why it was taken or not.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a search found.
#[derive(Debug, Clone, Serialize)]
pub struct Tuned {
    /// Hash of the file as shipped.
    pub base_sha256: ContentHash,
    /// The chosen file: the one as shipped, or a copy of it.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: ContentHash,
    /// The chosen layout, in words.
    pub layout: String,
    /// Whether weights are computed with where they lie.
    pub mapped: bool,
    /// Threads and batch sizes.
    pub settings: Settings,
    /// How far it may be from the file as shipped.
    pub budget: Budget,
    /// The work that it is fast at.
    pub job: Job,
    /// All candidates; the first is the file as shipped.
    pub candidates: Vec<Candidate>,
    /// The machine that this holds for: see [`machine`](super::machine).
    pub machine: ContentHash,
    /// How long the search took.
    pub seconds: f64,
}

impl Tuned {
    /// The candidate that was chosen.
    #[must_use]
    pub fn chosen(&self) -> Option<&Candidate> {
        let mut candidates = self.candidates.iter();
        candidates.find(|candidate| candidate.verdict == Verdict::Chosen)
    }
}

/// Searches the fastest layout inside the budget and writes it.
///
/// # Errors
/// [`Error::WrongModelKind`] for an embedder, [`Error::InvalidArgument`] for sizes of nothing or a budget that is no
/// number from 0 up, [`Error::Interrupted`] (the journal stays), [`Error::DiskFull`], and what the engine fails with.
pub fn tune(request: &Request<'_>, mut progress: impl FnMut(Progress<'_>)) -> Result<Tuned> {
    let start = Instant::now();
    if !(request.budget.kl >= 0.0 && request.budget.kl.is_finite()) {
        return Err(Error::InvalidArgument {
            what: "KL budget",
            value: request.budget.kl.to_string(),
            expected: "a number of nats a token, 0 or more".to_owned(),
        });
    }
    let source = Gguf::open(request.shipped)?;
    let options = ModelOptions {
        sha256: Some(request.sha256),
        ..ModelOptions::default()
    };
    let shipped = Model::open(request.shipped, options)?;
    let windows = text_windows(&shipped, PROSE, WINDOW, request.n_tokens)?;
    let machine = machine()?;
    let mut search = Search {
        request,
        source: &source,
        bench: Bench {
            shipped: &shipped,
            windows: &windows,
            job: request.job,
            rounds: request.rounds,
            budget: request.budget,
            cancel: &request.cancel,
        },
        journal: Journal::open(request.scratch, key(request, machine), request.fresh),
        layouts: Vec::new(),
        measured: Vec::new(),
        total: 0,
        progress: &mut progress,
    };
    search.run()?;
    let at = fastest(&search.measured, request.budget);
    let layout = search.layouts[at].clone();
    let (path, sha256) = search.write(&layout)?;
    let settings = search.settings(&path, layout.mapped)?;
    let Search {
        measured, journal, ..
    } = search;
    journal.finish();
    let verdicts = judge(&measured, request.budget);
    let candidates = measured
        .into_iter()
        .zip(verdicts)
        .map(|(measured, verdict)| Candidate { measured, verdict });
    Ok(Tuned {
        base_sha256: request.sha256,
        path,
        sha256,
        layout: layout.to_string(),
        mapped: layout.mapped,
        settings,
        budget: request.budget,
        job: request.job,
        candidates: candidates.collect(),
        machine,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// What measurements must have in common to be compared. The budget is part of it: it decides how long is measured.
fn key(request: &Request<'_>, machine: ContentHash) -> ContentHash {
    let Request {
        sha256,
        budget,
        job,
        rounds,
        n_tokens,
        ..
    } = request;
    let text = format!("{sha256}\n{machine}\n{budget:?}\n{job:?}\n{rounds}\n{n_tokens}");
    ContentHash::of(text.as_bytes())
}

struct Search<'a> {
    request: &'a Request<'a>,
    source: &'a Gguf,
    bench: Bench<'a>,
    journal: Journal,
    layouts: Vec<Layout>,
    measured: Vec<Measured>,
    total: usize,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Search<'_> {
    fn run(&mut self) -> Result<()> {
        let budget = self.request.budget;
        self.measure_all(candidates::uniform(self.source))?;
        let best = fastest(&self.measured, budget);
        let first = self.layouts.len();
        let swaps = candidates::swapped(&self.layouts, &self.measured, budget);
        self.measure_all(swaps)?;
        let swaps: Vec<_> = self.layouts[first..]
            .iter()
            .cloned()
            .zip(self.measured[first..].iter().cloned())
            .collect();
        let best = (&self.layouts[best], &self.measured[best]);
        let together = candidates::combined(best, &swaps, budget);
        self.measure_all(together.into_iter().collect())?;
        // Where the best one was put into another order, the same without that takes less memory.
        let best = fastest(&self.measured, budget);
        let repacked = |at: usize| {
            let Measured {
                own_bytes, bytes, ..
            } = self.measured[at];
            own_bytes as f64 > REPACKED * bytes as f64
        };
        let mut places = vec![0, best];
        places.dedup();
        places.retain(|&at| repacked(at));
        let mapped = places
            .into_iter()
            .map(|at| self.layouts[at].clone().as_mapped());
        self.measure_all(mapped.collect())
    }

    /// Measures what was not measured before: not in this search, and not in one that was stopped.
    fn measure_all(&mut self, layouts: Vec<Layout>) -> Result<()> {
        let layouts = candidates::distinct(layouts, &self.layouts, self.source);
        self.total += layouts.len();
        for layout in layouts {
            let name = layout.to_string();
            (self.progress)(Progress {
                step: &name,
                done: self.measured.len(),
                total: self.total,
            });
            let measured = match self.journal.get(&name) {
                Some(known) => known.clone(),
                None => {
                    let measured = self.measure(&layout, &name)?;
                    self.journal.add(measured.clone())?;
                    measured
                }
            };
            self.layouts.push(layout);
            self.measured.push(measured);
        }
        Ok(())
    }

    fn measure(&self, layout: &Layout, name: &str) -> Result<Measured> {
        if layout.is_shipped() {
            return self
                .bench
                .measure(self.request.shipped, name, layout.mapped);
        }
        // Removed again however this ends; its pages go with it.
        let folder = tempfile::tempdir_in(self.request.scratch)?;
        let path = folder.path().join("candidate.gguf");
        self.store(layout, &path)?;
        self.bench.measure(&path, name, layout.mapped)
    }

    fn store(&self, layout: &Layout, out: &Path) -> Result<()> {
        let mut metadata = self.source.metadata().clone();
        metadata
            .set(
                "unforget.tune.base_sha256",
                self.request.sha256.to_string().as_str(),
            )
            .set("unforget.tune.layout", layout.to_string().as_str());
        let options = Options {
            n_threads: 0,
            cancel: Some(self.request.cancel.flag()),
            progress: None,
        };
        let types = layout.types(self.source);
        let pass = Pass {
            source: self.source,
            metadata,
            types: &types,
            change: None,
            imatrix: None,
        };
        rewrite(&pass, out, &options).map_err(known)?;
        Ok(())
    }

    /// The chosen file: the one as shipped where only the way it is computed with differs.
    fn write(&mut self, layout: &Layout) -> Result<(PathBuf, ContentHash)> {
        if layout.is_shipped() {
            return Ok((self.request.shipped.to_owned(), self.request.sha256));
        }
        (self.progress)(Progress {
            step: "writing",
            done: self.measured.len(),
            total: self.total + 1,
        });
        let out = self
            .request
            .folder
            .join(layout.file_name(self.request.shipped));
        self.store(layout, &out)?;
        let sha256 = ContentHash::of_file(&out)?;
        Ok((out, sha256))
    }

    fn settings(&mut self, path: &Path, mapped: bool) -> Result<Settings> {
        let options = ModelOptions {
            mapped,
            ..ModelOptions::default()
        };
        let model = Model::open(path, options)?;
        let (job, rounds) = (self.request.job, self.request.rounds);
        let done = self.measured.len();
        let total = self.total;
        settings::search(&model, job, rounds, &self.request.cancel, |step| {
            (self.progress)(Progress { step, done, total });
        })
    }
}
