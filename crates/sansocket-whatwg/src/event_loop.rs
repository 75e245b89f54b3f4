//! An event loop for many objects.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

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
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Signal,
}

#[derive(Default)]
struct State {
    sockets: HashMap<usize, WebSocket>,
    /// Who has something to do, in order; some may be there twice or be gone.
    ready: VecDeque<usize>,
}

impl EventLoop {
    /// A loop without objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an object in. Of the other ways to pump it, none is needed any more.
    pub fn add(&self, socket: &WebSocket) {
        let key = socket.key();
        let before = self.shared.lock().sockets.insert(key, socket.clone());
        drop(before);
        let shared = Arc::downgrade(&self.shared);
        socket.set_waker(move || {
            if let Some(shared) = shared.upgrade() {
                shared.lock().ready.push_back(key);
                shared.changed.notify_all();
            }
        });
    }

    /// How many objects it has that are not over.
    pub fn len(&self) -> usize {
        self.shared.lock().sockets.len()
    }

    /// Whether it has no object that is not over.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the next task of an object happen. False: there is none.
    pub fn pump(&self) -> bool {
        let socket = {
            let mut state = self.shared.lock();
            loop {
                let Some(key) = state.ready.pop_front() else { return false };
                if let Some(socket) = state.sockets.get(&key) {
                    break socket.clone();
                }
            }
        };
        let turn = Turn { shared: &self.shared, socket };
        turn.socket.pump();
        true
    }

    /// Waits until [`pump`](Self::pump) has something to do. False: it never will, there is no object.
    pub fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        loop {
            if state.sockets.is_empty() {
                return false;
            }
            if !state.ready.is_empty() {
                return true;
            }
            state = self.shared.changed.wait(state, None);
        }
    }

    /// Runs on this thread, until all objects are over.
    pub fn run(&self) {
        while self.wait() {
            self.pump();
        }
    }

    /// Runs on a thread of its own, until all objects are over.
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
        let sockets: Vec<_> = self.shared.lock().sockets.values().cloned().collect();
        sockets.iter().for_each(WebSocket::go_away);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object's turn. Its end, also by a listener that panics, says how it goes on.
struct Turn<'l> {
    shared: &'l Shared,
    socket: WebSocket,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let key = self.socket.key();
        let mut state = self.shared.lock();
        let gone = if self.socket.is_over() { state.sockets.remove(&key) } else { None };
        // The others first.
        if gone.is_none() && self.socket.has_tasks() {
            state.ready.push_back(key);
        }
        drop(state);
        if gone.is_some() {
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut state.sockets).values().for_each(WebSocket::go_away);
    }
}
