//! The thread that writes blocks: nobody who waits for an answer waits for a disk.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use super::folder::Folder;
use super::key::BlockKey;
use crate::error::Result;

/// Blocks that may wait to be written. More would only be memory: whoever keeps a long prefix is done with its answer,
/// and waits.
pub(super) const WAITING: usize = 8;

enum Job {
    Write(BlockKey, Vec<u8>),
    /// Blocks of a prefix that were used, from the first on.
    Used(Vec<BlockKey>),
}

/// The thread. Dropping it waits until all is written.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(folder: Folder) -> Result<Self> {
        let (jobs, todo) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("prefix-cache".to_owned())
            .spawn(move || work(&folder, &todo))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Writes a block some time soon.
    pub(super) fn write(&self, key: BlockKey, payload: Vec<u8>) {
        self.send(Job::Write(key, payload));
    }

    /// As [`Self::write`], for one that must not wait: false where there is enough to do already.
    #[cfg(feature = "serve")]
    pub(super) fn write_if_idle(&self, key: BlockKey, payload: Vec<u8>) -> bool {
        let jobs = self.jobs.as_ref();
        jobs.is_some_and(|jobs| jobs.try_send(Job::Write(key, payload)).is_ok())
    }

    /// Remembers that a prefix was used, by the keys of its blocks.
    pub(super) fn used(&self, keys: Vec<BlockKey>) {
        self.send(Job::Used(keys));
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // A thread that has gone keeps nothing, which costs time only.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported, and concerns no answer.
            let _ = thread.join();
        }
    }
}

fn work(folder: &Folder, todo: &Receiver<Job>) {
    let mut has_grown = false;
    loop {
        let job = match todo.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Disconnected) if !has_grown => return,
            Err(_) => {
                if std::mem::take(&mut has_grown)
                    && let Err(error) = folder.trim(SystemTime::now())
                {
                    tracing::warn!(%error, "the prefix cache could not be trimmed");
                }
                match todo.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            }
        };
        match job {
            Job::Write(key, payload) => match folder.write(&key, &payload) {
                Ok(()) => has_grown = true,
                Err(error) => {
                    // A full disk, for one: the next prompt is computed.
                    tracing::warn!(%error, "a block of the prefix cache could not be written");
                }
            },
            // The first one last: without it the others are of no use.
            Job::Used(keys) => keys.iter().rev().for_each(|key| folder.touch(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_over_is_written_when_it_is_dropped() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path(), 1 << 20).unwrap();
        let writer = Writer::start(folder.clone()).unwrap();
        for n in 0..20 {
            writer.write(BlockKey::of([n; 32]), vec![n; 1000]);
        }
        drop(writer);
        assert!((0..20).all(|n| folder.read(&BlockKey::of([n; 32])).is_some()));
    }

    #[test]
    fn it_trims_before_it_ends() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path(), 0).unwrap();
        let writer = Writer::start(folder.clone()).unwrap();
        writer.write(BlockKey::of([1; 32]), vec![1; 1000]);
        drop(writer);
        assert!(!folder.has(&BlockKey::of([1; 32])));
    }
}
