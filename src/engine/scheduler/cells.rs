//! Which cells of a unified KV cache are taken, and by how many sequences each.
//!
//! llama.cpp keeps the same books inside; it does not tell how many cells are free. Counting them here is what lets a
//! request be admitted only when it will fit to its end.

/// A cell's number. It names a cell in these books, not a place in the engine's memory.
pub(super) type Cell = u32;

/// The books over one context.
#[derive(Debug)]
pub(super) struct Cells {
    /// How many sequences hold each cell.
    holders: Vec<u32>,
    free: Vec<Cell>,
}

impl Cells {
    /// `n` free cells.
    pub(super) fn new(n: usize) -> Self {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            holders: vec![0; n as usize],
            free: (0..n).rev().collect(),
        }
    }

    /// All cells.
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    /// Cells that at least one sequence holds.
    pub(super) fn used(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// Takes `n` cells for `holder`. False, and nothing taken, where there are not as many.
    pub(super) fn take(&mut self, n: usize, holder: &mut Vec<Cell>) -> bool {
        let Some(rest) = self.free.len().checked_sub(n) else {
            return false;
        };
        for cell in self.free.drain(rest..) {
            self.holders[cell as usize] = 1;
            holder.push(cell);
        }
        true
    }

    /// Lets one more sequence hold `cells`.
    pub(super) fn share(&mut self, cells: &[Cell]) -> Vec<Cell> {
        for &cell in cells {
            self.holders[cell as usize] += 1;
        }
        cells.to_vec()
    }

    /// Gives back what `holder` has from `keep` on.
    pub(super) fn release(&mut self, holder: &mut Vec<Cell>, keep: usize) {
        for cell in holder.drain(keep.min(holder.len())..) {
            let holders = &mut self.holders[cell as usize];
            *holders -= 1;
            if *holders == 0 {
                self.free.push(cell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shared_cell_is_free_when_its_last_holder_lets_go() {
        let mut cells = Cells::new(4);
        let mut a = Vec::new();
        assert!(cells.take(3, &mut a));
        let mut b = cells.share(&a[..2]);
        assert!(!cells.take(2, &mut b), "one is left");
        assert_eq!(b.len(), 2);
        cells.release(&mut a, 0);
        assert_eq!(cells.used(), 2);
        cells.release(&mut b, 1);
        assert_eq!(cells.used(), 1);
        cells.release(&mut b, 0);
        assert_eq!((cells.used(), cells.len()), (0, 4));
    }

    proptest! {
        /// Whatever is taken, shared and released, the count is that of the distinct cells held.
        #[test]
        fn used_is_what_is_held(steps in prop::collection::vec((0usize..4, 0usize..6, 0usize..8), 0..60)) {
            let mut cells = Cells::new(24);
            let mut held: Vec<Vec<Cell>> = vec![Vec::new(); 4];
            for (kind, who, n) in steps {
                let who = who % held.len();
                match kind {
                    0 | 1 => {
                        let _ = cells.take(n, &mut held[who]);
                    }
                    2 => {
                        let from = held[(who + 1) % 4].clone();
                        let keep = n.min(from.len());
                        cells.release(&mut held[who], 0);
                        held[who] = cells.share(&from[..keep]);
                    }
                    _ => cells.release(&mut held[who], n),
                }
                let mut distinct: Vec<Cell> = held.iter().flatten().copied().collect();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(cells.used(), distinct.len());
            }
        }
    }
}
