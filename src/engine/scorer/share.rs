//! Sharing items out among workers, each with a thread of its own.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use crate::error::Result;

/// Has every worker do its part of `items`: consecutive ones, of about the same size in all. `work` gets the worker, its
/// items and the index of the first of them. What comes back is in the order of the items.
pub(super) fn share_out<W: Send, T: Sync, R: Send>(
    workers: Vec<W>,
    items: &[T],
    size: impl Fn(&T) -> usize,
    work: impl Fn(W, &[T], usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let sizes: Vec<usize> = items.iter().map(size).collect();
    let parts = parts(&sizes, workers.len());
    let work = &work;
    thread::scope(|scope| {
        let mut tasks: Vec<_> = workers
            .into_iter()
            .zip(parts)
            .filter(|(_, part)| !part.is_empty())
            .collect();
        let last = tasks.pop();
        let others: Vec<_> = tasks
            .into_iter()
            .map(|(worker, part)| {
                scope.spawn(move || work(worker, &items[part.clone()], part.start))
            })
            .collect();
        // This thread has a part too.
        let last = last.map(|(worker, part)| work(worker, &items[part.clone()], part.start));
        let done = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        // All are waited for before the first error is told.
        done.chain(last).collect::<Vec<_>>().into_iter().collect()
    })
}

/// Cuts a list into `n` consecutive parts, each up to where its share of the sum is reached.
fn parts(sizes: &[usize], n: usize) -> Vec<Range<usize>> {
    let total: usize = sizes.iter().sum();
    let (mut start, mut sum) = (0, 0);
    (1..=n)
        .map(|part| {
            let mut end = start;
            // An item goes where its middle lies.
            while end < sizes.len() && (part == n || (sum + sizes[end] / 2) * n < total * part) {
                sum += sizes[end];
                end += 1;
            }
            let range = start..end;
            start = end;
            range
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Error;

    proptest! {
        #[test]
        fn parts_follow_one_another_and_are_of_about_the_same_size(
            sizes in prop::collection::vec(1usize..50, 0..60),
            n in 1usize..5,
        ) {
            let parts = parts(&sizes, n);
            prop_assert_eq!(parts.len(), n);
            let mut next = 0;
            for part in &parts {
                prop_assert_eq!(part.start, next);
                next = part.end;
                let sum: usize = sizes[part.clone()].iter().sum();
                prop_assert!(sum <= sizes.iter().sum::<usize>() / n + 51);
            }
            prop_assert_eq!(next, sizes.len());
        }
    }

    #[test]
    fn every_item_is_done_once_and_an_error_is_told() {
        let items: Vec<usize> = (0..20).collect();
        let done = share_out(
            vec![(), (), ()],
            &items,
            |_| 1,
            |(), items, start| Ok((start, items.to_vec())),
        );
        let done = done.expect("no error");
        assert_eq!(done.len(), 3);
        let all: Vec<usize> = done.iter().flat_map(|(_, items)| items.clone()).collect();
        assert_eq!(all, items);
        assert!(done.iter().all(|(start, items)| items[0] == *start));
        let failed = share_out(
            vec![(), ()],
            &items,
            |_| 1,
            |(), _, start| match start {
                0 => Err(Error::Interrupted),
                _ => Ok(()),
            },
        );
        assert!(matches!(failed, Err(Error::Interrupted)));
        let none: &[usize] = &[];
        assert_eq!(
            share_out(vec![()], none, |_| 1, |(), _, _| Ok(())).expect("fine"),
            []
        );
    }
}
