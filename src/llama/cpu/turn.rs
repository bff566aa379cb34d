//! Whose turn it is to compute: models on the processor all at once, one that a GPU takes part in by itself.
//!
//! Steps of ours leave out nodes of a graph whose work another node does ([`super::delta`]). Where a graph is shared out between
//! devices these nodes can be on different ones, and what is left out on one would be missing on the other. A node does not
//! say which graph it is of, so that this holds for all of them at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURNS: RwLock<()> = RwLock::new(());
static BESIDE_GPU: AtomicBool = AtomicBool::new(false);

/// A turn, until it is dropped.
#[must_use]
pub(in crate::llama) enum Turn {
    OnProcessor {
        _turn: RwLockReadGuard<'static, ()>,
    },
    BesideGpu {
        _turn: RwLockWriteGuard<'static, ()>,
    },
}

impl Turn {
    /// Waits for it.
    pub(in crate::llama) fn take(uses_gpu: bool) -> Self {
        // Nothing is kept behind the lock that a panic could leave half done.
        if !uses_gpu {
            let _turn = TURNS.read().unwrap_or_else(PoisonError::into_inner);
            return Self::OnProcessor { _turn };
        }
        let _turn = TURNS.write().unwrap_or_else(PoisonError::into_inner);
        BESIDE_GPU.store(true, Ordering::Relaxed);
        Self::BesideGpu { _turn }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if matches!(self, Self::BesideGpu { .. }) {
            BESIDE_GPU.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether what is being computed may be shared out between devices.
pub(super) fn is_beside_gpu() -> bool {
    BESIDE_GPU.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_has_the_turn_to_itself() {
        let one = Turn::take(false);
        let other = Turn::take(false);
        assert!(!is_beside_gpu());
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let _turn = Turn::take(true);
                is_beside_gpu()
            });
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!beside.is_finished() && !is_beside_gpu());
            drop((one, other));
            assert_eq!(beside.join().ok(), Some(true));
        });
        let _turn = Turn::take(false);
        assert!(!is_beside_gpu());
    }
}
