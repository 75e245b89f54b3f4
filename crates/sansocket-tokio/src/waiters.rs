//! Who waits for the stream to take more: the task that reads, which has replies to write, and the task that sends.
//!
//! A stream remembers one waker, that of whoever has polled it last. As soon as two tasks wait, it gets one that wakes both.

use std::mem;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Wake, Waker};

use crate::sync::Mutex;

/// Which of the two tasks polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Reader,
    Writer,
}

impl Task {
    const fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) enum Waiters {
    #[default]
    Nobody,
    /// The last one, who may have stopped to wait since then. `None`: both are in the same hands, and have one waker.
    One(Option<Task>, Waker),
    /// There have been two of them, and the waker is of both.
    Both(Arc<Both>, Waker),
}

/// The wakers of both tasks. It is empty once they are woken; both then poll again, and are here again if they wait.
#[derive(Debug, Default)]
pub(crate) struct Both(Mutex<[Option<Waker>; 2]>);

impl Both {
    fn set(&self, task: Task, waker: &Waker) {
        let slot = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[task as usize];
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Woken behind the lock: a waker may be anything.
        let wakers = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Waiters {
    /// Calls `poll` with the waker that the stream is to remember: before it is polled, so that no wake-up is missed.
    pub(crate) fn poll<T>(&mut self, task: Task, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        match self {
            Self::One(last, waker) if waker.will_wake(cx.waker()) => {
                if *last != Some(task) {
                    *last = None;
                }
            }
            Self::One(last, waker) if *last != Some(task) => {
                let both = Arc::new(Both::default());
                both.set(task.other(), waker);
                *self = Self::Both(Arc::clone(&both), Waker::from(both));
            }
            Self::One(..) | Self::Nobody => *self = Self::One(Some(task), cx.waker().clone()),
            Self::Both(..) => {}
        }
        match self {
            Self::Both(both, waker) => {
                both.set(task, cx.waker());
                poll(&mut Context::from_waker(waker))
            }
            _ => poll(cx),
        }
    }

    /// Wakes whoever waits.
    pub(crate) fn wake(&self) {
        match self {
            Self::Nobody => {}
            Self::One(_, waker) | Self::Both(_, waker) => waker.wake_by_ref(),
        }
    }
}
