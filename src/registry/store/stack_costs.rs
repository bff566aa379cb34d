//! What stacks of adapters cost in decode, measured once: rows of the table `stack_costs`.

use rusqlite::{OptionalExtension as _, params};

use super::Registry;
use crate::Result;
use crate::engine::{AdapterStack, ContentHash, Model, StackCost};

impl Registry {
    /// What is known of a stack's cost on a model on a machine. Scales do not matter to it.
    ///
    /// # Errors
    /// [`crate::Error::Store`], [`crate::Error::Damaged`].
    pub fn stack_cost(
        &self,
        model: &Model,
        stack: &AdapterStack,
        machine: ContentHash,
    ) -> Result<Option<StackCost>> {
        let key = key(model, stack, machine)?;
        let ratio: Option<f64> = self.run(|connection| {
            connection
                .prepare_cached("SELECT speed_ratio FROM stack_costs WHERE key = ?1")?
                .query_row(params![key], |row| row.get(0))
                .optional()
        })?;
        Ok(ratio.map(|speed_ratio| StackCost { speed_ratio }))
    }

    /// Keeps what was measured.
    ///
    /// # Errors
    /// As [`Self::stack_cost`].
    pub fn set_stack_cost(
        &self,
        model: &Model,
        stack: &AdapterStack,
        machine: ContentHash,
        cost: StackCost,
    ) -> Result<()> {
        let key = key(model, stack, machine)?;
        self.run(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO stack_costs (key, speed_ratio) VALUES (?1, ?2)",
                params![key, cost.speed_ratio],
            )
        })?;
        Ok(())
    }
}

fn key(model: &Model, stack: &AdapterStack, machine: ContentHash) -> Result<ContentHash> {
    let mut adapters: Vec<_> = stack.iter().map(|(adapter, _)| adapter.sha256()).collect();
    adapters.sort_unstable();
    let (base, arithmetic) = (model.sha256()?, model.arithmetic());
    let text = format!("{base}\n{machine}\n{arithmetic}\n{adapters:?}");
    Ok(ContentHash::of(text.as_bytes()))
}
