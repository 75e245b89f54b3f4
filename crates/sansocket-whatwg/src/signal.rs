//! A condition variable that costs nothing while nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// To tell a `Condvar` is a system call, also if nobody is there to hear it, and with each message there is something to tell.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    changed: Condvar,
    /// Changed with the lock held, and read behind a change under the same lock: who is not counted yet sees that change.
    waiting: AtomicUsize,
}

impl Signal {
    /// Waits until something has changed, or for so long.
    pub(crate) fn wait<'g, T>(&self, guard: MutexGuard<'g, T>, timeout: Option<Duration>) -> MutexGuard<'g, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = match timeout {
            None => self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.changed.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Says that something has changed, which was done under the lock.
    pub(crate) fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }
}
