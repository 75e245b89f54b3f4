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

/// How many events are taken from the system at once; few in tests, so that few connections are many.
const EVENTS: usize = if cfg!(test) { 2 } else { 1024 };

/// How much is read at once, in bytes.
const READ_BUFFER: usize = 64 * 1024 + 64;

/// All connections, and what they share.
pub(super) struct Reactor {
    connections: HashMap<Id, Connection>,
    poll: Poll,
    events: Events,
    /// While there are more events than are taken at once: for how many more rounds deadlines wait.
    waiting_rounds: Option<usize>,
    /// When which connection has to be asked.
    deadlines: BTreeSet<(Instant, Id)>,
    pub(super) shared: Shared,
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
        let reactor = Self::new()?;
        let mailbox = Arc::clone(&reactor.shared.mailbox);
        thread::Builder::new().name(String::from("sansocket")).spawn(move || reactor.run())?;
        Ok(mailbox)
    }

    pub(super) fn new() -> io::Result<Self> {
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
            mailbox,
        };
        let events = Events::with_capacity(EVENTS);
        Ok(Self { connections: HashMap::new(), poll, events, waiting_rounds: None, deadlines: BTreeSet::new(), shared })
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
        // There may be more. Behind a pause of this thread everybody is late, and who was not read yet is not silent for that: what is due waits until
        // each connection has had its event, for so many rounds at most.
        let is_crowded = events.iter().count() == EVENTS;
        let rounds = self.waiting_rounds.unwrap_or(self.connections.len() / EVENTS);
        self.waiting_rounds = rounds.checked_sub(1).filter(|_| is_crowded);
        self.events = events;
        // Who gets ready from here on waits for the next round, so that nobody waits for a server that floods.
        let mut round = mem::take(&mut self.shared.ready);
        round.sort_unstable();
        round.dedup();
        for id in round {
            self.with(id, Connection::go_on);
        }
        while self.waiting_rounds.is_none()
            && let Some(&(deadline, id)) = self.deadlines.first()
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::iter;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};

    use super::*;
    use crate::{CloseEvent, Event, Pumped, ReadyState, TimeLimits, WebSocket};

    const SOCKETS: usize = 3 * EVENTS + 1;

    /// Held while objects are built that go to a test's own network.
    static BUILDING: Mutex<()> = Mutex::new(());

    /// How long a server may take for its Close.
    const LIMIT: Duration = Duration::from_millis(1);

    /// Longer than that.
    fn pause() {
        thread::sleep(2 * LIMIT);
    }

    /// How long a test waits in vain.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// A server's pong, its Close without a code, and how long a client's is.
    const PONG: [u8; 2] = [0x8A, 0];
    const CLOSE: [u8; 2] = [0x88, 0];
    const MASKED: usize = CLOSE.len() + 4;

    fn accept(listener: &TcpListener) -> TcpStream {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut handshake, mut head, mut answer) = (ServerHandshake::new(), Vec::new(), Vec::new());
        loop {
            let mut bytes = [0; 4096];
            let read = peer.read(&mut bytes).unwrap();
            head.extend_from_slice(&bytes[..read]);
            match handshake.receive(&head, &mut answer) {
                RequestProgress::Incomplete => {}
                RequestProgress::Request(request) => {
                    request.accept(&Accept::new(), &mut answer).unwrap();
                    break;
                }
                progress => panic!("{progress:?}"),
            }
        }
        peer.write_all(&answer).unwrap();
        peer
    }

    /// Of more sockets than events are taken at once, all open, and their peers. This thread is the network's, and pauses as it likes.
    fn opened() -> (Reactor, Vec<WebSocket>, Vec<TcpStream>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let mut reactor = Reactor::new().unwrap();
        let limits = TimeLimits { open: Some(PATIENCE), close: Some(LIMIT), end: Some(LIMIT) };
        let build = |_| WebSocket::builder(&url).time_limits(limits).one_at_a_time(false).build().unwrap();
        let building = BUILDING.lock().unwrap();
        *running() = Some(Arc::clone(&reactor.shared.mailbox));
        let sockets: Vec<_> = (0..SOCKETS).map(build).collect();
        *running() = None;
        drop(building);
        let accepting = thread::spawn(move || (0..SOCKETS).map(|_| accept(&listener)).collect());
        while sockets.iter().any(|socket| socket.ready_state() == ReadyState::Connecting) {
            reactor.round().unwrap();
            assert_eq!(ends(&sockets), []);
        }
        (reactor, sockets, accepting.join().unwrap())
    }

    /// Lets the sockets work, and gives the ends of those that have ended.
    fn ends(sockets: &[WebSocket]) -> Vec<CloseEvent> {
        let events = sockets.iter().flat_map(|socket| iter::from_fn(|| socket.has_tasks().then(|| socket.pump())));
        let end = |event| match event {
            Event::Close(event) => Some(event),
            _ => None,
        };
        events.filter_map(Pumped::event).filter_map(end).collect()
    }

    #[test]
    fn behind_a_pause_everybody_is_heard_before_a_deadline_is_kept() {
        let (mut reactor, sockets, peers) = opened();
        sockets.iter().for_each(WebSocket::close);
        while !reactor.shared.mailbox.lock().is_empty() {
            reactor.round().unwrap();
        }
        for mut peer in peers {
            peer.read_exact(&mut [0; MASKED]).unwrap();
            peer.write_all(&CLOSE).unwrap();
        }
        pause();
        let mut ended = Vec::new();
        while ended.len() < SOCKETS {
            reactor.round().unwrap();
            ended.extend(ends(&sockets));
        }
        assert_eq!(ended, vec![CloseEvent::new(true, 1005, ""); SOCKETS]);
    }

    #[test]
    fn deadlines_come_in_a_network_that_never_has_a_round_without_more_events() {
        let (mut reactor, sockets, mut peers) = opened();
        let (_silent, flooding) = peers.split_first_mut().unwrap();
        sockets[0].close();
        while !reactor.shared.mailbox.lock().is_empty() {
            reactor.round().unwrap();
        }
        pause();
        for _ in 0..=SOCKETS / EVENTS {
            // All others have something new at each round.
            flooding.iter_mut().for_each(|peer| peer.write_all(&PONG).unwrap());
            reactor.round().unwrap();
        }
        assert_eq!(ends(&sockets), [CloseEvent::new(false, 1006, "")]);
    }
}
