//! One connection over a socket that does not block.

#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
mod opening;
mod receive;
mod send;
mod write;

use std::io;

use mio::Interest;
use sansocket::handshake::{ClientHandshake, ClientRequest, ClientRequestError};
use sansocket::{
    CloseFrame, Connection, Deadlines, Either, Ending, Limits, Messages, NextStep, OwnedMessage, ProtocolError,
    RandomKeys, Time,
};

use self::opening::{Opening, Stage};
use crate::event::OpenError;
use crate::queue::Queue;
use crate::settings::{Common, Settings};
use crate::stream::Stream;
use crate::turn::Turn;

/// The engine as this adapter uses it: the role is known at run time.
type Engine = Connection<Either<RandomKeys>>;

/// One connection, from its opening handshake to the end of its socket. It fits any loop around a [`Poll`](mio::Poll):
///
/// 1. Register the [`stream`](Self::stream_mut), once, for [`INTEREST`](Self::INTEREST).
/// 2. For each of its events, take a [`turn`](Self::turn): [`Turn::on_writable`], then [`Turn::on_readable`], then, while
///    it [wants one](Self::wants_turn), a turn with one [`Turn::read`], and [`Turn::next`] until that gives `None`. A turn's end writes all that
///    it has put, in one system call.
/// 3. Do not wait for longer than until [`deadline`](Self::deadline). When that has passed, take a turn for [`Turn::on_deadline`].
/// 4. Once it [`is_finished`](Self::is_finished), deregister and drop it. How it ended is an event like others: take [`Turn::next`] until it gives
///    `None` in every turn, also behind [`Turn::on_deadline`] and where nothing was read.
///
/// It holds no buffer: what is read lies in one that all connections of a thread can share, what is written is collected in
/// [`Common`]. What the socket does not take is queued here.
#[derive(Debug)]
pub struct Driver<S> {
    stream: S,
    reading: Reading,
    writing: Writing,
    load: Load,
    giving: Giving,
    deadlines: Deadlines,
    /// What few connections need at a time.
    rare: Option<Box<Rare>>,
    state: State,
}

// A debug build of mio puts more into its sockets.
#[cfg(all(unix, not(debug_assertions)))]
const _: () = assert!(size_of::<Driver<mio::net::TcpStream>>() <= 224, "ten thousand of them are idle");

/// What is known of the bytes to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// There are none.
    Empty,
    /// There may be some.
    Ready,
    /// There may be some, and behind them the end: a short read does not say that there are no more.
    ToTheEnd,
}

/// What is known of the room to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// There may be some.
    Free,
    /// There is none until the socket says so.
    Blocked,
    /// There will be none any more.
    Shut,
}

/// How much is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// No more than the high mark allows.
    Light,
    /// It was more, and is not yet less than the low mark.
    Above,
    /// It was more, and now is less: that is still to be told.
    Drained,
}

/// How what comes is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Giving {
    /// Whole messages.
    Messages,
    /// The message under way is given in parts.
    Parts,
    /// Nothing more: the end was told.
    Nothing,
}

#[derive(Debug)]
enum State {
    Opening(Box<Opening>),
    Open(Engine),
    NotOpened(Box<NotOpened>),
}

/// The opening handshake has failed. What explains it to the peer is written, then the socket ends.
#[derive(Debug)]
struct NotOpened {
    since: Time,
    /// Why, until that was told.
    error: Option<OpenError>,
    /// Whether the socket's end was read. What explains the failure can still be written.
    has_ended: bool,
    /// Whether nothing is left to be done.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Rare {
    queue: Queue,
    messages: Messages,
    /// A message that was read straight into its own memory, and not given yet.
    whole: Option<OwnedMessage>,
    /// What came behind a head while that waited for its answer, or was read and may not be given yet.
    unread: Vec<u8>,
    codecs: deflate::Codecs,
    /// What was discarded.
    drained: usize,
    /// Why the socket ended.
    error: Option<io::Error>,
}

impl Rare {
    fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.messages.len_under_way() == 0
            && self.whole.is_none()
            && self.unread.is_empty()
            && self.drained == 0
            && self.error.is_none()
            && self.codecs.is_idle()
    }
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "above the mark, it is time to send less"]
pub enum Sent {
    /// It is on its way.
    Accepted,
    /// It is on its way, and more is queued now than [`Settings::high_mark`]. Send no more until the queue has drained.
    AboveMark,
}

impl<S: Stream> Driver<S> {
    /// What to register the stream for, once and for good: events come where something changes.
    pub const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

    /// A server's end of a connection that was just accepted.
    pub fn server(stream: S, common: &Common) -> Self {
        Self::new(stream, Opening::server(&common.settings, common.now), common)
    }

    /// A client's end of a connection over a stream that is being connected. The limits of the response's head are those of the settings, and
    /// where those say nothing of compression, none is offered, whatever `request` says.
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn client(stream: S, request: &ClientRequest<'_>, common: &Common) -> Result<Self, ClientRequestError> {
        let mut queued = Vec::new();
        let handshake = start(request, &common.settings, &mut queued)?;
        let mut this = Self::new(stream, Opening::client(handshake, common.now), common);
        this.writing = Writing::Blocked;
        this.queue_up([&queued[..]]);
        Ok(this)
    }

    fn new(mut stream: S, opening: Opening, common: &Common) -> Self {
        // What belongs together is written together; nothing is gained by making it wait. A stream that is not connected yet may refuse,
        // and is asked again when it is.
        let _ = stream.set_nodelay();
        Self {
            stream,
            reading: Reading::Empty,
            writing: Writing::Free,
            load: Load::Light,
            giving: Giving::Messages,
            deadlines: Deadlines::new(common.now),
            rare: None,
            state: State::Opening(Box::new(opening)),
        }
    }

    /// Begins to work on this connection. When the turn is dropped, what it has put is written.
    pub fn turn<'d>(&'d mut self, common: &'d mut Common) -> Turn<'d, S> {
        Turn::new(self, common)
    }

    /// Whether it is worth to read: the socket may have something, and a server has no more queued than the mark allows.
    pub fn may_read(&self) -> bool {
        self.reading != Reading::Empty
            && match &self.state {
                State::Opening(opening) => matches!(opening.stage, Stage::Head),
                State::Open(engine) => match engine.next_step() {
                    // A client goes on: what it sends is seldom an answer, and two peers that both wait for the other to read would
                    // wait for ever.
                    NextStep::Open => !(self.load == Load::Above && engine.is_server()),
                    NextStep::AwaitEof | NextStep::DrainAfterFlush => true,
                    _ => false,
                },
                State::NotOpened(not_opened) => !not_opened.is_over,
            }
    }

    /// Whether another turn is due without a further event: it [may be read](Self::may_read), or its queue has drained.
    pub fn wants_turn(&self) -> bool {
        let is_open = matches!(self.state, State::Open(_)) && self.giving != Giving::Nothing;
        self.may_read() || (self.load == Load::Drained && is_open)
    }

    /// When [`Turn::on_deadline`] is due. To be asked after each turn.
    pub fn deadline(&mut self, common: &Common) -> Option<Time> {
        let timeouts = &common.settings.timeouts;
        match &self.state {
            State::Opening(opening) => timeouts.open_deadline(opening.start),
            State::Open(engine) => self.deadlines.next(common.now, timeouts, engine),
            State::NotOpened(not_opened) if not_opened.is_over => None,
            State::NotOpened(not_opened) => timeouts.end.map(|end| not_opened.since.after(end)),
        }
    }

    /// Whether nothing is left to be done but to drop it.
    pub fn is_finished(&self) -> bool {
        match &self.state {
            State::Open(engine) => match engine.next_step() {
                NextStep::Closed => true,
                // RFC 6455, 7.1.1: the server closes first.
                NextStep::CloseAfterFlush => self.writing == Writing::Shut,
                _ => false,
            },
            State::NotOpened(not_opened) => not_opened.is_over,
            State::Opening(_) => false,
        }
    }

    /// Whether messages may be sent.
    pub const fn may_send(&self) -> bool {
        match &self.state {
            State::Open(engine) => engine.may_send(),
            _ => false,
        }
    }

    /// Whether the opening handshake is under way.
    pub const fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening(_))
    }

    /// Bytes that wait for the socket to take them.
    pub fn queued(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.queue.len())
    }

    /// Whether nothing more can be written: this side has ended it, or the socket has failed, and what was queued is lost.
    pub const fn is_write_shut(&self) -> bool {
        matches!(self.writing, Writing::Shut)
    }

    /// How an open connection has ended, as soon as nothing more will be received.
    pub fn ending(&self) -> Option<Ending> {
        match &self.state {
            State::Open(engine) => engine.ending(),
            _ => None,
        }
    }

    /// The code and the reason of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<CloseFrame<'_>> {
        match &self.state {
            State::Open(engine) => engine.peer_close(),
            _ => None,
        }
    }

    /// What the socket said when it ended, if that was more than the end.
    pub fn error(&self) -> Option<&io::Error> {
        self.rare.as_ref()?.error.as_ref()
    }

    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.rare.as_mut()?.error.take()
    }

    /// The payload of the last ping or pong.
    pub fn control(&self) -> &[u8] {
        match &self.state {
            State::Open(engine) => engine.control(),
            _ => &[],
        }
    }

    /// Changes the limits of an open connection.
    pub const fn set_limits(&mut self, limits: Limits) {
        if let State::Open(engine) = &mut self.state {
            engine.set_limits(limits);
        }
    }

    /// The stream below, to look at it or to set its options.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// As [`stream`](Self::stream), and to register it.
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn on_deadline(&mut self, common: &mut Common) {
        let Common { settings: Settings { timeouts, .. }, now, out, .. } = common;
        match &mut self.state {
            State::Opening(opening) => {
                if timeouts.open_deadline(opening.start).is_some_and(|due| due <= *now) {
                    let error = opening.time_out(out);
                    self.not_opened(error, common);
                }
            }
            State::Open(engine) => {
                self.deadlines.expire(*now, timeouts, engine, out);
            }
            State::NotOpened(not_opened) => {
                not_opened.is_over |= timeouts.end.is_some_and(|end| not_opened.since.after(end) <= *now);
            }
        }
    }

    /// The application has panicked over this connection.
    pub(crate) fn fail_after_panic(&mut self, common: &mut Common) {
        if let State::Open(engine) = &mut self.state {
            engine.fail(ProtocolError::ApplicationFailed, &mut common.out);
        }
    }

    /// Takes the socket for lost.
    pub(crate) fn abandon(&mut self, common: &mut Common) {
        let error = || io::Error::new(io::ErrorKind::ConnectionAborted, "given up");
        match &self.state {
            State::Opening(_) => {
                self.not_opened(OpenError::Io(error()), common);
                self.end(None);
            }
            _ => _ = self.end(Some(error())),
        }
    }
}

/// Writes a client's request, with the limits and the compression of the settings.
fn start<'r>(
    request: &ClientRequest<'r>,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<ClientHandshake<'static>, ClientRequestError> {
    #[cfg(feature = "deflate")]
    let policies = settings.compression.map(|config| [config.policy]);
    #[cfg(feature = "deflate")]
    let request = request.compression(match &policies {
        // What it offers by itself may be more than one, in order of preference.
        Some(_) if !request.offered_compression().is_empty() => request.offered_compression(),
        Some(policies) => policies,
        None => &[],
    });
    // What nobody here could inflate is not offered.
    #[cfg(not(feature = "deflate"))]
    let request = request.compression(&[]);
    // RFC 6455, 4.1, item 7: a nonce "selected randomly for each connection".
    request.limits(settings.head_limits).start(rand::random(), out).map(ClientHandshake::into_owned)
}
