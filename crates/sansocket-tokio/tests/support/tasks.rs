//! Tasks that are polled by hand, and calls that are given up at a given wait.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A task to be polled by [`run`].
pub(crate) type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

/// Far more than any conversation takes.
const ROUNDS: usize = 1_000_000;

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls these tasks in turn until all are done, each only when it was woken. That none is although some are not done is a wake-up that was lost.
pub(crate) fn run(tasks: Vec<Task<'_>>) {
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Some(task), Arc::new(Woken(true.into())))).collect();
    for round in 0.. {
        if tasks.iter().all(|(task, _)| task.is_none()) {
            return;
        }
        assert!(round < ROUNDS, "no end in sight");
        let mut was_polled = false;
        for (task, woken) in &mut tasks {
            let Some(under_way) = task else { continue };
            if woken.0.swap(false, Ordering::Relaxed) {
                was_polled = true;
                let waker = Waker::from(Arc::clone(woken));
                if under_way.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    *task = None;
                }
            }
        }
        let waiting: Vec<_> = tasks.iter().enumerate().filter(|(_, task)| task.0.is_some()).map(|(at, _)| at).collect();
        assert!(was_polled || waiting.is_empty(), "tasks {waiting:?} wait, and nobody wakes them");
    }
}

/// Which waits are given up, of all that one side comes to.
#[derive(Clone)]
pub(crate) struct Cuts(Rc<RefCell<State>>);

struct State {
    waits: usize,
    is_cut: Box<dyn Fn(usize) -> bool>,
}

impl Cuts {
    /// Those of which this says so; the first wait is number 0.
    pub(crate) fn new(is_cut: impl Fn(usize) -> bool + 'static) -> Self {
        Self(Rc::new(RefCell::new(State { waits: 0, is_cut: Box::new(is_cut) })))
    }

    pub(crate) fn none() -> Self {
        Self::new(|_| false)
    }

    /// How many waits there have been.
    pub(crate) fn waits(&self) -> usize {
        self.0.borrow().waits
    }

    fn next(&self) -> bool {
        let mut state = self.0.borrow_mut();
        state.waits += 1;
        (state.is_cut)(state.waits - 1)
    }

    /// Waits for `future`. `None`: it was dropped at one of its waits.
    pub(crate) async fn cut<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.next() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
