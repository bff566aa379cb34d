//! What a stack of adapters costs in decode, measured: multiplying by many small matrices takes more time than their bytes
//! suggest, most of it on small models.

use std::time::{Duration, Instant};

use super::bench::any_tokens;
use super::model::Model;
use super::session::{Session, SessionOptions};
use super::stack::AdapterStack;
use crate::error::Result;
use crate::llama::CancelToken;

/// Share of decode's speed from which on a stack is worth merging.
const WORTH_MERGING: f64 = 0.15;
/// Time that measuring may take, once both were warmed up: little enough to follow an answer unnoticed.
const TIME: Duration = Duration::from_millis(300);
/// Tokens measured at most, of each.
const MAX_TOKENS: usize = 24;

/// Decode with a stack against decode without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackCost {
    /// Speed with the stack over speed without: 1 costs nothing.
    pub speed_ratio: f64,
}

impl StackCost {
    /// Measures single tokens with and without `stack`, in turn.
    ///
    /// # Errors
    /// [`crate::Error::Engine`], [`crate::Error::Interrupted`].
    pub fn measure(
        model: &Model,
        stack: &AdapterStack,
        options: &SessionOptions,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let options = SessionOptions {
            n_ctx: u32::try_from(2 * MAX_TOKENS).ok(),
            ..options.clone()
        };
        let mut sessions = [
            Session::new(model, &options)?,
            Session::new(model, &options)?,
        ];
        sessions[1].set_adapters(stack.clone())?;
        let mut times = [const { Vec::new() }; 2];
        let mut start = Instant::now();
        for (number, &token) in any_tokens(model.n_vocab(), MAX_TOKENS).iter().enumerate() {
            for (session, times) in sessions.iter_mut().zip(&mut times) {
                let before = Instant::now();
                session.advance(token, cancel)?;
                // The first token builds the graph.
                if number > 0 {
                    times.push(before.elapsed());
                }
            }
            match number {
                0 => start = Instant::now(),
                _ if start.elapsed() > TIME => break,
                _ => {}
            }
        }
        let [base, adapted] = times.map(median);
        Ok(Self {
            speed_ratio: base.as_secs_f64() / adapted.as_secs_f64().max(1e-9),
        })
    }

    /// Whether answers would be noticeably faster with the adapters merged into the base.
    #[must_use]
    pub fn is_worth_merging(self) -> bool {
        self.speed_ratio < 1.0 - WORTH_MERGING
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_15_percent_is_worth_merging() {
        assert!(StackCost { speed_ratio: 0.84 }.is_worth_merging());
        assert!(!StackCost { speed_ratio: 0.86 }.is_worth_merging());
        assert!(!StackCost { speed_ratio: 1.1 }.is_worth_merging());
    }
}
