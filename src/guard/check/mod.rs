//! A check: base against base with adapters, on a suite, until the verdict stands.
//!
//! The base is measured first and its records are cached; items are taken in parts, and after each part the figures are
//! looked at: once the verdict cannot change within its error, the rest is saved.

mod body;
mod floor;
mod run;
mod share;
mod tier;
pub(super) mod tracks;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;

pub use body::{overlap_with, rows_in_suite};
pub use run::{Checked, check};
pub use tier::{Sizes, Tier};

use floor::Floor;
use share::{Share, take_part};

use super::cache::BaseCache;
use super::measure::{AnswerFormat, Run, Track};
use super::measurement::{Measurements, NoiseFloor, Work};
use super::null;
use super::stats::sequential::{Look, Plan};
use super::suite::Suite;
use crate::engine::{AdapterStack, CancelToken, ContentHash, Model, ScorerOptions};
use crate::{Error, Result};

/// Changes when a probe measures differently: older records are then not used.
const CACHE_VERSION: u32 = 2;

/// One half of every group's items, for picking on one and certifying on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Every second item, from the first.
    First,
    /// The others.
    Second,
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct MeasureOptions {
    /// How much.
    pub sizes: Sizes,
    /// Judge only what there are enough items for, as the smoke tier does.
    pub screen: bool,
    /// Only one half of the items, in a sweep.
    pub half: Option<Half>,
    /// Take the whole domain already at the first look: what was gained is then known wherever the check stops.
    pub gain_first: bool,
    /// Where the base's records are kept; nowhere if none.
    pub cache: Option<PathBuf>,
    /// The format that the adapter was trained to answer in, where it is known from elsewhere than the suite's domain.
    pub format: Option<AnswerFormat>,
    /// Threads; by default one a core.
    pub n_threads: Option<u32>,
    /// Stops the work.
    pub cancel: CancelToken,
}

impl MeasureOptions {
    /// Of a tier, without a cache.
    #[must_use]
    pub fn of(tier: Tier) -> Self {
        Self {
            sizes: tier.sizes(),
            screen: tier == Tier::Smoke,
            half: None,
            gain_first: false,
            cache: None,
            format: None,
            n_threads: None,
            cancel: CancelToken::default(),
        }
    }
}

/// Where a check is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The group that is measured now.
    pub group: &'a str,
    /// Items done, of all groups.
    pub done: usize,
    /// Items of all groups.
    pub total: usize,
    /// The look that they are for.
    pub look: Look,
}

/// What to measure after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the verdict stands.
    Stop,
    /// All groups but these, whose part of the verdict stands.
    Without(HashSet<String>),
    /// Only these, which are left open, beyond what was planned.
    Extend(HashSet<String>),
}

/// Measures `stack` against the base in parts; `decide` looks at the figures after each part, knowing how many
/// items each group has in all, and says what to measure next.
///
/// # Errors
/// [`Error::InvalidArgument`] without an adapter that has an effect, [`Error::NonFinite`] for logits that are no numbers,
/// [`Error::Interrupted`], what the suite's items or the engine fail with, and what `decide` returns.
pub fn measure(
    model: &Model,
    stack: &AdapterStack,
    suite: &Suite,
    plan: Plan,
    options: &MeasureOptions,
    mut progress: impl FnMut(Progress<'_>),
    mut decide: impl FnMut(&Measurements, Look, &HashMap<String, usize>) -> Result<Next>,
) -> Result<Measurements> {
    let started = Instant::now();
    if stack.iter().all(|(_, scale)| scale == 0.0) {
        return Err(Error::InvalidArgument {
            what: "adapters",
            value: "none at a scale above 0".to_owned(),
            expected: "at least one to measure".to_owned(),
        });
    }
    if let Some((adapter, scale)) = stack.iter().find(|(_, scale)| *scale < 0.0) {
        return Err(Error::InvalidArgument {
            what: "scale",
            value: format!("{}={scale}", adapter.name()),
            expected: "a scale above 0, since a certificate holds from 0 up to it".to_owned(),
        });
    }
    let halved;
    let suite = match options.half {
        None => suite,
        Some(half) => {
            halved = suite.half(half == Half::First);
            &halved
        }
    };
    let mut tracks = tracks::tracks(model, suite, options.format.as_ref(), &options.sizes)?;
    if tracks.is_empty() {
        return Err(Error::InvalidArgument {
            what: "suite",
            value: String::new(),
            expected: "at least one group".to_owned(),
        });
    }
    let cache = cache(model, options)?;
    let n_cached: usize = match &cache {
        Some(cache) => tracks.iter_mut().map(|track| track.load(cache)).sum(),
        None => 0,
    };
    let scorer = scorer_options(options);
    let mut run = Run::new(model, stack, scorer, &options.cancel);
    let totals = tracks
        .iter()
        .map(|track| (track.group().to_owned(), track.n_planned()))
        .collect();
    let mut next = Next::Without(HashSet::new());
    let gain_first = options.gain_first;
    if let Some(look) = plan.looks().next() {
        // What the first look takes anyway is measured at once.
        let share = Share::new(&tracks, look, &next, gain_first);
        for track in &mut tracks {
            let n = options.sizes.noise.max(options.sizes.nulls);
            track.prepare_noise_floor(n.max(share.of(track.as_ref())), &mut run)?;
        }
    }
    let noise = noise_floor(&tracks, &options.sizes, &mut run, cache.as_ref())?;

    let mut measured = None;
    let mut floor: Option<Floor> = None;
    for look in plan.looks() {
        let share = Share::new(&tracks, look, &next, gain_first);
        let done = take_part(&mut tracks, &share, &mut run, &mut progress);
        if let Some(cache) = &cache {
            // Also what was measured before an error: it is right.
            tracks.iter().for_each(|track| track.store(cache));
        }
        done?;
        let mut seconds = started.elapsed().as_secs_f64();
        let bare = match floor {
            Some(bare) => {
                seconds -= bare.seconds;
                bare
            }
            // Taken once, when everything is warm, and not counted.
            None => *floor.insert(Floor::measure(&run)?),
        };
        let work = bare.work(&tracks, &run, seconds, n_cached);
        let figures = collect(&tracks, noise.clone(), work)?;
        next = decide(&figures, look, &totals)?;
        measured = Some(figures);
        let goes_on = match &next {
            Next::Stop => false,
            Next::Without(_) => true,
            Next::Extend(open) => tracks
                .iter()
                .any(|track| open.contains(track.group()) && track.done() < track.n_items()),
        };
        if !goes_on {
            break;
        }
    }
    measured.ok_or_else(|| Error::Measurement {
        group: "all".to_owned(),
        reason: "nothing was measured".to_owned(),
    })
}

fn collect(tracks: &[Box<dyn Track>], noise: Vec<NoiseFloor>, work: Work) -> Result<Measurements> {
    let mut series = Vec::new();
    for track in tracks {
        series.extend(track.series()?);
    }
    let text = tracks
        .iter()
        .filter_map(|track| track.divergence())
        .collect();
    Measurements::new(series, text, noise, work)
}

/// Harm where there is none: the base against its own records, through the same machinery, and against other nulls.
/// These depend on the base and the items alone, so they are kept.
fn noise_floor(
    tracks: &[Box<dyn Track>],
    sizes: &Sizes,
    run: &mut Run<'_>,
    cache: Option<&BaseCache>,
) -> Result<Vec<NoiseFloor>> {
    let cancel = run.cancel();
    let mut floors = Vec::new();
    for track in tracks.iter() {
        floors.extend(track.noise_floor(sizes.noise, "base", run.base()?, cancel)?);
    }
    if sizes.nulls > 0 {
        floors.extend(kept_nulls(tracks, sizes.nulls, run, cache)?);
    }
    Ok(floors)
}

fn kept_nulls(
    tracks: &[Box<dyn Track>],
    n: usize,
    run: &Run<'_>,
    cache: Option<&BaseCache>,
) -> Result<Vec<NoiseFloor>> {
    let parts = tracks.iter().map(|track| track.content().to_string());
    let key = format!("nulls 1 {n} {}", parts.collect::<Vec<_>>().join(" "));
    let key = ContentHash::of(key.as_bytes());
    let kept = cache.and_then(|cache| serde_json::from_slice(&cache.load(key)?).ok());
    if let Some(floors) = kept {
        return Ok(floors);
    }
    let floors = null::noise_floor(run.model(), tracks, n, run.options(), run.cancel())?;
    if let (Some(cache), Ok(bytes)) = (cache, serde_json::to_vec(&floors)) {
        cache.store(key, &bytes);
    }
    Ok(floors)
}

/// Two contexts a stack: with two threads each has one to itself, which never waits. More would take more memory.
pub(super) fn scorer_options(options: &MeasureOptions) -> ScorerOptions {
    ScorerOptions {
        n_threads: options.n_threads,
        n_workers: 2,
        ..ScorerOptions::default()
    }
}

pub(super) fn cache(model: &Model, options: &MeasureOptions) -> Result<Option<BaseCache>> {
    let Some(folder) = &options.cache else {
        return Ok(None);
    };
    let engine = format!("{CACHE_VERSION} {}", model.arithmetic());
    Ok(Some(BaseCache::new(
        folder.clone(),
        model.sha256()?,
        &engine,
    )))
}
