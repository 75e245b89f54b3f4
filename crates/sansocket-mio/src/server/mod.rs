//! A loop with all its connections on one thread.

mod connections;
mod handle;
mod handler;
mod listener;
mod panics;
#[cfg(test)]
mod pauses;
mod timers;

pub use connections::{ConnectionId, Connections};
pub use handle::Handle;
pub use handler::{Closed, Context, Handler};
pub use listener::Listen;

use std::fmt;
use std::io;
use std::mem;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use sansocket::Time;

use self::connections::FIRST_TOKEN;
use self::handle::Inbox;
use self::panics::caught;
use self::timers::MOST_CONNECTIONS;
use crate::answer::Answer;
use crate::driver::Driver;
use crate::event::{Event, Received};
use crate::settings::{Common, Settings};

/// Tokens: the waker's, the listeners', those of other sources, and behind them the connections'.
const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_WATCHED: usize = FIRST_TOKEN / 2;

/// How many events are taken from the system at once, and how many connections from a listener before others have their turns.
const EVENTS: usize = 1024;
const ACCEPTED: usize = 64;

/// How long no connection is accepted after that has failed: for want of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest wait that the system is asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest head of a handshake that a server makes room for, whatever the settings say.
const LONGEST_HEAD: usize = 1 << 20;

/// The size of the buffer that is read into: a message of 64 KiB fits, header and all.
const READ_BUFFER: usize = 64 * 1024 + 64;

/// Connections, listeners and a [`Handler`] on one thread.
///
/// ```no_run
/// use mio::net::{TcpListener, TcpStream};
/// use sansocket_mio::{Context, Handler, Message, Server, Settings};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type Stream = TcpStream;
///     type Data = ();
///
///     fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
///         // An error says that the connection is closing: nobody waits for this any more.
///         let _ = cx.send(message);
///     }
/// }
///
/// let mut server = Server::new(Echo, Settings::default())?;
/// server.listen(TcpListener::bind("127.0.0.1:9001".parse()?)?)?;
/// server.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server<H: Handler> {
    handler: H,
    connections: Connections<H>,
    buffer: Box<[u8]>,
    poll: Poll,
    events: Events,
    listeners: Vec<Listener<H>>,
    watched: Vec<Box<dyn Watcher<H>>>,
    /// When to try again to accept, after that has failed.
    accept_again: Option<Time>,
    most_connections: usize,
    inbox: Inbox<H>,
    /// Room for a list of those who have their turns.
    round: Vec<usize>,
    /// While there are more events than are taken at once: for how many more rounds deadlines wait.
    waiting_rounds: Option<usize>,
}

struct Listener<H: Handler> {
    socket: Box<dyn Listen<Stream = H::Stream> + Send>,
    /// Whether there may be connections to be accepted.
    is_ready: bool,
}

/// Something else that the loop waits for, and what is done then.
trait Watcher<H: Handler>: FnMut(&mut H, &mut Connections<H>) + Send {}

impl<H: Handler, F: FnMut(&mut H, &mut Connections<H>) + Send> Watcher<H> for F {}

impl<H: Handler + fmt::Debug> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("handler", &self.handler).finish_non_exhaustive()
    }
}

impl<H: Handler> Server<H> {
    /// A loop without connections and listeners, for up to 65,536 connections.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(handler: H, settings: Settings) -> io::Result<Self> {
        Self::with_capacity(handler, settings, 1 << 16)
    }

    /// A loop for up to so many connections, and never more than 16,777,216. Who comes when there are that many waits in the system's
    /// queue.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn with_capacity(handler: H, settings: Settings, connections: usize) -> io::Result<Self> {
        let most_connections = connections.min(MOST_CONNECTIONS);
        let poll = Poll::new()?;
        let inbox = Inbox::new(poll.registry(), WAKER)?;
        Ok(Self {
            handler,
            connections: Connections::new(settings, most_connections, poll.registry().try_clone()?),
            buffer: vec![0; READ_BUFFER.max(least_buffer(&settings))].into(),
            poll,
            events: Events::with_capacity(EVENTS),
            listeners: Vec::new(),
            watched: Vec::new(),
            accept_again: None,
            most_connections,
            inbox,
            round: Vec::new(),
            waiting_rounds: None,
        })
    }

    /// Sets the size of the buffer that is read into, in bytes; default 64 KiB and a little. It is one for all connections, and holds a handshake's head at
    /// least.
    pub fn set_read_buffer(&mut self, size: usize) {
        self.buffer = vec![0; size.max(least_buffer(self.connections.common.settings()))].into();
    }

    /// As [`Common::set_pool`].
    #[cfg(feature = "deflate")]
    pub fn set_pool(&mut self, pool: sansocket::deflate::Pool) {
        self.connections.common.set_pool(pool);
    }

    /// Accepts connections from a further socket.
    ///
    /// # Errors
    ///
    /// What [`Poll`] has against it.
    pub fn listen(&mut self, socket: impl Listen<Stream = H::Stream> + Send + 'static) -> io::Result<()> {
        let mut socket = Box::new(socket);
        let token = Token(FIRST_LISTENER + self.listeners.len());
        assert!(token.0 < FIRST_WATCHED, "so many listeners are a mistake");
        self.poll.registry().register(&mut *socket, token, Interest::READABLE)?;
        self.listeners.push(Listener { socket, is_ready: true });
        Ok(())
    }

    /// Waits for something else as well, to become readable: the pipe that a signal writes to, say. `on_event` is called for each of its events,
    /// which come where something changes.
    ///
    /// # Errors
    ///
    /// What [`Poll`] has against it.
    pub fn watch<S: Source + Send + 'static>(
        &mut self,
        mut source: S,
        mut on_event: impl FnMut(&mut S, &mut H, &mut Connections<H>) + Send + 'static,
    ) -> io::Result<()> {
        let token = Token(FIRST_WATCHED + self.watched.len());
        assert!(token.0 < FIRST_TOKEN, "so many sources are a mistake");
        self.poll.registry().register(&mut source, token, Interest::READABLE)?;
        self.watched.push(Box::new(move |handler, connections| on_event(&mut source, handler, connections)));
        Ok(())
    }

    /// A way to reach this loop from other threads.
    pub fn handle(&self) -> Handle<H> {
        self.inbox.handle()
    }

    /// The handler.
    pub const fn handler(&mut self) -> &mut H {
        &mut self.handler
    }

    /// The connections.
    pub const fn connections(&mut self) -> &mut Connections<H> {
        &mut self.connections
    }

    /// Runs until it was told to [shut down](Connections::shut_down).
    ///
    /// # Errors
    ///
    /// The system's: nothing that concerns a single connection.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.has_stopped() {
            self.run_once(None)?;
        }
        Ok(())
    }

    /// Whether it was told to shut down, and has.
    pub fn has_stopped(&self) -> bool {
        self.connections.stop_at.is_some() && self.connections.is_empty()
    }

    /// Waits for events, for up to `timeout`, and does all that is to be done then; nothing, if a signal has cut the wait short.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.connections.common.look_at_clock();
        let wait = [self.next_wait(), timeout].into_iter().flatten().min();
        match self.poll.poll(&mut self.events, wait) {
            // Nothing was looked at. This thread may have been stopped: what is due now is due only if nothing has come.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.connections.common.look_at_clock();

        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            match event.token() {
                WAKER => {
                    for command in self.inbox.take() {
                        let Self { handler, connections, .. } = &mut *self;
                        let _ = caught(|| command(handler, connections));
                    }
                }
                Token(token @ FIRST_TOKEN..) => self.on_event(token - FIRST_TOKEN, event),
                Token(token @ FIRST_WATCHED..) => {
                    let Self { watched, handler, connections, .. } = &mut *self;
                    if let Some(watched) = watched.get_mut(token - FIRST_WATCHED) {
                        let _ = caught(|| watched(handler, connections));
                    }
                }
                Token(token) => {
                    if let Some(listener) = self.listeners.get_mut(token - FIRST_LISTENER) {
                        listener.is_ready = true;
                    }
                }
            }
        }
        // With as many events as can be taken at once, there may be more. Behind a pause of this thread, everybody is late, and who was not read
        // yet is not silent for that: what is due waits until each connection has had its event, for so many rounds at most.
        let is_crowded = events.iter().count() == events.capacity();
        let rounds = self.waiting_rounds.unwrap_or(self.connections.len() / events.capacity());
        self.waiting_rounds = rounds.checked_sub(1).filter(|_| is_crowded);
        self.events = events;

        self.serve_touched();
        if self.waiting_rounds.is_none() {
            self.serve_deadlines();
        }
        match self.connections.stop_at {
            Some(stop_at) => self.stop(stop_at),
            None => self.accept(),
        }
        Ok(())
    }

    /// Accepts no more, and gives up those that did not end in time.
    fn stop(&mut self, stop_at: Time) {
        for mut listener in self.listeners.drain(..) {
            // It is dropped anyway.
            let _ = self.poll.registry().deregister(&mut *listener.socket);
        }
        if stop_at > self.connections.common.now() {
            return;
        }
        for index in self.connections.indexes() {
            if self.connections.entries.contains(index) {
                self.take_turn(index, Driver::abandon);
            }
        }
    }

    /// How long there is nothing to be done.
    fn next_wait(&self) -> Option<Duration> {
        let Connections { touched, timers, common, stop_at, entries, .. } = &self.connections;
        let accepts = self.listeners.iter().any(|listener| listener.is_ready) && entries.len() < self.most_connections;
        if !touched.is_empty() || (accepts && self.accept_again.is_none()) {
            return Some(Duration::ZERO);
        }
        let due = [timers.next(), *stop_at, self.accept_again.filter(|_| accepts)].into_iter().flatten().min()?;
        // The system counts milliseconds in 32 bits.
        Some(due.since(common.now()).min(LONGEST_WAIT))
    }

    fn on_event(&mut self, index: usize, event: &mio::event::Event) {
        if !self.connections.entries.contains(index) {
            return;
        }
        self.take_turn(index, |driver, common| {
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                driver.on_readable(event.is_read_closed() || event.is_error());
            }
            if event.is_writable() {
                driver.on_writable(common);
            }
        });
    }

    /// Gives turns to those that were sent something by others, or that have more to be read.
    fn serve_touched(&mut self) {
        // Who is touched from now on has its turn in the next round, so that nobody waits for a peer that floods.
        let mut round = mem::replace(&mut self.connections.touched, mem::take(&mut self.round));
        round.sort_unstable();
        round.dedup();
        for index in round.drain(..) {
            if self.connections.entries.contains(index) {
                self.take_turn(index, |_, _| ());
            }
        }
        self.round = round;
    }

    fn serve_deadlines(&mut self) {
        let now = self.connections.common.now();
        while let Some((index, scheduled)) = self.connections.timers.pop(now) {
            let Connections { entries, common, .. } = &mut self.connections;
            let Some(entry) = entries.get_mut(index).filter(|entry| entry.scheduled == scheduled) else { continue };
            entry.scheduled = timers::Scheduled::NEVER;
            if entry.driver.deadline(common).is_some_and(|due| due <= now) {
                self.take_turn(index, Driver::on_deadline);
            } else {
                self.connections.schedule(index);
            }
        }
    }

    /// A connection's turn. A handler that panics in it costs this connection.
    fn take_turn(&mut self, index: usize, begin: impl FnOnce(&mut Driver<H::Stream>, &mut Common)) {
        if caught(|| self.turn(index, begin)).is_none() {
            self.end_after_panic(index);
        }
    }

    fn turn(&mut self, index: usize, begin: impl FnOnce(&mut Driver<H::Stream>, &mut Common)) {
        let Self { handler, connections, buffer, .. } = self;
        connections.turn = Some(index);
        let id = connections.id(index);
        // Whose request was answered late is told before anything else.
        if let Some(at) = connections.answered.iter().position(|&answered| answered == id) {
            connections.answered.swap_remove(at);
            handler.open(&mut Context { connections, id });
        }
        let Connections { entries, common, .. } = &mut *connections;
        let driver = &mut entries[index].driver;
        begin(driver, common);
        let count = driver.read(buffer, common);
        let mut input = &mut buffer[..count];
        loop {
            let Connections { entries, common, .. } = &mut *connections;
            let driver = &mut entries[index].driver;
            if let Some(message) = driver.next_whole(&mut input, common) {
                handler.message(&mut Context { connections, id }, message);
                continue;
            }
            let Some(event) = driver.next(&mut input, common) else { break };
            dispatch(handler, connections, id, event);
        }
        let Connections { entries, common, touched, turn, .. } = connections;
        let driver = &mut entries[index].driver;
        driver.flush(common);
        *turn = None;
        if driver.is_finished() {
            // The end may have come with the flush.
            while let Some(event) = connections.entries[index].driver.next(&mut &mut [][..], &mut connections.common) {
                dispatch(handler, connections, id, event);
            }
            connections.remove(index);
        } else {
            if driver.wants_turn() {
                touched.push(index);
            }
            connections.schedule(index);
        }
    }

    fn accept(&mut self) {
        let now = self.connections.common.now();
        if self.accept_again.is_some_and(|again| again > now) {
            return;
        }
        self.accept_again = None;
        for listener in self.listeners.iter_mut().filter(|listener| listener.is_ready) {
            for _ in 0..ACCEPTED {
                if self.connections.entries.len() >= self.most_connections {
                    return;
                }
                let accept = || listener.socket.accept().map(|stream| Driver::server(stream, &self.connections.common));
                let accepted = caught(accept).unwrap_or_else(|| Err(io::ErrorKind::Other.into()));
                // What is kept for it may not come about: it is gone then.
                let accepted =
                    accepted.and_then(|driver| caught(|| self.connections.insert(driver).map(drop)).unwrap_or(Ok(())));
                match accepted.map_err(|error| error.kind()) {
                    Ok(()) => {}
                    Err(io::ErrorKind::WouldBlock) => {
                        listener.is_ready = false;
                        break;
                    }
                    // The client has gone again.
                    Err(io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                    // No file descriptor, say: there may be one in a while.
                    Err(_) => {
                        self.accept_again = Some(now.after(ACCEPT_PAUSE));
                        return;
                    }
                }
            }
        }
    }
}

/// A head is parsed where it was read to.
fn least_buffer(settings: &Settings) -> usize {
    settings.head_limits.bytes.min(LONGEST_HEAD) + 1024
}

/// Tells the handler.
#[inline(never)]
fn dispatch<H: Handler>(handler: &mut H, connections: &mut Connections<H>, id: ConnectionId, event: Event<'_>) {
    let index = id.index as usize;
    match event {
        Event::Message(message) => {
            handler.message(&mut Context { connections, id }, message.as_message());
            if let Received::Joined(message) = message {
                connections.common.keep(message);
            }
        }
        Event::Part(part) => handler.part(&mut Context { connections, id }, &part),
        Event::Ping | Event::Pong => {
            let mut copy = [0; sansocket::MAX_CONTROL_PAYLOAD];
            let payload = connections.entries[index].driver.control();
            let payload_len = payload.len();
            copy[..payload_len].copy_from_slice(payload);
            let mut context = Context { connections, id };
            match event {
                Event::Ping => handler.ping(&mut context, &copy[..payload_len]),
                _ => handler.pong(&mut context, &copy[..payload_len]),
            }
        }
        Event::Request(request) => {
            // The request is at hand here, so who asked gets an answer all the same.
            let answer = caught(|| handler.request(&mut Context { connections, id }, &request));
            let answer = answer.unwrap_or_else(|| Answer::reject(500));
            let Connections { entries, common, .. } = &mut *connections;
            let driver = &mut entries[index].driver;
            driver.answer(Some(&request), &answer, common);
            if driver.may_send() {
                handler.open(&mut Context { connections, id });
            }
        }
        Event::Open(response) => {
            handler.response(&mut Context { connections, id }, &response);
            handler.open(&mut Context { connections, id });
        }
        Event::Drained => handler.drained(&mut Context { connections, id }),
        Event::NotOpened(error) => handler.not_opened(&mut Context { connections, id }, error),
        Event::End(ending) => {
            let driver = &mut connections.entries[index].driver;
            let error = driver.take_error();
            let reason = driver.peer_close().map_or("", |close| close.reason()).to_owned();
            let closed = Closed { ending, reason: &reason, error: error.as_ref() };
            handler.close(&mut Context { connections, id }, &closed);
        }
    }
}
