//! The versions that a new one goes on from, and the rows that they were trained on.

use std::path::PathBuf;

use serde_json::Value;
use unforget::Result;
use unforget::engine::{Adapter, AdapterStack, ContentHash, Model};
use unforget::guard::check::{MeasureOptions, Tier};
use unforget::guard::suite::Suite;
use unforget::registry::{AdapterRecord, Registry};
use unforget::train::{Row, Rows};

use super::data;
use super::job::Job;
use crate::cli::versions::Scored;
use crate::cli::{interrupt, output};

/// Rows of a task that versions are scored on, where nothing says which ones were held back: as many as are held back.
const SCORED_ROWS: usize = 40;

/// Versions in the order in which they were trained, and files of rows in the order in which they were given.
pub struct Lineage {
    /// At least one.
    versions: Vec<AdapterRecord>,
    tasks: Vec<Task>,
}

/// What a version was trained on.
struct Task {
    name: String,
    rows: Rows,
    /// What decided which rows were held back, where that is known.
    seed: Option<u64>,
}

impl Lineage {
    /// The versions up to `last` that are still here, and the rows in `files`.
    pub fn of(last: AdapterRecord, files: &[PathBuf], registry: &Registry) -> Result<Self> {
        let all = registry.adapters()?;
        let mut versions = vec![last];
        while let Some(before) = origin(&versions[versions.len() - 1])["continued_sha256"].as_str()
        {
            let is_it = |record: &&AdapterRecord| record.sha256.to_string() == before;
            let seen = versions.iter().find(is_it).is_some();
            match all.iter().find(is_it).filter(|_| !seen) {
                Some(record) => versions.push(record.clone()),
                None => break,
            }
        }
        versions.reverse();
        let task = |path: &PathBuf| {
            let rows = Rows::read(path)?;
            let sha256 = rows.sha256.to_string();
            let trained = versions.iter().map(origin);
            let seed = trained
                .filter(|origin| origin["data_sha256"].as_str() == Some(&sha256))
                .find_map(|origin| origin["recipe"]["seed"].as_u64());
            let name = output::file_name(&path.with_extension(""));
            Ok(Task { name, rows, seed })
        };
        let tasks = files.iter().map(task).collect::<Result<Vec<_>>>()?;
        Ok(Self { versions, tasks })
    }

    /// The version that is continued.
    pub fn last(&self) -> &AdapterRecord {
        &self.versions[self.versions.len() - 1]
    }

    /// The files of rows.
    pub fn files(&self) -> Vec<ContentHash> {
        self.tasks.iter().map(|task| task.rows.sha256).collect()
    }

    /// Of all files together.
    pub fn digest(&self) -> ContentHash {
        let all: String = self.files().iter().map(ToString::to_string).collect();
        ContentHash::of(all.as_bytes())
    }

    /// About `n` rows that earlier versions learnt from, evenly of all.
    pub fn learnt(&self, n: usize) -> Vec<Row> {
        let rows: Vec<Row> = self.tasks.iter().flat_map(|task| task.sides().0).collect();
        let every = rows.len().div_ceil(n.max(1)).max(1);
        rows.into_iter().step_by(every).collect()
    }

    /// Every version on every task, up to `new` on the rows that were held back of its own. `None` where there is no task for
    /// each version.
    pub fn score(&self, model: &Model, new: &AdapterRecord, job: &Job) -> Result<Option<Scored>> {
        if self.versions.len() != self.tasks.len() {
            output::note(&format!(
                "versions are scored on their tasks where --earlier names the rows of each: {} versions, {} files",
                self.versions.len(),
                self.tasks.len()
            ));
            return Ok(None);
        }
        let own = output::file_name(&job.args.data.with_extension(""));
        let earlier = self
            .tasks
            .iter()
            .map(|task| (task.name.clone(), task.sides().1));
        let all = earlier.chain([(own, job.data.held.clone())]);
        let (mut names, mut tasks) = (Vec::new(), Vec::new());
        for (name, held) in all {
            let lines = data::task_lines(&held);
            let mut suite = Suite::empty();
            // One item has no spread, and rows that are more than a prompt and its answer are no task for the guard.
            if lines.lines().count() < 2 {
                output::note(&format!("{name} has too few rows to score versions on"));
                return Ok(None);
            }
            suite.set_domain(&name, &lines)?;
            names.push(name);
            tasks.push(suite);
        }
        let versions: Vec<&AdapterRecord> = self.versions.iter().chain([new]).collect();
        let stacks = versions.iter().map(|record| {
            let mut stack = AdapterStack::base();
            stack.push(
                Adapter::load(model, &record.path, &record.name)?,
                record.scale,
            )?;
            Ok(stack)
        });
        let stacks = stacks.collect::<Result<Vec<_>>>()?;
        let options = MeasureOptions {
            cache: Some(job.context.home.guard_cache()),
            n_threads: u32::try_from(job.args.n_threads()).ok(),
            cancel: interrupt::token(),
            ..MeasureOptions::of(Tier::Gate)
        };
        let versions = versions.iter().map(|record| record.name.clone()).collect();
        Scored::of(model, (versions, &stacks), (names, &tasks), &options).map(Some)
    }
}

impl Task {
    /// What was learnt and what was held back; where that is not known, all was learnt, and some of it is scored.
    fn sides(&self) -> (Vec<Row>, Vec<Row>) {
        match self.seed {
            Some(seed) => self.rows.split(seed),
            None => {
                let rows = &self.rows.rows;
                let every = rows.len().div_ceil(SCORED_ROWS).max(1);
                (rows.clone(), rows.iter().step_by(every).cloned().collect())
            }
        }
    }
}

/// What an adapter that was trained here says of how.
fn origin(record: &AdapterRecord) -> &Value {
    &record.provenance["training"]["origin"]
}
