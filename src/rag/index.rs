//! Nearest chunks by cosine: an exact scan while they are few, a walk over the index file beyond.
//!
//! The index follows the database: [`Index::refresh`] learns what came and what left since the index file was written.
//! What came is scanned exactly beside the walk, what left is passed over, so that an answer is never stale. When the
//! difference has grown large a new file is made ([`Index::settle`]): at once by who is adding and has time, else on a
//! thread of its own, while searches go on as before. Without a file, or with one that is damaged, all is scanned.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::ann::{Bits, Frozen, Unusable};
use super::epoch::Moment;
use super::filter::Allowed;
use super::freeze::{Freeze, is_only_the_cache, key};
use super::store::Store;
use super::vectors::{Best, Scored, Vectors, dot};
use crate::Result;

/// Name of the index file in a collection's folder.
pub const INDEX_FILE: &str = "index.ann";

/// Where the index file of the collection in `dir` is.
pub(super) fn index_path(dir: &Path) -> PathBuf {
    dir.join(INDEX_FILE)
}

/// Vectors up to which an exact scan is all there is: no approximation, nothing to build. Measured with 384 numbers on one
/// thread (`benches/search.rs`): a search by meaning takes 0.7 ms over so many, 0.3 ms by a walk over twice as many, and
/// embedding the question before it 1.7 ms.
pub const FLAT_LIMIT: usize = 10_000;

/// A new file is made when more than one in `SLACK` of its vectors would have to be scanned beside it or are gone, and
/// at least [`FLAT_LIMIT`]. Then all files together cost at most `SLACK` times the last; making one takes a small part of
/// the time that embedding one sixteenth of its vectors takes.
const SLACK: usize = 16;

/// A file in the making.
#[derive(Debug)]
enum Building {
    No,
    Since(JoinHandle<Result<bool>>),
    /// It failed. Nothing is gained by trying again; scanning goes on.
    Failed,
}

/// Whether to wait for a file that has to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Wait: the caller is adding, and has time.
    Wait,
    /// Go on without: somebody wants an answer.
    GoOn,
}

/// An index file in use, with what has left since.
#[derive(Debug)]
struct Live {
    frozen: Frozen,
    /// Nodes whose chunks are still there.
    here: Bits,
    gone: usize,
}

/// The vectors of one collection, searchable.
#[derive(Debug)]
pub(super) struct Index {
    freeze: Freeze,
    live: Option<Live>,
    /// Vectors that are not in the file: all of them where there is none.
    tail: Vectors,
    /// Up to where `gone` was read.
    seen: Option<Moment>,
    /// Rows of `gone` so far.
    left: usize,
    building: Building,
    /// `data_version` of the database when it was last followed; none when that has to be done again.
    version: Option<i64>,
    /// Why the file was given up, if it was.
    given_up: Option<Unusable>,
}

impl Index {
    /// An index of nothing yet.
    pub fn new(freeze: Freeze) -> Self {
        Self {
            tail: Vectors::new(freeze.dimension),
            freeze,
            live: None,
            seen: None,
            left: 0,
            building: Building::No,
            version: None,
            given_up: None,
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        let live = self.live.as_ref();
        live.map_or(0, |live| live.frozen.len() - live.gone) + self.tail.len()
    }

    /// Has the database followed again next time: this process changed it, which `data_version` does not tell.
    pub fn invalidate(&mut self) {
        self.version = None;
    }

    /// Follows the database. To be called inside of a snapshot.
    pub fn refresh(&mut self, store: &Store) -> Result<()> {
        let version = store.data_version()?;
        if self.version == Some(version) {
            return Ok(());
        }
        self.version = None;
        let now = store.moment()?;
        if self
            .seen
            .as_ref()
            .is_none_or(|seen| seen.epoch != now.epoch)
        {
            self.open(&now.epoch);
        }
        let seen = self.seen.take().map_or(0, |seen| seen.seq);
        self.leave(&store.gone_since(seen)?);
        self.seen = Some(now);
        let last = self.tail.ids().last().copied();
        let last = last.or(self.live.as_ref().and_then(|live| live.frozen.last_id()));
        let next = last.map_or(i64::MIN, |last| last.saturating_add(1));
        store.each_vector(next, |id, bytes| self.tail.push(id, bytes))?;
        self.version = Some(version);
        Ok(())
    }

    /// Opens the file of `epoch`, if it is usable.
    fn open(&mut self, epoch: &str) {
        self.tail = Vectors::new(self.freeze.dimension);
        self.live = None;
        self.seen = None;
        self.left = 0;
        self.given_up = None;
        let key = key(&self.freeze.identity, epoch);
        let path = index_path(&self.freeze.dir);
        match Frozen::open(&path, &key, self.freeze.dimension) {
            Ok(frozen) => {
                self.live = Some(Live {
                    here: Bits::all(frozen.len()),
                    gone: 0,
                    frozen,
                });
            }
            Err(Unusable::Missing) => {}
            Err(reason) => {
                tracing::info!(path = %path.display(), %reason, "the index file is not used");
            }
        }
    }

    /// Takes out the chunks that are gone.
    fn leave(&mut self, gone: &[i64]) {
        self.left += gone.len();
        let mut from_tail = Vec::new();
        for &chunk in gone {
            let node = self.live.as_ref().and_then(|live| live.frozen.find(chunk));
            match (node, &mut self.live) {
                (Some(node), Some(live)) => live.gone += usize::from(live.here.remove(node)),
                _ => from_tail.push(chunk),
            }
        }
        if !from_tail.is_empty() && self.tail.len() > 0 {
            from_tail.sort_unstable();
            self.tail.remove(&from_tail);
        }
    }

    /// Does without the file from now on: it turned out to be damaged.
    fn give_up(&mut self, reason: Unusable, store: &Store) -> Result<()> {
        tracing::warn!(%reason, "the index file is given up and will be made anew");
        self.live = None;
        self.tail = Vectors::new(self.freeze.dimension);
        store.each_vector(i64::MIN, |id, bytes| self.tail.push(id, bytes))?;
        self.given_up = Some(reason);
        Ok(())
    }

    /// Whether so little is beside the file that it need not be made anew; of few vectors, whether there is none.
    fn is_balanced(&self) -> bool {
        if self.len() <= FLAT_LIMIT {
            return self.live.is_none() && self.left <= FLAT_LIMIT;
        }
        let frozen = self.live.as_ref().map_or(0, |live| live.frozen.len());
        let tolerated = (frozen / SLACK).max(FLAT_LIMIT);
        self.given_up.is_none() && self.tail.len() <= tolerated && self.left <= tolerated
    }

    /// Sees to it that the file is up to date enough: makes it anew, or has it made. `go_on` is asked now and then while
    /// it waits, with the number of vectors that are done and the number of all.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`] when `go_on` said so. A cache that cannot be written is no reason to fail.
    pub fn settle(
        &mut self,
        patience: Patience,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<()> {
        self.collect(patience);
        if self.is_balanced() || !matches!(self.building, Building::No) {
            return Ok(());
        }
        match patience {
            Patience::Wait => self.make(go_on),
            Patience::GoOn => {
                let freeze = self.freeze.clone();
                let make = move || freeze.run(Patience::GoOn, &mut |_, _| true);
                self.building = Building::Since(std::thread::spawn(make));
                Ok(())
            }
        }
    }

    /// Makes the file anew, whatever it is like, or does away with it where there are few vectors.
    ///
    /// # Errors
    ///
    /// As [`Index::settle`].
    pub fn make(&mut self, go_on: &mut dyn FnMut(usize, usize) -> bool) -> Result<()> {
        match self.freeze.run(Patience::Wait, go_on) {
            Ok(_) => {}
            Err(error) if is_only_the_cache(&error) => {
                tracing::warn!(%error, "the index file was not written; searching goes on by scanning");
                self.building = Building::Failed;
            }
            Err(error) => return Err(error),
        }
        self.invalidate();
        Ok(())
    }

    /// Takes note of a file that was begun, if it is done or there is time to wait. The next refresh opens it.
    fn collect(&mut self, patience: Patience) {
        self.building = match std::mem::replace(&mut self.building, Building::No) {
            Building::Since(thread) if patience == Patience::Wait || thread.is_finished() => {
                self.invalidate();
                match thread.join() {
                    Ok(Ok(_)) => Building::No,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "the index file was not made; searching goes on by scanning");
                        Building::Failed
                    }
                    Err(_) => {
                        tracing::warn!(
                            "making the index file failed; searching goes on by scanning"
                        );
                        Building::Failed
                    }
                }
            }
            other => other,
        };
    }

    /// Chunk ids of the `limit` nearest, best first, ties by id; of the `allowed` ones, where some are. `ef` is the
    /// breadth of a walk.
    ///
    /// # Errors
    ///
    /// What the database says, when it has to be read because the file turned out to be damaged.
    pub fn nearest(
        &mut self,
        store: &Store,
        query: &[f32],
        limit: usize,
        ef: usize,
        allowed: Option<&Allowed>,
    ) -> Result<Vec<i64>> {
        match self.in_file(query, limit, ef, allowed) {
            Ok(found) => Ok(self.with_tail(query, limit, allowed, found)),
            Err(reason) => {
                self.give_up(reason, store)?;
                Ok(self.with_tail(query, limit, allowed, Vec::new()))
            }
        }
    }

    /// The best in the file, by chunk id.
    fn in_file(
        &self,
        query: &[f32],
        limit: usize,
        ef: usize,
        allowed: Option<&Allowed>,
    ) -> std::result::Result<Vec<(i64, f32)>, Unusable> {
        let Some(live) = &self.live else {
            return Ok(Vec::new());
        };
        let among = allowed.map(|allowed| live.among(allowed));
        let among = among.as_ref().or((live.gone > 0).then_some(&live.here));
        let mut best = Best::of(limit);
        live.frozen.nearest(query, ef, among, &mut best)?;
        let found = best.into_sorted();
        let pairs = found.iter().map(|found| {
            let id = live.frozen.id(found.row);
            id.map(|id| (id, found.score))
        });
        Ok(pairs.flatten().collect())
    }

    /// Both together.
    fn with_tail(
        &self,
        query: &[f32],
        limit: usize,
        allowed: Option<&Allowed>,
        mut found: Vec<(i64, f32)>,
    ) -> Vec<i64> {
        let mut best = Best::of(limit);
        let rows = (0u32..).take(self.tail.len());
        let rows = rows.filter(|&row| {
            let id = || self.tail.id(row);
            allowed.is_none_or(|allowed| id().is_some_and(|id| allowed.has(id)))
        });
        self.tail.scan(query, rows, &mut best);
        let tail = best.into_sorted();
        found.extend(
            tail.iter()
                .filter_map(|&Scored { row, score }| Some((self.tail.id(row)?, score))),
        );
        found.sort_by(|(id_a, a), (id_b, b)| b.total_cmp(a).then(id_a.cmp(id_b)));
        found.truncate(limit);
        found.into_iter().map(|(id, _)| id).collect()
    }

    /// Cosine of one chunk to `query`.
    pub fn score(&self, id: i64, query: &[f32]) -> Option<f32> {
        if let Some(row) = self.tail.find(id) {
            return Some(dot(query, self.tail.row(row)));
        }
        let live = self.live.as_ref()?;
        let node = live.frozen.find(id).filter(|&node| live.here.has(node))?;
        live.frozen.score(node, query).ok()
    }
}

impl Live {
    /// The nodes of the chunks that are `allowed` and still here. Both ascend.
    fn among(&self, allowed: &Allowed) -> Bits {
        let mut bits = Bits::none(self.frozen.len());
        let mut nodes = (0u32..).take(self.frozen.len()).peekable();
        for &chunk in allowed.chunks() {
            while nodes
                .next_if(|&node| self.frozen.id(node).is_some_and(|id| id < chunk))
                .is_some()
            {}
            let here = |&node: &u32| self.frozen.id(node) == Some(chunk) && self.here.has(node);
            if let Some(node) = nodes.next_if(here) {
                bits.add(node);
            }
        }
        bits
    }
}
