//! A value that serves one call at a time, whichever thread calls.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use unforget::{Error, Result};

use crate::text;

thread_local! {
    /// Its address tells threads apart: unique among those that are alive, and never 0.
    static MARK: u8 = const { 0 };
}

/// A lock that other threads wait for, and that refuses the thread which holds it already: a callback that calls the
/// handle it is called by would wait for itself for ever.
pub(crate) struct Exclusive<T> {
    value: Mutex<T>,
    /// Mark of the thread inside, or 0.
    holder: AtomicUsize,
}

impl<T> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            holder: AtomicUsize::new(0),
        }
    }

    /// Works on the value alone.
    pub(crate) fn with<R>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<R> {
        let me = MARK.with(|mark| std::ptr::from_ref(mark).addr());
        if self.holder.load(Ordering::Relaxed) == me {
            return Err(text::invalid(
                what,
                "the one that is calling".to_owned(),
                "another one: a callback cannot use the handle that it is called by",
            ));
        }
        let mut value = self.value.lock().map_err(|_| {
            Error::Engine(format!(
                "an internal error left this {what} half changed; free it and open another"
            ))
        })?;
        self.holder.store(me, Ordering::Relaxed);
        let _leave = Leave(&self.holder);
        work(&mut value)
    }
}

/// Says that nobody is inside, also after a panic. Dropped before the lock.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_never_waits_for_itself() {
        let value = Exclusive::new(1);
        let inner = value.with("session", |_| Ok(value.with("session", |_| Ok(()))));
        let message = inner
            .ok()
            .and_then(Result::err)
            .map(|error| error.to_string());
        assert!(message.is_some_and(|text| text.contains("called by")));
        assert!(value.with("session", |n| Ok(*n)).is_ok());
    }

    #[test]
    fn other_threads_wait() {
        let value = Exclusive::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        assert!(
                            value
                                .with("session", |n| {
                                    *n += 1;
                                    Ok(())
                                })
                                .is_ok()
                        );
                    }
                });
            }
        });
        assert_eq!(value.with("session", |n| Ok(*n)).ok(), Some(4000));
    }

    #[test]
    fn a_panic_inside_makes_it_unusable() {
        let value = Exclusive::new(());
        let panicking = std::panic::AssertUnwindSafe(|| {
            value.with("session", |()| -> Result<()> { panic!("inside") })
        });
        assert!(std::panic::catch_unwind(panicking).is_err());
        let after = value.with("session", |()| Ok(()));
        let message = after.err().map(|error| error.to_string());
        assert!(message.is_some_and(|text| text.contains("free it")));
    }
}
