//! One connection over a socket that does not block.

use std::io::{self, IoSlice};
use std::mem;

use mio::Interest;
use sansocket::handshake::{ClientHandshake, ClientRequest, ClientRequestError, PendingAnswer, Request};
use sansocket::{
    Client, CloseCode, CloseFrame, Connection, Deadlines, Either, Ending, Kind, Limits, Message, Messages, NextStep,
    Output, OwnedMessage, Prepared, ProtocolError, RandomKeys, SendError, Time,
};

use crate::answer::{Answer, Decision, Owed};
use crate::event::{Event, OpenError, Part, Received};
use crate::opening::{Opening, Progress, Stage};
use crate::queue::Queue;
use crate::settings::{Common, Settings};
use crate::stream::Stream;
use crate::turn::Turn;

/// The engine as this adapter uses it: the role is known at run time.
type Engine = Connection<Either<RandomKeys>>;

/// How much of a peer's input is read and discarded at the end, so that it gets to see the last that was written, in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// The most that is read at once straight into a long message.
const LONGEST_READ: u64 = 256 * 1024;

/// Payloads of up to this many bytes are copied into the output; longer ones go out in frames of [`FRAME`], a server's out of the caller's memory.
const COPIED: usize = 16 * 1024;
const FRAME: usize = 64 * 1024;

/// How many frames a write gathers.
const FRAMES: usize = 8;

/// How much is put before it is written though the turn goes on.
const OUT_FULL: usize = 64 * 1024;

/// One connection, from its opening handshake to the end of its socket. It fits any loop around a [`Poll`](mio::Poll):
///
/// 1. Register the [`stream`](Self::stream_mut), once, for [`INTEREST`](Self::INTEREST).
/// 2. For each of its events, take a [`turn`](Self::turn): [`Turn::on_writable`], then [`Turn::on_readable`], then, while
///    [`may_read`](Self::may_read), one [`Turn::read`] and [`Turn::next`] until that gives `None`. A turn's end writes all that it has
///    put, in one system call.
/// 3. Do not wait for longer than until [`deadline`](Self::deadline). When that has passed, take a turn for [`Turn::on_deadline`].
/// 4. Once it [`is_finished`](Self::is_finished), deregister and drop it.
///
/// It holds no buffer: what is read lies in one that all connections of a thread can share, what is written is collected in
/// [`Common`]. What the socket does not take is queued here.
#[derive(Debug)]
pub struct Driver<S> {
    stream: S,
    reading: Reading,
    writing: Writing,
    /// Whether more is queued than the high mark allows, and not yet less than the low one.
    above: bool,
    giving: Giving,
    deadlines: Deadlines,
    /// What few connections need at a time.
    rare: Option<Box<Rare>>,
    state: State,
}

// A debug build of mio puts more into its sockets.
#[cfg(not(debug_assertions))]
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
    /// Whether the socket has ended.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Rare {
    queue: Queue,
    messages: Messages,
    /// A message that was read straight into its own memory, and not given yet.
    whole: Option<OwnedMessage>,
    /// What came behind a head while that waited for its answer.
    unread: Vec<u8>,
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

    /// A client's end of a connection over a stream that is being connected.
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn client(stream: S, request: &ClientRequest<'_>, common: &Common) -> Result<Self, ClientRequestError> {
        let mut queued = Vec::new();
        // RFC 6455, 4.1, item 7: a nonce "selected randomly for each connection".
        let handshake: ClientHandshake<'_> =
            request.limits(common.settings.head_limits).start(rand::random(), &mut queued)?;
        let mut this = Self::new(stream, Opening::client(handshake.into_owned(), common.now), common);
        this.writing = Writing::Blocked;
        this.rare().queue.push(&queued);
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
            above: false,
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

    /// Whether it is worth to read: the socket may have something, and what is queued is below the mark.
    pub fn may_read(&self) -> bool {
        self.reading != Reading::Empty
            && match &self.state {
                State::Opening(opening) => matches!(opening.stage, Stage::Head),
                State::Open(engine) => match engine.next_step() {
                    NextStep::Open => !self.above,
                    NextStep::AwaitEof | NextStep::DrainAfterFlush => true,
                    _ => false,
                },
                State::NotOpened(not_opened) => !not_opened.is_over,
            }
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

    // Reading.

    pub(crate) fn on_readable(&mut self, read_closed: bool) {
        self.reading = match self.reading {
            _ if read_closed => Reading::ToTheEnd,
            Reading::Empty => Reading::Ready,
            reading => reading,
        };
    }

    /// Reads once. Gives how many bytes of `buffer` are to be taken by `next`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        match &self.state {
            State::Opening(_) => self.read_head(buffer, common),
            State::Open(engine) if engine.next_step() == NextStep::Open => self.read_frames(buffer, common),
            _ => {
                self.discard(buffer, common);
                0
            }
        }
    }

    /// Reads once from the stream, and notes what that says of what is left. `None`: nothing has come.
    fn receive(reading: &mut Reading, stream: &mut S, buffer: &mut [u8]) -> Option<Result<usize, io::Error>> {
        match stream.read(buffer) {
            Ok(count) => {
                // A stream that claims more than there was room for does not get us to take what it has not written.
                let count = count.min(buffer.len());
                if count < buffer.len() && *reading == Reading::Ready && stream.short_is_last() {
                    *reading = Reading::Empty;
                }
                if count == 0 && !buffer.is_empty() {
                    *reading = Reading::Empty;
                }
                Some(Ok(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *reading = Reading::Empty;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => {
                *reading = Reading::Empty;
                Some(Err(error))
            }
        }
    }

    fn read_head(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        let State::Opening(opening) = &mut self.state else { return 0 };
        let before = opening.received.len();
        let room = buffer.len().saturating_sub(before);
        let count = match Self::receive(&mut self.reading, &mut self.stream, &mut buffer[..room]) {
            None => return 0,
            Some(Ok(0)) => {
                self.lose(io::ErrorKind::UnexpectedEof.into(), common);
                return 0;
            }
            Some(Err(error)) => {
                self.lose(error, common);
                return 0;
            }
            Some(Ok(count)) => count,
        };
        if before == 0 {
            return count;
        }
        // Looked at where it is kept, so that a head that comes byte by byte is not copied with each of them.
        opening.received.extend_from_slice(&buffer[..count]);
        let received = mem::take(&mut opening.received);
        if let Progress::Incomplete = opening.examine(&received, &mut common.out) {
            opening.received = received;
            return 0;
        }
        buffer[..received.len()].copy_from_slice(&received);
        received.len()
    }

    fn read_frames(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        let Self { stream, reading, deadlines, rare, state: State::Open(engine), .. } = self else { return 0 };
        if let Some(rare) = rare {
            if !rare.unread.is_empty() {
                let count = rare.unread.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rare.unread[..count]);
                rare.unread.drain(..count);
                return count;
            }
            // The rest of a long message is read to where it belongs.
            let left = engine.payload_left();
            if left >= buffer.len() as u64 && rare.messages.len_under_way() > 0 {
                match rare.messages.room(left.min(LONGEST_READ)) {
                    Ok(None) => {}
                    Err(error) => {
                        engine.fail(error, &mut common.out);
                        return 0;
                    }
                    Ok(Some(room)) => {
                        match Self::receive(reading, stream, room) {
                            None => {}
                            Some(Ok(0)) => self.end(None),
                            Some(Err(error)) => self.end(Some(error)),
                            Some(Ok(count)) => {
                                deadlines.received(common.now);
                                deadlines.active(common.now);
                                if rare.messages.received(count, engine) {
                                    rare.whole = Some(rare.messages.take());
                                }
                            }
                        }
                        return 0;
                    }
                }
            }
        }
        match Self::receive(reading, stream, buffer) {
            None => 0,
            Some(Ok(0)) => {
                self.end(None);
                0
            }
            Some(Err(error)) => {
                self.end(Some(error));
                0
            }
            Some(Ok(count)) => {
                deadlines.received(common.now);
                count
            }
        }
    }

    /// Reads and discards: a socket that is closed with unread input takes back what it has sent.
    fn discard(&mut self, buffer: &mut [u8], common: &mut Common) {
        match Self::receive(&mut self.reading, &mut self.stream, buffer) {
            None => {}
            Some(Ok(count @ 1..)) => {
                let rare = self.rare();
                rare.drained = rare.drained.saturating_add(count);
                if rare.drained > DRAINED {
                    self.end(None);
                }
            }
            Some(_) => self.end(None),
        }
        common.clear();
    }

    /// The socket has ended.
    fn end(&mut self, error: Option<io::Error>) {
        match &mut self.state {
            State::Open(engine) => {
                let is_news = engine.ending().is_none();
                engine.receive_eof();
                if let Some(error) = error.filter(|_| is_news) {
                    self.rare().error = Some(error);
                }
            }
            State::NotOpened(not_opened) => not_opened.is_over = true,
            State::Opening(_) => {}
        }
    }

    /// The socket has ended inside the opening handshake.
    fn lose(&mut self, error: io::Error, common: &mut Common) {
        if let State::Opening(opening) = &mut self.state {
            let error = opening.end(error, &mut common.out);
            self.not_opened(error, common);
        }
    }

    fn not_opened(&mut self, error: OpenError, common: &Common) {
        let is_over = common.out.is_empty();
        self.state = State::NotOpened(Box::new(NotOpened { since: common.now, error: Some(error), is_over }));
    }

    /// Gives what is next in `input`, which `read` has filled.
    #[inline]
    pub(crate) fn next<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        match &mut self.state {
            State::Open(_) => self.next_frame(input, common),
            State::Opening(_) => self.next_head(input, common),
            State::NotOpened(not_opened) => {
                *input = &mut [];
                not_opened.error.take().map(Event::NotOpened)
            }
        }
    }

    fn next_head<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        let State::Opening(opening) = &mut self.state else { return None };
        if input.is_empty() {
            return None;
        }
        if !matches!(opening.stage, Stage::Head) {
            opening.received.extend_from_slice(input);
            *input = &mut [];
            return None;
        }
        let len = match opening.examine(input, &mut common.out) {
            Progress::Incomplete => {
                opening.received.extend_from_slice(input);
                *input = &mut [];
                return None;
            }
            Progress::Failed(error) => {
                self.not_opened(error, common);
                return self.next(input, common);
            }
            Progress::Request(request) => request.head_len(),
            Progress::Response(response) => response.head_len(),
        };
        let (head, rest) = mem::take(input).split_at_mut(len);
        *input = rest;
        match opening.examine(head, &mut common.out) {
            Progress::Request(request) => {
                opening.stage = Stage::Answer;
                Some(Event::Request(request))
            }
            Progress::Response(response) => {
                let role = Either::Client(Client::new(RandomKeys));
                self.open(Connection::new(role, response.negotiated(), common.settings.limits), common);
                Some(Event::Open(response))
            }
            Progress::Incomplete | Progress::Failed(_) => None,
        }
    }

    fn open(&mut self, engine: Engine, common: &Common) {
        self.state = State::Open(engine);
        self.deadlines = Deadlines::new(common.now);
    }

    /// Answers a request that `next` has just given, or that was to be answered later.
    pub(crate) fn answer(&mut self, request: Option<&Request<'_>>, answer: &Answer, common: &mut Common) {
        let State::Opening(opening) = &mut self.state else { return };
        let late: PendingAnswer;
        let owed: &dyn Owed = match (request, mem::replace(&mut opening.stage, Stage::Answer)) {
            (Some(request), _) if matches!(answer.decision, Decision::Later) => {
                opening.stage = Stage::LateAnswer(request.defer());
                return;
            }
            (Some(request), _) => request,
            (None, Stage::LateAnswer(pending)) if !matches!(answer.decision, Decision::Later) => {
                late = pending;
                &late
            }
            (None, stage) => {
                opening.stage = stage;
                return;
            }
        };
        let unread = mem::take(&mut opening.received);
        let error = match answer.write(owed, &mut common.out) {
            Ok(Some(negotiated)) => {
                self.open(Connection::new(Either::Server, negotiated, common.settings.limits), common);
                if !unread.is_empty() {
                    self.rare().unread = unread;
                    self.on_readable(false);
                }
                return;
            }
            Ok(None) => OpenError::Rejected(answer.status()),
            Err(error) => {
                let refused = Answer::reject(500).write(owed, &mut common.out);
                debug_assert!(matches!(refused, Ok(None)));
                OpenError::Answer(error)
            }
        };
        self.not_opened(error, common);
    }

    #[inline]
    fn next_frame<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        let Self { state: State::Open(engine), rare, giving, deadlines, .. } = self else { return None };
        if let Some(rare) = rare
            && let Some(message) = rare.whole.take()
        {
            return Some(Event::Message(Received::Joined(message)));
        }
        loop {
            let piece = match engine.receive(input, &mut common.out) {
                Some(sansocket::Event::Ping) => return Some(Event::Ping),
                Some(sansocket::Event::Pong) => return Some(Event::Pong),
                Some(event) => match event.piece() {
                    Some(piece) => piece,
                    // A Close or a violation: what it means is told when nothing more comes.
                    None => continue,
                },
                None if *giving == Giving::Nothing => return None,
                None => {
                    let ending = engine.ending()?;
                    *giving = Giving::Nothing;
                    return Some(Event::End(ending));
                }
            };
            deadlines.active(common.now);
            if *giving == Giving::Parts {
                if piece.is_last() {
                    *giving = Giving::Messages;
                }
                return Some(Event::Part(Part::lent(piece)));
            }
            if piece.is_first() && piece.is_last() {
                match piece {
                    sansocket::Piece::Binary(binary) => {
                        return Some(Event::Message(Received::Lent(Message::Binary(binary.as_bytes()))));
                    }
                    sansocket::Piece::Text(text) => {
                        if let Some(text) = text.into_str() {
                            return Some(Event::Message(Received::Lent(Message::Text(text))));
                        }
                    }
                }
            }
            let messages = &mut rare.get_or_insert_default().messages;
            if piece.is_last() {
                match messages.finish_owned(piece) {
                    Ok(message) => return Some(Event::Message(Received::Joined(message))),
                    Err(error) => engine.fail(error, &mut common.out),
                }
                continue;
            }
            let announced = engine.payload_left().saturating_add(messages.len_under_way() as u64);
            if announced.saturating_add(piece.as_bytes().len() as u64) > common.settings.whole as u64 {
                *giving = Giving::Parts;
                if messages.len_under_way() == 0 && piece.is_first() {
                    return Some(Event::Part(Part::lent(piece)));
                }
                match messages.finish_owned(piece) {
                    Ok(beginning) => return Some(Event::Part(Part::joined(beginning))),
                    Err(error) => engine.fail(error, &mut common.out),
                }
            } else if let Err(error) = messages.append(piece) {
                engine.fail(error, &mut common.out);
            }
        }
    }

    // Time.

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

    // Sending.

    /// The engine, to send a message of so many bytes.
    fn engine_for(&mut self, len: usize, common: &mut Common) -> Result<&mut Engine, SendError> {
        let queued = self.queued() + common.out.len();
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        if queued > 0 && queued.saturating_add(len) > common.settings.queue && engine.may_send() {
            engine.fail(ProtocolError::QueueOverrun, &mut common.out);
            return Err(SendError::NoRoom);
        }
        Ok(engine)
    }

    fn sent(&mut self, common: &mut Common) -> Sent {
        if common.out.len() >= OUT_FULL {
            self.write_out(common);
        }
        if self.queued() + common.out.len() > common.settings.high_mark { Sent::AboveMark } else { Sent::Accepted }
    }

    #[inline]
    pub(crate) fn send(&mut self, message: Message<'_>, common: &mut Common) -> Result<Sent, SendError> {
        let payload = message.as_bytes();
        let engine = self.engine_for(payload.len(), common)?;
        if payload.len() <= COPIED {
            engine.send(message, &mut common.out)?;
        } else {
            if engine.is_sending() {
                // Its first frame would otherwise go on with the message that is being sent in parts.
                return Err(SendError::MessageUnderWay);
            }
            self.send_frames(message.kind(), payload, true, true, common)?;
        }
        Ok(self.sent(common))
    }

    pub(crate) fn send_part(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        common: &mut Common,
    ) -> Result<Sent, SendError> {
        let engine = self.engine_for(part.len(), common)?;
        if part.len() <= COPIED {
            engine.send_part(kind, part, last, &mut common.out)?;
        } else {
            self.send_frames(kind, part, last, false, common)?;
        }
        Ok(self.sent(common))
    }

    /// Sends long payloads in frames of bounded size, so that replies need not wait for their end. A server's go to the socket out of the
    /// caller's memory. `trusted`: a text is UTF-8 as a whole.
    fn send_frames(
        &mut self,
        kind: Kind,
        payload: &[u8],
        last: bool,
        trusted: bool,
        common: &mut Common,
    ) -> Result<(), SendError> {
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        let gathers = engine.is_server() && (trusted || kind == Kind::Binary);
        let mut batches = payload.chunks(FRAME * FRAMES).peekable();
        while let Some(batch) = batches.next() {
            let last = last && batches.peek().is_none();
            if gathers {
                self.send_gathered(kind, batch, last, common)?;
                continue;
            }
            let mut frames = batch.chunks(FRAME).peekable();
            while let Some(frame) = frames.next() {
                let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
                engine.send_part(kind, frame, last && frames.peek().is_none(), &mut common.out)?;
                if common.out.len() >= OUT_FULL {
                    self.write_out(common);
                }
            }
        }
        Ok(())
    }

    /// Writes what was put and, behind it, some frames whose payload lies with the caller.
    fn send_gathered(&mut self, kind: Kind, payload: &[u8], last: bool, common: &mut Common) -> Result<(), SendError> {
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        let out = &mut common.out;
        // Where the headers end in `out`.
        let mut ends = [0; FRAMES];
        let mut frames = payload.chunks(FRAME).peekable();
        for end in &mut ends {
            let Some(frame) = frames.next() else { break };
            engine.send_header(kind, frame.len() as u64, last && frames.peek().is_none(), out)?;
            *end = out.len();
        }
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES];
        let mut count = 0;
        let mut start = 0;
        for (frame, end) in payload.chunks(FRAME).zip(ends) {
            slices[count] = IoSlice::new(&out[start..end]);
            slices[count + 1] = IoSlice::new(frame);
            (start, count) = (end, count + 2);
        }
        let mut left = &mut slices[..count];
        while !left.is_empty()
            && self.writing == Writing::Free
            && self.rare.as_ref().is_none_or(|rare| rare.queue.is_empty())
        {
            let asked: usize = left.iter().map(|slice| slice.len()).sum();
            match self.stream.write_vectored(left) {
                Ok(written) => {
                    if written < asked && (written == 0 || self.stream.short_is_last()) {
                        self.writing = Writing::Blocked;
                    }
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(error) => self.cannot_write(&error),
            }
        }
        if !left.is_empty() && self.writing != Writing::Shut {
            let queue = &mut self.rare.get_or_insert_default().queue;
            left.iter().for_each(|slice| queue.push(slice));
        }
        common.clear();
        Ok(())
    }

    pub(crate) fn send_prepared(&mut self, prepared: &Prepared, common: &mut Common) -> Result<Sent, SendError> {
        let engine = self.engine_for(prepared.frame().len(), common)?;
        if prepared.frame().len() <= COPIED {
            engine.send_prepared(prepared, &mut common.out)?;
        } else {
            // What the engine would put is what is queued: it only says whether it may be sent now.
            engine.send_prepared(prepared, &mut Nowhere)?;
            self.write_out(common);
            if self.writing != Writing::Shut {
                self.rare().queue.push_prepared(prepared);
            }
        }
        Ok(self.sent(common))
    }

    pub(crate) fn ping(&mut self, payload: &[u8], common: &mut Common) -> Result<(), SendError> {
        self.engine_for(payload.len(), common)?.ping(payload, &mut common.out)
    }

    pub(crate) fn close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        common: &mut Common,
    ) -> Result<(), SendError> {
        match &mut self.state {
            State::Open(engine) => engine.close(code, reason, &mut common.out),
            _ => Err(SendError::Closing),
        }
    }

    /// Queues what was put, to be written in a turn of this connection's own.
    pub(crate) fn put_aside(&mut self, common: &mut Common) {
        if !common.out.is_empty() && self.writing != Writing::Shut {
            self.rare().queue.push(&common.out);
        }
        common.clear();
    }

    /// Takes the socket for lost.
    pub(crate) fn abandon(&mut self, common: &mut Common) {
        let error = || io::Error::new(io::ErrorKind::ConnectionAborted, "given up");
        match &self.state {
            State::Opening(_) => {
                self.lose(error(), common);
                self.end(None);
            }
            _ => self.end(Some(error())),
        }
    }

    // Writing.

    /// The socket takes more. True: what was queued has drained.
    pub(crate) fn on_writable(&mut self, common: &mut Common) -> bool {
        if let State::Opening(opening) = &mut self.state
            && matches!(opening.stage, Stage::Connecting)
        {
            match self.stream.is_connected() {
                Ok(true) => {
                    opening.stage = Stage::Head;
                    let _ = self.stream.set_nodelay();
                }
                Ok(false) => return false,
                Err(error) => {
                    self.lose(error, common);
                    return false;
                }
            }
        }
        if self.writing == Writing::Blocked {
            self.writing = Writing::Free;
        }
        self.write_queue();
        let drained = self.above && self.queued() <= common.settings.low_mark;
        self.above &= !drained;
        drained
    }

    fn write_queue(&mut self) {
        let Some(rare) = &mut self.rare else { return };
        while self.writing == Writing::Free && !rare.queue.is_empty() {
            match rare.queue.write_to(&mut self.stream) {
                Ok((asked, written)) if written < asked && (written == 0 || self.stream.short_is_last()) => {
                    self.writing = Writing::Blocked;
                }
                Ok(_) => {}
                Err(error) => {
                    self.cannot_write(&error);
                    return;
                }
            }
        }
    }

    /// Writes what was put, once, and queues what the socket does not take.
    fn write_out(&mut self, common: &mut Common) {
        let mut rest = &common.out[..];
        while !rest.is_empty() && self.writing == Writing::Free && self.queued() == 0 {
            match self.stream.write(rest) {
                Ok(written) => {
                    if written < rest.len() && (written == 0 || self.stream.short_is_last()) {
                        self.writing = Writing::Blocked;
                    }
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) => self.cannot_write(&error),
            }
        }
        if !rest.is_empty() && self.writing != Writing::Shut {
            self.rare().queue.push(rest);
        }
        common.clear();
    }

    fn cannot_write(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.writing = Writing::Blocked,
            io::ErrorKind::Interrupted => {}
            // The peer may have said why it went before it did: what it sent is still to be read, and so is the end.
            _ => {
                self.writing = Writing::Shut;
                if let Some(rare) = &mut self.rare {
                    rare.queue = Queue::default();
                }
                self.reading = Reading::ToTheEnd;
            }
        }
    }

    /// Ends a turn: writes what it has put, and goes on with the end of a connection.
    pub(crate) fn flush(&mut self, common: &mut Common) {
        self.write_out(common);
        self.write_queue();
        if self.writing == Writing::Free
            && let Err(error) = self.stream.flush()
        {
            self.cannot_write(&error);
        }
        self.above |= self.queued() > common.settings.high_mark;
        if self.queued() == 0 && self.writing != Writing::Blocked {
            self.finish();
        }
        if self.rare.as_ref().is_some_and(|rare| rare.is_idle()) {
            self.rare = None;
        }
    }

    /// Everything is written.
    fn finish(&mut self) {
        let shuts = match &self.state {
            State::Open(engine) => matches!(engine.next_step(), NextStep::CloseAfterFlush | NextStep::DrainAfterFlush),
            State::NotOpened(_) => true,
            State::Opening(_) => false,
        };
        if shuts && self.writing != Writing::Shut {
            self.writing = Writing::Shut;
            // The connection is over. What the socket says to its burial changes nothing.
            let _ = self.stream.shutdown_write();
        }
    }
}

/// Takes what is queued otherwise.
struct Nowhere;

impl Output for Nowhere {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, _: &[u8]) -> &mut [u8] {
        &mut []
    }
}
