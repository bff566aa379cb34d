//! How long a draft may be: as long as it pays, by what computing costs here and by how many tokens were right of late.
//!
//! Whatever the text, drafting loses little: losses are paid from a credit, which grows by a small share of the time that
//! plain steps take, and by what drafts have gained.

use std::time::Duration;

/// Most tokens of a draft. Beyond it the share that pays grows slowly; attention is computed as for one token up to 63.
const MAX_LENGTH: usize = 24;

/// Share of the time of plain steps that may be lost to drafts that were wrong.
const SHARE: f64 = 0.015;

/// What may be lost before anything is known, in plain steps.
const FIRST_CREDIT: f64 = 0.7;

/// Most credit, in plain steps: a long quotation does not pay for endless wrong drafts after it.
const MAX_CREDIT: f64 = 8.0;

/// Weight of the newest measurement of time.
const NEWEST: f64 = 0.1;

/// What older outcomes count, draft by draft.
const MEMORY: f64 = 0.85;

/// What outcomes count after a step without a draft: drafts that were wrong are forgiven in the course of a sentence.
const FORGIVING: f64 = 0.95;

/// A measurement beyond so many times what is usual is taken for so many times: something else kept the machine busy.
const OUTLIER: f64 = 3.0;

/// Costs in seconds, and what became of drafts.
#[derive(Debug, Default)]
pub(super) struct Pace {
    costs: Option<Costs>,
    /// Drafted tokens that were right, and all that were compared.
    right: f64,
    compared: f64,
}

#[derive(Debug)]
struct Costs {
    /// A step without a draft.
    plain: f64,
    /// Each token of a draft on top of it.
    each: f64,
    credit: f64,
}

impl Pace {
    /// A step with a draft of `length` took so long, and `accepted` of its tokens were right.
    pub(super) fn learn(&mut self, took: Duration, length: usize, accepted: usize) {
        let seconds = took.as_secs_f64();
        let Some(costs) = &mut self.costs else {
            // Until it is known, a token of a draft is taken to cost a third of a step.
            self.costs = (length == 0).then_some(Costs {
                plain: seconds,
                each: seconds / 3.0,
                credit: FIRST_CREDIT * seconds,
            });
            return;
        };
        costs.learn(seconds, length, accepted);
        let memory = if length == 0 { FORGIVING } else { MEMORY };
        self.right = self.right * memory + accepted as f64;
        self.compared = self.compared * memory + (accepted + 1).min(length) as f64;
    }

    /// How many tokens to draft: none before the first step has been measured.
    pub(super) fn length(&self) -> usize {
        let Some(costs) = &self.costs else {
            return 0;
        };
        // One of two, where nothing is known.
        let probability = (self.right + 1.0) / (self.compared + 2.0);
        let (mut best, mut best_rate) = (0, 1.0 / costs.plain);
        // A step gives its own token, the first of the draft if that is right, the second if both are.
        let (mut expected, mut all_right) = (1.0, 1.0);
        for length in 1..=MAX_LENGTH {
            all_right *= probability;
            expected += all_right;
            let extra = length as f64 * costs.each;
            let rate = expected / (costs.plain + extra);
            if rate > best_rate && extra <= costs.credit {
                (best, best_rate) = (length, rate);
            }
        }
        best
    }
}

impl Costs {
    fn learn(&mut self, seconds: f64, length: usize, accepted: usize) {
        let follow = |mean: &mut f64, value: f64| {
            *mean += NEWEST * (value.clamp(0.0, OUTLIER * *mean) - *mean);
        };
        if length == 0 {
            follow(&mut self.plain, seconds);
            self.credit += SHARE * self.plain;
        } else {
            // Never nothing: the mean could not grow again.
            let each = ((seconds - self.plain) / length as f64).max(0.01 * self.plain);
            follow(&mut self.each, each);
            let gained = (accepted + 1) as f64 * self.plain - seconds;
            self.credit += gained.max(-2.0 * length as f64 * self.each);
        }
        self.credit = self.credit.min(MAX_CREDIT * self.plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: f64 = 5e-3;
    const EACH: f64 = 1e-3;

    /// Decodes `n` tokens where each drafted token is right with a chance, by a fixed sequence; returns how many times
    /// faster that is than without drafts.
    fn speedup(n: usize, right: impl Fn(usize) -> bool) -> f64 {
        let mut pace = Pace::default();
        let (mut made, mut seconds) = (0, 0.0);
        while made < n {
            let length = pace.length();
            let accepted = (0..length).take_while(|i| right(made + i)).count();
            let took = PLAIN + EACH * length as f64;
            pace.learn(Duration::from_secs_f64(took), length, accepted);
            made += accepted + 1;
            seconds += took;
        }
        made as f64 * PLAIN / seconds
    }

    #[test]
    fn drafts_that_are_right_get_long() {
        assert!(speedup(200, |_| true) > 3.0);
    }

    #[test]
    fn drafts_that_are_wrong_cost_next_to_nothing() {
        for n in [64, 256, 4096] {
            assert!(
                speedup(n, |_| false) > 0.97,
                "{n}: {}",
                speedup(n, |_| false)
            );
        }
    }

    #[test]
    fn whatever_comes_little_is_lost() {
        for period in 1..12 {
            for phase in [2, 3, 5, 7] {
                let gained = speedup(2000, |at| (at / period) % phase == 0);
                assert!(gained > 0.97, "{period} {phase}: {gained}");
            }
        }
    }

    #[test]
    fn a_quotation_is_found_after_plain_text() {
        let text = |at: usize| at >= 300;
        assert!(speedup(600, text) > 1.4, "{}", speedup(600, text));
    }

    #[test]
    fn nothing_is_drafted_before_a_step_was_measured() {
        assert_eq!(Pace::default().length(), 0);
    }
}
