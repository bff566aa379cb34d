//! Which machine something was measured on.

use crate::Result;
use crate::engine::{ContentHash, devices, system_info};

/// A hash of what decides how fast a layout is here: the engine's kernels, the cores and the devices.
///
/// # Errors
/// [`crate::Error::Engine`] if the engine does not start.
pub fn machine() -> Result<ContentHash> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!("{cores}\n{}", system_info()?);
    for device in devices()? {
        text.push_str(&format!("\n{device}"));
    }
    Ok(ContentHash::of(text.as_bytes()))
}
