//! Reaching a loop from other threads.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use mio::{Registry, Token, Waker};
use sansocket::{CloseCode, OwnedMessage, Prepared};

use super::connections::{ConnectionId, Connections};
use super::handler::Handler;

/// Something to be done on the loop's thread.
pub(super) trait Command<H: Handler>: FnOnce(&mut H, &mut Connections<H>) + Send {}

impl<H: Handler, F: FnOnce(&mut H, &mut Connections<H>) + Send> Command<H> for F {}

/// A way to reach a [`Server`](super::Server) from other threads. Cheap to clone.
///
/// Commands are carried out in the order in which one thread gives them. After the server has gone, they do nothing.
pub struct Handle<H: Handler> {
    commands: Sender<Box<dyn Command<H>>>,
    wake: Arc<Wake>,
}

struct Wake {
    waker: Waker,
    /// Whether it was woken and has not looked yet: once is enough.
    is_woken: AtomicBool,
}

impl<H: Handler> Clone for Handle<H> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl<H: Handler> fmt::Debug for Handle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl<H: Handler + 'static> Handle<H> {
    /// Calls `command` on the loop's thread, with the handler and all connections.
    pub fn run(&self, command: impl FnOnce(&mut H, &mut Connections<H>) + Send + 'static) {
        if self.commands.send(Box::new(command)).is_ok() && !self.wake.is_woken.swap(true, Ordering::SeqCst) {
            // If the system fails, the next command tries again: there is nobody to tell.
            if self.wake.waker.wake().is_err() {
                self.wake.is_woken.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Sends a message to a connection, if it is still open.
    pub fn send(&self, id: ConnectionId, message: OwnedMessage) {
        self.run(move |_, connections| _ = connections.send(id, &message));
    }

    /// As [`Connections::broadcast`].
    pub fn broadcast(&self, prepared: Prepared) {
        self.run(move |_, connections| connections.broadcast(&prepared, None));
    }

    /// Begins the closing handshake of an open connection.
    pub fn close(&self, id: ConnectionId, code: CloseCode, reason: impl Into<String>) {
        let reason = reason.into();
        self.run(move |_, connections| _ = connections.close(id, code, &reason));
    }

    /// As [`Connections::shut_down`].
    pub fn shut_down(&self, grace: Duration) {
        self.run(move |_, connections| connections.shut_down(grace));
    }
}

/// The loop's end.
pub(super) struct Inbox<H: Handler> {
    handle: Handle<H>,
    commands: Receiver<Box<dyn Command<H>>>,
}

impl<H: Handler> Inbox<H> {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let (sender, commands) = mpsc::channel();
        let wake = Arc::new(Wake { waker: Waker::new(registry, token)?, is_woken: AtomicBool::new(false) });
        Ok(Self { handle: Handle { commands: sender, wake }, commands })
    }

    pub(super) fn handle(&self) -> Handle<H> {
        self.handle.clone()
    }

    /// What was sent so far.
    pub(super) fn take(&mut self) -> Vec<Box<dyn Command<H>>> {
        // Before looking: what is sent from now on wakes again.
        self.handle.wake.is_woken.store(false, Ordering::SeqCst);
        self.commands.try_iter().collect()
    }
}
