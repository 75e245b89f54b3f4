//! What the owner's handles and the network share of one object.

use std::collections::VecDeque;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use sansocket::CloseCode;

use crate::builder::CookieJar;
use crate::exception::DomException;
use crate::listeners::Listeners;
use crate::location::Location;
use crate::machine::{Command, Machine, Pumped, ReadyState, Task};
use crate::network::Link;
use crate::payload::Payload;
use crate::signal::Signal;

/// With more bytes of messages queued for the owner, or more messages, no more are read from the server, until there are few enough of either.
const MOST_UNREAD: u64 = 1024 * 1024;
const FEW_UNREAD: u64 = MOST_UNREAD / 4;
const MOST_MESSAGES: usize = 16 * 1024;
const FEW_MESSAGES: usize = MOST_MESSAGES / 4;

/// One object. Its lock is held for moments only, and never while a listener is called or dropped.
pub(crate) struct Object {
    pub(crate) location: Location,
    link: OnceLock<Link>,
    state: Mutex<State>,
    /// Something was queued, or a dispatch has ended.
    changed: Signal,
}

pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) listeners: Listeners,
    jar: Option<Arc<dyn CookieJar>>,
    /// Who calls listeners now.
    dispatcher: Option<ThreadId>,
    wakers: Arc<[Waker]>,
    /// `Set-Cookie` of the server's answer, until the open event.
    set_cookies: Vec<Vec<u8>>,
    orders: Orders,
    /// Whether the network was told to look at the orders.
    is_told: bool,
    /// Whether the network reads nothing because too much is unread.
    is_held_back: bool,
    /// Whether there is nobody any more who could take what comes.
    is_deserted: bool,
}

/// Tells a loop that there is something to do.
type Waker = Arc<dyn Fn() + Send + Sync>;

/// What the network has to do for an object.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// In order; behind a Close, nothing comes.
    pub(crate) queue: VecDeque<Order>,
    /// Whether it has to give the connection up.
    pub(crate) fails: bool,
    /// Whether it may read again.
    pub(crate) reads: bool,
}

impl Orders {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.fails && !self.reads
    }
}

#[derive(Debug)]
pub(crate) enum Order {
    Send(Payload),
    Close(Option<CloseCode>, String),
}

impl Object {
    pub(crate) fn new(location: Location, jar: Option<Arc<dyn CookieJar>>, machine: Machine) -> Self {
        let state = State {
            machine,
            listeners: Listeners::default(),
            jar,
            dispatcher: None,
            wakers: Arc::default(),
            set_cookies: Vec::new(),
            orders: Orders::default(),
            is_told: false,
            is_held_back: false,
            is_deserted: false,
        };
        Self { location, link: OnceLock::new(), state: Mutex::new(state), changed: Signal::default() }
    }

    pub(crate) fn set_link(&self, link: Link) {
        let _ = self.link.set(link);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody else's code runs while it is held, so nothing is half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The network's side.

    /// Queues tasks for the owner.
    pub(crate) fn deliver(&self, tasks: impl IntoIterator<Item = Task>) {
        self.change(|state| tasks.into_iter().for_each(|task| state.machine.queue(task)));
    }

    /// As `deliver`, for the opening, with the cookies that the server has set.
    pub(crate) fn deliver_open(&self, protocol: String, extensions: String, set_cookies: Vec<Vec<u8>>) {
        self.change(|state| {
            state.set_cookies = set_cookies;
            state.machine.queue(Task::Open { protocol, extensions });
        });
    }

    /// Reports bytes that the socket has taken.
    pub(crate) fn handed_over(&self, bytes: u64) {
        self.change(|state| state.machine.handed_over(bytes));
    }

    /// Does something for the owner, and wakes it if it had nothing to do before.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if state.is_deserted {
            return;
        }
        let was_idle = !state.machine.has_tasks();
        change(&mut state);
        // What comes too late for its owner was dropped.
        if was_idle && state.machine.has_tasks() {
            let wakers = Arc::clone(&state.wakers);
            drop(state);
            self.changed.notify_all();
            wake(&wakers);
        }
    }

    /// Whether so much is queued for the owner that nothing more should be read. When that changes, the orders say so.
    pub(crate) fn holds_back(&self) -> bool {
        let mut state = self.lock();
        let machine = &state.machine;
        let is_much = machine.unread() > MOST_UNREAD || machine.unread_messages() > MOST_MESSAGES;
        state.is_held_back = is_much && !state.is_deserted;
        state.is_held_back
    }

    pub(crate) fn take_orders(&self) -> Orders {
        let mut state = self.lock();
        state.is_told = false;
        mem::take(&mut state.orders)
    }

    // The owner's side.

    pub(crate) fn send(&self, payload: Payload) -> Result<(), DomException> {
        let mut state = self.lock();
        let command = state.machine.send(payload)?;
        self.order(state, command);
        Ok(())
    }

    pub(crate) fn close(&self, code: Option<u16>, reason: &str) -> Result<(), DomException> {
        let mut state = self.lock();
        let command = state.machine.close(code, reason)?;
        self.order(state, command);
        Ok(())
    }

    pub(crate) fn go_away(&self, code: Option<CloseCode>) {
        let mut state = self.lock();
        let command = state.machine.go_away(code);
        self.order(state, command);
    }

    /// Nobody has a handle any more: an open connection is closed, and whatever still comes is dropped.
    pub(crate) fn desert(&self) {
        let mut state = self.lock();
        state.is_deserted = true;
        let command = state.machine.go_away(None);
        state.machine = Machine::new("");
        let left = (state.listeners.take(), mem::take(&mut state.wakers), state.jar.take());
        self.order(state, command);
        // They may hold other objects.
        drop(left);
    }

    fn order(&self, mut state: MutexGuard<'_, State>, command: Option<Command>) {
        let orders = &mut state.orders;
        match command {
            Some(Command::Send(payload)) => orders.queue.push_back(Order::Send(payload)),
            Some(Command::Close { code, reason }) => orders.queue.push_back(Order::Close(code, reason)),
            Some(Command::Fail) => orders.fails = true,
            None => {}
        }
        self.tell(state);
    }

    /// Gets the network to look at the orders, if there are any.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let machine = &state.machine;
        let is_little = machine.unread() <= FEW_UNREAD && machine.unread_messages() <= FEW_MESSAGES;
        if state.is_held_back && is_little {
            state.is_held_back = false;
            state.orders.reads = true;
        }
        if state.orders.is_empty() {
            return;
        }
        let is_told = mem::replace(&mut state.is_told, true);
        drop(state);
        if let Some(link) = self.link.get().filter(|_| !is_told) {
            link.tell();
        }
    }

    /// Applies the next task, and stores the cookies that were set with it.
    pub(crate) fn pump(&self) -> Pumped {
        let mut state = self.lock();
        let pumped = state.machine.pump();
        let set_cookies = mem::take(&mut state.set_cookies);
        let jar = if set_cookies.is_empty() { None } else { state.jar.clone() };
        if state.machine.ready_state() == ReadyState::Closed {
            // The network takes nothing any more.
            state.orders.queue = VecDeque::new();
        }
        self.tell(state);
        if let Some(jar) = jar {
            let url = self.location.for_cookies();
            set_cookies.iter().for_each(|cookie| jar.store(&url, cookie));
        }
        pumped
    }

    /// Nothing happens any more: listeners are let go, so that objects which hold each other by them are.
    pub(crate) fn let_go(&self) {
        let mut state = self.lock();
        let (listeners, wakers) = (state.listeners.take(), mem::take(&mut state.wakers));
        drop(state);
        drop(listeners);
        wake(&wakers);
    }

    pub(crate) fn add_waker(&self, waker: Waker) {
        let mut state = self.lock();
        let is_due = state.machine.has_tasks() || state.machine.is_over();
        let before = mem::take(&mut state.wakers);
        state.wakers = before.iter().cloned().chain([Arc::clone(&waker)]).collect();
        drop(state);
        drop(before);
        if is_due {
            waker();
        }
    }

    /// Waits until `pump` has something to do for this thread, or the time is over. False: it never will, or not in time.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let me = thread::current().id();
        let mut state = self.lock();
        loop {
            match state.dispatcher {
                Some(dispatcher) if dispatcher == me => return false,
                None if state.machine.is_over() => return false,
                None if state.machine.has_tasks() => return true,
                // Another thread calls listeners, those of the close event perhaps.
                _ => {}
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            state = self.changed.wait(state, left);
        }
    }

    /// Makes this thread the one that calls listeners, once no other one is. `None`: it is already.
    pub(crate) fn begin_dispatch(&self) -> Option<Dispatch<'_>> {
        let me = thread::current().id();
        let mut state = self.lock();
        loop {
            match state.dispatcher {
                None => break,
                Some(dispatcher) if dispatcher == me => return None,
                Some(_) => state = self.changed.wait(state, None),
            }
        }
        state.dispatcher = Some(me);
        Some(Dispatch { object: self })
    }
}

/// A waker that panics has lost its own loop and no other one: the network's thread goes on.
fn wake(wakers: &[Waker]) {
    for waker in wakers {
        // Whether what it holds is left in order is its own affair.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| waker()));
    }
}

/// While it lives, this thread calls listeners, and no other one does.
pub(crate) struct Dispatch<'o> {
    object: &'o Object,
}

impl Drop for Dispatch<'_> {
    fn drop(&mut self) {
        self.object.lock().dispatcher = None;
        self.object.changed.notify_all();
    }
}
