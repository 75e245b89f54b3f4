//! A condition variable that costs nothing while nobody waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// To tell a `Condvar` is a system call, also if nobody is there to hear it, and with each message there is something to tell.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    changed: Condvar,
    /// Whether somebody has begun to wait since it was told last. Changed with the lock held, and looked at behind a change under the same lock: who has
    /// not begun by then sees that change.
    is_awaited: AtomicBool,
}

impl Signal {
    /// Waits until something has changed, or for so long.
    pub(crate) fn wait<'g, T>(&self, guard: MutexGuard<'g, T>, timeout: Option<Duration>) -> MutexGuard<'g, T> {
        self.is_awaited.store(true, Ordering::Relaxed);
        match timeout {
            None => self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.changed.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Says that something has changed, which was done under the lock.
    pub(crate) fn notify_all(&self) {
        if self.is_awaited.swap(false, Ordering::Relaxed) {
            self.changed.notify_all();
        }
    }
}
