//! Scores an adapter's versions on the tasks that they were trained for, one after another: the matrix of
//! [`super::continual`].

use super::check::{MeasureOptions, cache, scorer_options, tracks};
use super::continual::ScoreMatrix;
use super::measure::{Run, Track};
use super::measurement::Series;
use super::metric::Metric;
use super::suite::{DOMAIN, Suite};
use crate::engine::{AdapterStack, Model};
use crate::{Error, Result};

/// Scores every version on every task, and the base on every task. Task `i` is the one that version `i` was trained
/// for: `versions` and `tasks` are as many, in the order of training. A task is a suite's domain; its score is the share
/// of right answers ([`Metric::ExactMatch`]) or right choices ([`Metric::Acc`]).
///
/// # Errors
/// [`Error::InvalidArgument`] where there are not as many tasks as versions, or a suite has no domain; what measuring
/// fails with.
pub fn score(
    model: &Model,
    versions: &[AdapterStack],
    tasks: &[Suite],
    options: &MeasureOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<ScoreMatrix> {
    if versions.len() != tasks.len() {
        return Err(Error::InvalidArgument {
            what: "tasks",
            value: tasks.len().to_string(),
            expected: format!(
                "{}, one for each version, in the order in which they were trained",
                versions.len()
            ),
        });
    }
    let scorer = scorer_options(options);
    let mut untrained = vec![0.0; tasks.len()];
    let mut scores = Vec::new();
    // Without a cache of its own the base would be measured again for each version.
    let scratch = tempfile::tempdir()?;
    let options = MeasureOptions {
        cache: options
            .cache
            .clone()
            .or_else(|| Some(scratch.path().to_owned())),
        ..options.clone()
    };
    let cache = cache(model, &options)?;
    for (i, stack) in versions.iter().enumerate() {
        let mut run = Run::new(model, stack, scorer.clone(), &options.cancel);
        let mut row = Vec::new();
        for (j, task) in tasks.iter().enumerate() {
            progress(i, j);
            let mut track = domain(model, task, &options)?;
            cache.iter().for_each(|cache| {
                track.load(cache);
            });
            track.advance(track.n_planned(), &mut run)?;
            cache.iter().for_each(|cache| track.store(cache));
            let series = share_right(track.as_ref())?;
            untrained[j] = series.base_mean();
            row.push(series.adapted_mean());
        }
        scores.push(row);
    }
    ScoreMatrix::new(scores, untrained)
}

fn domain(model: &Model, task: &Suite, options: &MeasureOptions) -> Result<Box<dyn Track>> {
    let mut all = tracks::tracks(model, task, None, &options.sizes)?;
    let at = all.iter().position(|track| track.group() == DOMAIN);
    at.map(|at| all.swap_remove(at))
        .ok_or_else(|| Error::InvalidArgument {
            what: "task",
            value: String::new(),
            expected: "items with a right answer".to_owned(),
        })
}

fn share_right(track: &dyn Track) -> Result<Series> {
    let found = track
        .series()?
        .into_iter()
        .find(|series| matches!(series.metric(), Metric::ExactMatch | Metric::Acc));
    found.ok_or_else(|| Error::Measurement {
        group: track.group().to_owned(),
        reason: "it has no share of right answers".to_owned(),
    })
}
