//! How often, and after how long, a request that failed in passing is tried again.

use std::time::Duration;

use super::progress::Watch;
use crate::{Error, Result};

/// Tries without a byte gained between them. With the delays below that is about four seconds: long enough for a
/// restarted server or a changed network, short enough to be told that there is none.
const MAX_TRIES: u32 = 5;

/// Delay before the second try; doubled for each one after it.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Longest delay, also of one that a server asks for by `Retry-After`: nobody watches a bar that stands for longer.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// Counts failures in a row.
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Something was gained: the next failure is a first one again.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Sleeps before the next try, or fails with the reason where that was the last one.
    pub(super) fn wait(
        &mut self,
        source: &str,
        reason: &str,
        asked: Option<Duration>,
        watch: &Watch<'_>,
    ) -> Result<()> {
        self.failures += 1;
        if self.failures >= MAX_TRIES {
            return Err(Error::Fetch {
                source_name: source.to_owned(),
                reason: format!(
                    "{reason}, {MAX_TRIES} times in a row; what came is kept, try again later"
                ),
            });
        }
        let delay = asked.unwrap_or_else(|| self.delay()).min(MAX_DELAY);
        tracing::warn!(source, reason, ?delay, "fetch failed; trying again");
        watch.sleep(delay)
    }

    fn delay(&self) -> Duration {
        FIRST_DELAY.saturating_mul(1 << self.failures.saturating_sub(1).min(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double() {
        let delays: Vec<_> = (1..=3)
            .map(|failures| Backoff { failures }.delay())
            .collect();
        assert_eq!(delays, [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY * 4]);
    }
}
