//! A weight is packed by several threads, each a part of its rows: reading a large one takes as long as memory does.

use std::sync::{Mutex, PoisonError};

use super::pack::{BLOCK, ROWS};

/// Bytes below which a thread more costs as much as it saves.
const WORTH_A_THREAD: usize = 2 << 20;

/// Calls `pack`, which packs whole rows into groups, for all of `rows` and `groups`, in parts at once.
pub(super) fn in_parts<G: Send>(
    rows: &[u8],
    n_columns: usize,
    groups: &mut [G],
    pack: impl Fn(&[u8], usize, &mut [G]) + Sync,
) {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_parts = (rows.len() / WORTH_A_THREAD).clamp(1, n_cores);
    let groups_a_sixteen = n_columns / BLOCK;
    let n_sixteens = groups.len() / groups_a_sixteen;
    if n_parts == 1 {
        return pack(rows, n_columns, groups);
    }
    let sixteens = n_sixteens.div_ceil(n_parts);
    let bytes = rows.len() / n_sixteens * sixteens;
    let groups = groups.chunks_mut(sixteens * groups_a_sixteen);
    let parts = Mutex::new(rows.chunks(bytes).zip(groups));
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((rows, groups)) = next() {
            pack(rows, n_columns, groups);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_parts {
            // Where the system has no thread to give, the others do its part.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

const _: () = assert!(ROWS == 16, "what is called a sixteen here");

#[cfg(test)]
mod tests {
    use super::super::pack::{BLOCK_BYTES, Group, pack};
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let (columns, n_rows) = (4 * BLOCK, 16 * 6151);
        let n_groups = n_rows / ROWS * 4;
        let bytes = (0..n_groups * ROWS * BLOCK_BYTES).map(|i| (i * 7 + i / 251) as u8);
        let rows: Vec<u8> = bytes.collect();
        assert!(rows.len() > 3 * WORTH_A_THREAD);
        let none = Group {
            scales: [0; ROWS],
            minimums: [0; ROWS],
            codes: [[0; 64]; 4],
        };
        let (mut at_once, mut in_turn) = (vec![none; n_groups], vec![none; n_groups]);
        in_parts(&rows, columns, &mut at_once, pack);
        pack(&rows, columns, &mut in_turn);
        let same = |(a, b): (&Group, &Group)| {
            (a.scales, a.minimums, a.codes) == (b.scales, b.minimums, b.codes)
        };
        assert!(at_once.iter().zip(&in_turn).all(same));
    }
}
