//! One pull of a name at a time, among all processes.

use std::fs::TryLockError;

use fs_err as fs;

use super::progress::{TICK, Watch};
use crate::Result;
use crate::registry::home::Home;

/// Waits until no other process pulls `name`. The lock ends with the value, and with the process.
pub(super) fn acquire(home: &Home, name: &str, watch: &Watch<'_>) -> Result<fs::File> {
    let folder = home.cache().join("locks");
    home.create(&folder)?;
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(name))?;
    let mut told = false;
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    tracing::info!(name, "another process is pulling this; waiting for it");
                    told = true;
                }
                watch.sleep(TICK)?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}
