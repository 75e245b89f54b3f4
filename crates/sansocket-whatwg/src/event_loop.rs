//! Waiting for what happens: a loop for many objects, an iterator for one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use crate::event::Event;
use crate::signal::Signal;
use crate::websocket::WebSocket;

/// What a page or a worker is to its objects: the loop that lets their tasks happen, one at a time. Clones are the same loop.
///
/// It keeps its objects alive until their close events. When it goes, or is told to [go away](Self::go_away), they are closed with 1001, as those of a
/// page that is left.
///
/// ```
/// use sansocket_whatwg::{EventLoop, WebSocket};
///
/// let events = EventLoop::new();
/// for url in ["ws://127.0.0.1:1/one", "ws://127.0.0.1:1/two"] {
///     let socket = WebSocket::new(url)?;
///     socket.set_onclose(|socket, event| println!("{}: {}", socket.url(), event.code()));
///     events.add(&socket);
/// }
/// events.run(); // until all are closed
/// # Ok::<(), sansocket_whatwg::DomException>(())
/// ```
#[derive(Clone, Default)]
pub struct EventLoop {
    objects: Arc<Objects>,
}

/// The objects, and whose turn it is. Apart from each other, so that wakers do not hold objects: who drops those runs their owner's code.
#[derive(Default)]
struct Objects {
    sockets: Mutex<HashMap<usize, WebSocket>>,
    turns: Arc<Turns>,
}

#[derive(Default)]
struct Turns {
    state: Mutex<TurnsState>,
    changed: Signal,
}

#[derive(Default)]
struct TurnsState {
    turns: HashMap<usize, Turn>,
    /// Those that are [due](Turn::Due), in order.
    due: VecDeque<usize>,
    /// The threads that have a turn.
    threads: Vec<ThreadId>,
}

/// Whether an object has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    No,
    Due,
    /// It is having one.
    Now,
    /// And there is more to do.
    NowAndDue,
}

impl EventLoop {
    /// A loop without objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an object in. Of the other ways to pump it, none is needed any more.
    pub fn add(&self, socket: &WebSocket) {
        let key = socket.key();
        if self.objects.sockets().insert(key, socket.clone()).is_some() {
            return;
        }
        self.objects.turns.lock().turns.insert(key, Turn::No);
        let turns = Arc::clone(&self.objects.turns);
        socket.add_waker(move || turns.wake(key));
    }

    /// How many objects it has that are not over.
    pub fn len(&self) -> usize {
        self.objects.turns.lock().turns.len()
    }

    /// Whether it has no object that is not over.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the next task of an object happen. False: there is none, or this is called from inside of a listener that this loop has called.
    pub fn pump(&self) -> bool {
        let Some(key) = self.objects.turns.begin() else { return false };
        let socket = self.objects.sockets().get(&key).cloned();
        let turn = RunningTurn { objects: &self.objects, key, socket };
        if let Some(socket) = &turn.socket {
            socket.pump();
        }
        true
    }

    /// Waits until [`pump`](Self::pump) has something to do. False: it never will, because there is no object, or this is called from inside of a listener that
    /// this loop has called.
    pub fn wait(&self) -> bool {
        let me = thread::current().id();
        let mut state = self.objects.turns.lock();
        loop {
            if state.turns.is_empty() || state.threads.contains(&me) {
                return false;
            }
            if !state.due.is_empty() {
                return true;
            }
            state = self.objects.turns.changed.wait(state, None);
        }
    }

    /// Runs on this thread, until it has no object that is not over. Without any, it ends at once.
    pub fn run(&self) {
        while self.wait() {
            self.pump();
        }
    }

    /// Runs on a thread of its own, until it has no object that is not over. Without any, that ends at once.
    ///
    /// # Panics
    ///
    /// If the system has no thread, as [`thread::spawn`].
    pub fn spawn(&self) -> JoinHandle<()> {
        let events = self.clone();
        thread::spawn(move || events.run())
    }

    /// Closes all objects with 1001, as a browser does when a page is left. What still happens to them, their close events included, happens in this
    /// loop.
    pub fn go_away(&self) {
        let sockets: Vec<_> = self.objects.sockets().values().cloned().collect();
        sockets.iter().for_each(WebSocket::go_away);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Objects {
    fn sockets(&self) -> MutexGuard<'_, HashMap<usize, WebSocket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.sockets().values().for_each(WebSocket::go_away);
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, TurnsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object has something to do.
    fn wake(&self, key: usize) {
        let mut state = self.lock();
        match state.turns.get_mut(&key) {
            Some(turn @ Turn::No) => *turn = Turn::Due,
            Some(turn @ Turn::Now) => {
                *turn = Turn::NowAndDue;
                return;
            }
            _ => return,
        }
        state.due.push_back(key);
        drop(state);
        self.changed.notify_all();
    }

    /// Begins the next turn on this thread, if it has none.
    fn begin(&self) -> Option<usize> {
        let me = thread::current().id();
        let mut state = self.lock();
        if state.threads.contains(&me) {
            return None;
        }
        let key = state.due.pop_front()?;
        state.turns.insert(key, Turn::Now);
        state.threads.push(me);
        Some(key)
    }

    /// Ends a turn on this thread.
    fn end(&self, key: usize, is_over: bool, has_tasks: bool) {
        let me = thread::current().id();
        let mut state = self.lock();
        state.threads.retain(|&thread| thread != me);
        if is_over {
            state.turns.remove(&key);
        } else if has_tasks || state.turns.get(&key) == Some(&Turn::NowAndDue) {
            // The others first.
            state.turns.insert(key, Turn::Due);
            state.due.push_back(key);
        } else {
            state.turns.insert(key, Turn::No);
            return;
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// An object's turn. Its end, also by a listener that panics, says how it goes on.
struct RunningTurn<'l> {
    objects: &'l Objects,
    key: usize,
    socket: Option<WebSocket>,
}

impl Drop for RunningTurn<'_> {
    fn drop(&mut self) {
        let is_over = self.socket.as_ref().is_none_or(WebSocket::is_over);
        let has_tasks = self.socket.as_ref().is_some_and(WebSocket::has_tasks);
        if is_over {
            let gone = self.objects.sockets().remove(&self.key);
            drop(gone);
        }
        self.objects.turns.end(self.key, is_over, has_tasks);
    }
}

/// The events of an object: [`WebSocket::events`].
#[derive(Debug)]
pub struct Events<'s> {
    socket: &'s WebSocket,
}

impl<'s> Events<'s> {
    pub(crate) const fn of(socket: &'s WebSocket) -> Self {
        Self { socket }
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.socket.wait() {
            if let Some(event) = self.socket.pump().event() {
                return Some(event);
            }
        }
        None
    }
}
