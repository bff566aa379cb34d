//! Progress on long work: a bar on stderr, where a person is looking; nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes, as a spinner until [`with_total`] says how many.
pub fn bytes() -> ProgressBar {
    styled(
        ProgressBar::new_spinner(),
        "{msg:10} {spinner} {bytes} {bytes_per_sec}",
    )
}

/// Turns a spinner into a bar, once its length is set.
pub fn with_total(bar: &ProgressBar) {
    restyle(
        bar,
        "{msg:10} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
}

/// A bar over things, such as documents.
pub fn items(total: u64) -> ProgressBar {
    styled(
        ProgressBar::new(total),
        "{msg} [{bar:30}] {pos}/{len} {eta}",
    )
}

/// A bar over bytes of work, which says in words what it is at.
pub fn work() -> ProgressBar {
    styled(
        ProgressBar::new(0),
        "[{bar:30}] {percent}% {eta} {wide_msg}",
    )
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    restyle(&bar, template);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn restyle(bar: &ProgressBar, template: &str) {
    // The templates are constants of this file.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}
