//! Time limits: the engine's deadlines, and a timer of tokio's that is set to the next of them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use sansocket::{Deadlines, Expired, Time, Timeouts};
use sansocket_stream::Engine;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

use crate::outbox::Outbox;

/// From when on a deadline is late: its task, or the whole process, was held up.
const LATE: Duration = Duration::from_millis(100);

/// How long a late deadline is put off. Behind a pause the runtime may come to its timers before it has asked the system what has come; behind a further
/// wait it has.
const GRACE: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct Timing {
    /// The epoch of the engine's time.
    start: Instant,
    timeouts: Timeouts,
    deadlines: Deadlines,
    /// When bytes came last.
    heard: Time,
    timer: Option<Timer>,
    /// The last deadline that was over, and when it is kept.
    over: Option<(Time, Time)>,
}

/// A timer that is set to a deadline, or to one that has moved on since: it is not set anew whenever bytes come.
#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    due: Time,
    /// Whom it wakes.
    waker: Waker,
}

impl Timing {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let deadlines = Deadlines::new(Time::default());
        Self { start: Instant::now(), timeouts, deadlines, heard: Time::default(), timer: None, over: None }
    }

    fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Bytes have come.
    pub(crate) fn received(&mut self) {
        self.heard = self.now();
        self.deadlines.received(self.heard);
    }

    /// What came last is a message.
    pub(crate) fn active(&mut self) {
        self.deadlines.active(self.heard);
    }

    /// A message is sent.
    pub(crate) fn sent(&mut self) {
        // Asked for the time only where somebody wants to know.
        if self.timeouts.idle.is_some() {
            self.deadlines.active(self.now());
        }
    }

    /// Whether something is due that must not be put off by what the peer sends: the end of a connection that is closing.
    pub(crate) fn is_overdue(&mut self, engine: &Engine) -> bool {
        if engine.may_send() {
            return false;
        }
        let now = self.now();
        self.deadlines.next(now, &self.timeouts, engine).is_some_and(|next| next <= now)
    }

    /// Does what is due, and says what it was. `Nothing`: the task will be woken when something is.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>, engine: &mut Engine, outbox: &mut Outbox) -> Expired {
        // While the connection is open, nothing is due before the timer strikes, unless a byte has come behind a ping: then the next ping may be due
        // before the answer to this one would have been.
        let is_set = |timer: &Timer| timer.waker.will_wake(cx.waker()) && !timer.sleep.is_elapsed();
        if engine.may_send()
            && let Some(timer) = self.timer.as_ref().filter(|timer| is_set(timer))
            && self.deadlines.next(self.heard, &self.timeouts, engine).is_none_or(|next| timer.due <= next)
        {
            return Expired::Nothing;
        }
        loop {
            let now = self.now();
            let Some(mut next) = self.deadlines.next(now, &self.timeouts, engine) else {
                return Expired::Nothing;
            };
            if next <= now {
                next = self.kept_at(next, now);
            }
            if next <= now {
                match self.deadlines.expire(now, &self.timeouts, engine, outbox.replies()) {
                    Expired::Nothing => {}
                    expired => return expired,
                }
            }
            if self.set(next, cx) {
                return Expired::Nothing;
            }
        }
    }

    /// When a deadline is kept that is over.
    fn kept_at(&mut self, due: Time, now: Time) -> Time {
        let at = match self.over {
            Some((over, at)) if over == due => at,
            _ if now.since(due) < LATE => now,
            _ => now.after(GRACE),
        };
        self.over = Some((due, at));
        at
    }

    /// Sets the timer to `next`, unless it strikes before anyway. False: it has struck.
    fn set(&mut self, next: Time, cx: &mut Context<'_>) -> bool {
        let at = || self.start + next.since(Time::default());
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.due > next || timer.sleep.is_elapsed() {
                    timer.sleep.as_mut().reset(at());
                    timer.due = next;
                } else if timer.waker.will_wake(cx.waker()) {
                    return true;
                }
                timer
            }
            None => {
                let sleep = Box::pin(tokio::time::sleep_until(at()));
                self.timer.insert(Timer { sleep, due: next, waker: Waker::noop().clone() })
            }
        };
        // A task that has used up its budget is woken at once, and the timer does not know it yet.
        let is_known = has_budget_remaining();
        timer.waker = if is_known { cx.waker().clone() } else { Waker::noop().clone() };
        timer.sleep.as_mut().poll(cx).is_pending()
    }
}
