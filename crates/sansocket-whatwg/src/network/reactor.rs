//! The thread: events, letters, deadlines.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use mio::{Events, Poll, Registry, Token, Waker};
use sansocket::{Limits, Timeouts};
use sansocket_mio::deflate::{Config, Policy, Pool, PoolLimits};
use sansocket_mio::{Common, Settings};

use super::connection::Connection;
use super::resolver::Resolver;
use super::turnstile::Turnstile;
use super::{Id, Letter, Mailbox, running};
use crate::failure::Failure;
use crate::machine::{End, Task};

const WAKER: Token = Token(0);

/// How many events are taken from the system at once.
const EVENTS: usize = 1024;

/// How much is read at once, in bytes.
const READ_BUFFER: usize = 64 * 1024 + 64;

/// All connections, and what they share.
pub(super) struct Reactor {
    connections: HashMap<Id, Connection>,
    poll: Poll,
    events: Events,
    /// When which connection has to be asked.
    deadlines: BTreeSet<(Instant, Id)>,
    shared: Shared,
}

/// What connections share.
pub(super) struct Shared {
    pub(super) now: Instant,
    pub(super) registry: Registry,
    pub(super) buffer: Box<[u8]>,
    pub(super) plain: Common,
    pub(super) compressing: Common,
    pub(super) resolver: Resolver,
    pub(super) turnstile: Turnstile,
    /// Who has more to do without a further event.
    pub(super) ready: Vec<Id>,
    mailbox: Arc<Mailbox>,
}

impl Shared {
    pub(super) const fn common(&mut self, compresses: bool) -> (&mut Common, &mut [u8]) {
        let Self { plain, compressing, buffer, .. } = self;
        (if compresses { compressing } else { plain }, buffer)
    }
}

impl Reactor {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Arc<Mailbox>> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mailbox = Arc::new(Mailbox { letters: Mutex::default(), waker });
        let settings = Settings {
            limits: Limits { undefined_close_codes: true, ..Limits::UNLIMITED },
            // Each object has its own.
            timeouts: Timeouts::NONE,
            ..Settings::DEFAULT
        };
        let mut compressing = Common::new(Settings {
            compression: Some(Config { policy: Policy::TAKEOVER, ..Config::DEFAULT }),
            ..settings
        });
        // All of these connections were asked for by their owner: nobody else can make their number grow.
        compressing.set_pool(Pool::new(PoolLimits { lent: usize::MAX, ..PoolLimits::DEFAULT }));
        let shared = Shared {
            now: Instant::now(),
            registry: poll.registry().try_clone()?,
            buffer: vec![0; READ_BUFFER].into(),
            plain: Common::new(settings),
            compressing,
            resolver: Resolver::new(Arc::clone(&mailbox)),
            turnstile: Turnstile::default(),
            ready: Vec::new(),
            mailbox: Arc::clone(&mailbox),
        };
        let events = Events::with_capacity(EVENTS);
        let reactor = Self { connections: HashMap::new(), poll, events, deadlines: BTreeSet::new(), shared };
        thread::Builder::new().name(String::from("sansocket")).spawn(move || reactor.run())?;
        Ok(mailbox)
    }

    fn run(mut self) {
        loop {
            if self.connections.is_empty() {
                let mut running = running();
                if self.shared.mailbox.lock().is_empty() {
                    *running = None;
                    return;
                }
            }
            if self.round().is_err() {
                // Dropped, it tells everybody.
                return;
            }
        }
    }

    /// Waits, and does all that is to be done then.
    fn round(&mut self) -> io::Result<()> {
        let deadline = if self.shared.ready.is_empty() {
            self.deadlines.first().map(|(deadline, _)| *deadline)
        } else {
            Some(self.shared.now)
        };
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match self.poll.poll(&mut self.events, timeout) {
            // Nothing was looked at: what is due is due only if nothing has come.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.shared.now = Instant::now();
        self.shared.plain.look_at_clock();
        self.shared.compressing.look_at_clock();

        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            match event.token() {
                WAKER => self.read_letters(),
                Token(id) => self.with(Id(id), |connection, shared| connection.on_event(event, shared)),
            }
        }
        self.events = events;
        // Who gets ready from here on waits for the next round, so that nobody waits for a server that floods.
        let mut round = mem::take(&mut self.shared.ready);
        round.sort_unstable();
        round.dedup();
        for id in round {
            self.with(id, Connection::go_on);
        }
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= self.shared.now
        {
            self.with(id, Connection::on_deadline);
        }
        Ok(())
    }

    fn read_letters(&mut self) {
        let letters = mem::take(&mut *self.shared.mailbox.lock());
        for letter in letters {
            match letter {
                Letter::Connect(id, object, plan) => {
                    let connection = Connection::new(id, object, *plan, self.shared.now);
                    self.connections.insert(id, connection);
                    self.with(id, Connection::begin);
                }
                Letter::Told(id) => self.with(id, Connection::on_orders),
                Letter::Resolved(host, result) => {
                    for id in self.shared.resolver.resolved(&host) {
                        self.with(id, |connection, shared| connection.on_resolved(&result, shared));
                    }
                }
            }
        }
    }

    /// Does something to a connection, and what follows from it.
    fn with(&mut self, id: Id, work: impl FnOnce(&mut Connection, &mut Shared)) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        work(connection, &mut self.shared);
        self.settle(id);
        // Whose turn it is to connect, now that another one has done so.
        while let Some((id, keys)) = self.shared.turnstile.admitted() {
            match self.connections.get_mut(&id) {
                Some(connection) => {
                    connection.on_admitted(keys, &mut self.shared);
                    self.settle(id);
                }
                None => self.shared.turnstile.leave(keys),
            }
        }
    }

    /// Notes when to ask a connection again, or that it is gone.
    fn settle(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let deadline = connection.deadline().filter(|_| !connection.is_gone());
        if deadline != connection.scheduled {
            if let Some(before) = connection.scheduled {
                self.deadlines.remove(&(before, id));
            }
            self.deadlines.extend(deadline.map(|deadline| (deadline, id)));
            connection.scheduled = deadline;
        }
        if connection.is_gone() {
            self.connections.remove(&id);
        }
    }
}

/// Whoever still waits for it when it goes is told; it has then failed itself.
impl Drop for Reactor {
    fn drop(&mut self) {
        let mut running = running();
        running.take_if(|mailbox| Arc::ptr_eq(mailbox, &self.shared.mailbox));
        drop(running);
        let error = Arc::new(io::Error::other("the network's thread has ended"));
        let end = || Task::Closed(End::Failed(Arc::new(Failure::System(Arc::clone(&error)))));
        for letter in mem::take(&mut *self.shared.mailbox.lock()) {
            if let Letter::Connect(_, object, _) = letter {
                object.deliver([end()]);
            }
        }
        for connection in self.connections.values() {
            connection.object().deliver([end()]);
        }
    }
}
