//! The network side of all objects: one thread, there while it has something to do.
//!
//! An object's way, as `connection.rs` goes it: its host's name is looked up (`resolver.rs`), it waits until nobody else is connecting to its addresses
//! (`turnstile.rs`), addresses are tried side by side (`race.rs`), a proxy makes a tunnel (`tunnel.rs`), and from there on it is one of the mio adapter's
//! drivers (`wire.rs`), over TCP or TLS (`socket.rs`). All of them share a thread (`reactor.rs`); tests break tunnels and wires by a socket with faults
//! (`faulty.rs`).
//!
//! 1. Nothing here changes what an owner can read: results are delivered as tasks.
//! 2. No code of the owner's runs here, but for wakers and for a TLS verifier of its own; where these are called, a panic is caught.

mod connection;
#[cfg(test)]
mod faulty;
mod race;
mod reactor;
mod resolver;
mod socket;
mod tunnel;
mod turnstile;
mod wire;

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Token, Waker};
use sansocket_tls::TlsConnector;
use url::Host;

use self::reactor::Reactor;
use crate::builder::{Proxy, TimeLimits};
use crate::failure::Failure;
use crate::location::Protocols;
use crate::machine::{End, Task};
use crate::object::Object;

/// What the network needs to know of an object.
pub(crate) struct Plan {
    /// The URL without user information.
    pub(crate) uri: String,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) blocked_port: Option<u16>,
    pub(crate) protocols: Protocols,
    pub(crate) origin: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// Whom to trust, if the URL is a secure one.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) time_limits: TimeLimits,
    pub(crate) message_limit: u64,
    pub(crate) compresses: bool,
    pub(crate) waits_for_turn: bool,
}

/// An object's way to its connection.
pub(crate) struct Link {
    id: Id,
    mailbox: Arc<Mailbox>,
}

impl Link {
    /// Gets the network to look at the object's orders.
    pub(crate) fn tell(&self) {
        self.mailbox.post(Letter::Told(self.id));
    }
}

/// A connection's name, and the token of all of its sockets. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Id(usize);

impl Id {
    fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    const fn token(self) -> Token {
        Token(self.0)
    }
}

/// The thread's mailbox, while there is one.
static RUNNING: Mutex<Option<Arc<Mailbox>>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Arc<Mailbox>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to connect.
pub(crate) fn connect(object: &Arc<Object>, plan: Plan) {
    if let Err(failure) = try_connect(object, plan) {
        object.deliver([Task::Closed(End::Failed(Arc::new(failure)))]);
    }
}

fn try_connect(object: &Arc<Object>, plan: Plan) -> Result<(), Failure> {
    if let Some(port) = plan.blocked_port {
        return Err(Failure::BlockedPort(port));
    }
    // Held until the letter is in, so that the thread does not end before.
    let mut running = running();
    let mailbox = match &mut *running {
        Some(mailbox) => mailbox,
        none => none.insert(Reactor::start().map_err(|error| Failure::System(Arc::new(error)))?),
    };
    let id = Id::next();
    object.set_link(Link { id, mailbox: Arc::clone(mailbox) });
    mailbox.post(Letter::Connect(id, Arc::clone(object), Box::new(plan)));
    Ok(())
}

/// What other threads have to say to the network's.
struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    waker: Waker,
}

enum Letter {
    /// A new object.
    Connect(Id, Arc<Object>, Box<Plan>),
    /// An object has orders.
    Told(Id),
    /// A name was looked up.
    Resolved(String, Result<Vec<IpAddr>, Arc<io::Error>>),
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, letter: Letter) {
        let mut letters = self.lock();
        letters.push(letter);
        // Who has not looked since the last wake will find this, too.
        if letters.len() == 1 {
            // If the system fails here, it fails everywhere.
            let _ = self.waker.wake();
        }
    }
}
