//! A connection that speaks WebSocket: what comes goes to the object as tasks, what the object wants sent goes to the socket.

#[cfg(test)]
mod faults;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event as Readiness;
use sansocket::handshake::{ClientRequest, Response, ResponseError, Uri};
use sansocket::{CloseCode, EndedBy, Ending, Limits};
use sansocket_mio::{Driver, Event, OpenError, Received, Sent, Stream, Turn};

use super::reactor::Shared;
use super::socket::Socket;
use super::{Id, Plan};
use crate::builder::TimeLimits;
use crate::failure::Failure;
use crate::machine::{End, Task};
use crate::object::{Object, Order, Orders};

/// Longer messages are sent in parts of so many bytes, each a frame, so that no more than the adapter's marks allow is copied at once.
const PART: usize = 64 * 1024;

/// How much of the owner's is given to the driver before the socket has taken it; a message counts as some bytes more, so that empty ones come to an
/// end, too.
const BATCH: usize = 256 * 1024;
const MESSAGE: usize = 16;

/// One of the adapter's drivers, and what there is to be sent.
pub(super) struct Wire<S = Socket> {
    driver: Driver<S>,
    id: Id,
    compresses: bool,
    message_limit: u64,
    /// Whether the server has to choose a subprotocol.
    wants_protocol: bool,
    /// What the owner wants sent.
    orders: VecDeque<Order>,
    /// How much of the first was sent.
    begun: usize,
    /// The batch that the driver has got and the socket has not: its bytes of payload, and how much of the driver's queue lies before its end.
    under_way: u64,
    before_end: usize,
    /// How long the driver's queue was at the end of the last turn.
    queued: usize,
    /// Whether the owner has too much to read already.
    is_held_back: bool,
    end: Ended,
    /// Whether nothing is left to be done, whatever the driver thinks.
    is_dropped: bool,
}

/// How far the end has come.
enum Ended {
    /// It has not begun.
    No,
    /// The owner closes: since when nothing has moved.
    Closing(Instant),
    /// Both Closes were exchanged: what to tell once TCP has ended, and since when that is waited for.
    Clean(Instant, End),
    /// The owner was told. Since when the driver does what is left.
    Told(Instant),
}

impl<S: Stream> Wire<S> {
    /// Writes the request over a socket that is connected.
    pub(super) fn start(socket: S, id: Id, plan: &Plan, shared: &mut Shared) -> io::Result<Self> {
        let invalid = |error: &dyn std::error::Error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
        let uri = Uri::from_url(&plan.uri).map_err(|error| invalid(&error))?;
        let protocols: Vec<_> = plan.protocols.as_slice().iter().map(|protocol| &protocol[..]).collect();
        let headers: Vec<_> = plan.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let mut request = ClientRequest::new(&uri).protocols(&protocols).headers(&headers);
        if let Some(origin) = &plan.origin {
            request = request.origin(origin);
        }
        let (common, _) = shared.common(plan.compresses);
        Ok(Self {
            driver: Driver::client(socket, &request, common).map_err(|error| invalid(&error))?,
            id,
            compresses: plan.compresses,
            message_limit: plan.message_limit,
            wants_protocol: !protocols.is_empty(),
            orders: VecDeque::new(),
            begun: 0,
            under_way: 0,
            before_end: 0,
            queued: 0,
            is_held_back: false,
            end: Ended::No,
            is_dropped: false,
        })
    }

    pub(super) const fn is_opening(&self) -> bool {
        self.driver.is_opening()
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_gone(&self) -> bool {
        self.is_dropped || self.driver.is_finished()
    }

    /// When an open connection has taken too long to end.
    pub(super) fn deadline(&self, limits: &TimeLimits) -> Option<Instant> {
        let (since, limit) = match &self.end {
            Ended::No => return None,
            Ended::Closing(since) => (since, limits.close),
            Ended::Clean(since, _) => (since, limits.end),
            // Nobody waits for it any more, but it does not stay for ever.
            Ended::Told(since) => (since, limits.end.or(TimeLimits::DEFAULT.end)),
        };
        since.checked_add(limit?)
    }

    /// It has taken too long to end.
    pub(super) fn on_deadline(&mut self, limits: &TimeLimits, object: &Object) {
        match mem::replace(&mut self.end, Ended::No) {
            Ended::Closing(_) => {
                let why = limits.close.map(|limit| Arc::new(Failure::NoClose(limit)));
                object.deliver([Task::Closed(End::Lost(why))]);
            }
            Ended::Clean(_, end) => object.deliver([Task::Closed(end)]),
            Ended::No | Ended::Told(_) => {}
        }
    }

    /// The socket is connected: for all that is known, it may be written and read.
    pub(super) fn on_connected(&mut self, shared: &mut Shared, object: &Object) {
        self.turn(shared, object, |turn| {
            turn.on_writable();
            turn.on_readable(false);
        });
    }

    pub(super) fn on_event(&mut self, event: &Readiness, shared: &mut Shared, object: &Object) {
        self.turn(shared, object, |turn| {
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                turn.on_readable(event.is_read_closed() || event.is_error());
            }
            if event.is_writable() {
                turn.on_writable();
            }
        });
    }

    pub(super) fn go_on(&mut self, shared: &mut Shared, object: &Object) {
        self.turn(shared, object, |_| ());
    }

    pub(super) fn on_orders(&mut self, mut orders: Orders, shared: &mut Shared, object: &Object) {
        self.is_held_back &= !orders.reads;
        if matches!(orders.queue.back(), Some(Order::Close(..))) && matches!(self.end, Ended::No) {
            self.end = Ended::Closing(shared.now);
        }
        self.orders.append(&mut orders.queue);
        if orders.fails && matches!(self.end, Ended::No) {
            // The owner knows why. The server hears that this side goes away.
            self.orders = VecDeque::from([Order::Close(Some(CloseCode::GOING_AWAY), String::new())]);
            self.begun = 0;
            self.tell(End::Failed(Arc::new(Failure::Aborted)), shared.now, object);
        }
        self.turn(shared, object, |_| ());
    }

    fn turn(&mut self, shared: &mut Shared, object: &Object, begin: impl FnOnce(&mut Turn<'_, S>)) {
        let now = shared.now;
        let (common, buffer) = shared.common(self.compresses);
        let mut turn = self.driver.turn(common);
        begin(&mut turn);
        // What is in the queue goes first, so whatever has left it was before everything that this turn puts there.
        let has_left = self.queued.saturating_sub(turn.driver().queued());
        let mut is_moving = has_left > 0 && self.before_end > 0;
        self.before_end = self.before_end.saturating_sub(has_left);
        // Before the next batch begins.
        let is_write_shut = turn.driver().is_write_shut();
        report(&mut self.under_way, self.before_end, is_write_shut, object);

        let mut messages = Vec::new();
        let mut ending = None;
        let mut input = if self.is_held_back { &mut [] } else { turn.read(buffer) };
        loop {
            // Held back, not even what was read and not inflated is looked at.
            while !self.is_held_back
                && let Some(event) = turn.next(&mut input)
            {
                match event {
                    // RFC 6455 lets a server choose none, the standard does not.
                    Event::Open(response) if self.wants_protocol && response.protocol().is_none() => {
                        ending = Some(Err(OpenError::Response(ResponseError::Protocol)));
                        self.is_dropped = true;
                        break;
                    }
                    Event::Open(response) => {
                        open(&response, object);
                        // The first message may be right behind it.
                        drop(turn);
                        let limits = Limits { message: self.message_limit, ..common.settings().limits };
                        self.driver.set_limits(limits);
                        turn = self.driver.turn(common);
                    }
                    Event::Message(Received::Lent(message)) => messages.push(Task::Message(message.to_owned())),
                    Event::Message(Received::Joined(message)) => messages.push(Task::Message(message)),
                    Event::NotOpened(error) => ending = Some(Err(error)),
                    Event::End(end) => ending = Some(Ok(end)),
                    _ => {}
                }
            }
            if !messages.is_empty() {
                object.deliver(mem::take(&mut messages));
                self.is_held_back = object.holds_back();
            }
            let is_finished = turn.driver().is_finished();
            // One batch after the other, so that nobody waits for what another one sends, and the buffered amount falls as the socket takes it.
            let has_sent =
                self.before_end == 0 && send(&mut turn, &mut self.orders, &mut self.begun, &mut self.under_way);
            drop(turn);
            if has_sent {
                is_moving = true;
                self.before_end = self.driver.queued();
            }
            // The end may have come with what was written at the turn's end.
            if is_finished || !self.driver.is_finished() {
                break;
            }
            turn = self.driver.turn(common);
        }

        if let Ended::Closing(since) = &mut self.end
            && is_moving
        {
            *since = now;
        }
        self.queued = self.driver.queued();
        self.before_end = self.before_end.min(self.queued);
        report(&mut self.under_way, self.before_end, self.driver.is_write_shut(), object);
        match ending {
            Some(Ok(ending)) => self.on_end(ending, now, object),
            Some(Err(error)) => self.tell(End::Failed(Arc::new(not_opened(error))), now, object),
            None => {}
        }
        if self.driver.is_finished() {
            match mem::replace(&mut self.end, Ended::Told(now)) {
                Ended::Clean(_, end) => object.deliver([Task::Closed(end)]),
                Ended::Told(_) => {}
                // It ends in no other way, and if it did, the owner would have to know.
                Ended::No | Ended::Closing(_) => object.deliver([Task::Closed(End::Lost(None))]),
            }
        }
        let may_send = !self.orders.is_empty() && self.before_end == 0;
        if may_send || (self.driver.wants_turn() && !self.is_held_back) {
            shared.ready.push(self.id);
        }
    }

    /// Nothing more comes.
    fn on_end(&mut self, ending: Ending, now: Instant, object: &Object) {
        let reason = self.driver.peer_close().map_or("", |close| close.reason()).to_owned();
        let clean = End::Clean { code: ending.code(), reason };
        match ending.by() {
            // It is over when TCP is: the server closes that first (RFC 6455, 7.1.1).
            EndedBy::Local => self.wait_for_tcp(clean, now),
            EndedBy::Peer => {
                object.deliver([Task::Closing]);
                self.wait_for_tcp(clean, now);
            }
            EndedBy::Failure(error) => self.tell(End::Failed(Arc::new(Failure::Protocol(error))), now, object),
            _ => {
                let why = self.driver.error().map(|error| io::Error::new(error.kind(), error.to_string()));
                self.tell(End::Lost(why.map(|error| Arc::new(Failure::Lost(Arc::new(error))))), now, object);
            }
        }
    }

    fn wait_for_tcp(&mut self, end: End, now: Instant) {
        if !matches!(self.end, Ended::Told(_)) {
            self.end = Ended::Clean(now, end);
        }
    }

    /// Tells the owner of the end. What the driver still has to do, it does by itself.
    fn tell(&mut self, end: End, now: Instant, object: &Object) {
        if !matches!(self.end, Ended::Told(_)) {
            self.end = Ended::Told(now);
            object.deliver([Task::Closed(end)]);
        }
    }
}

/// Reports a batch that the socket has taken. What one that has failed did not take was never handed over.
fn report(under_way: &mut u64, before_end: usize, is_write_shut: bool, object: &Object) {
    if *under_way > 0 && before_end == 0 && !is_write_shut {
        object.handed_over(mem::take(under_way));
    }
}

fn open(response: &Response<'_>, object: &Object) {
    let mut extensions = String::new();
    let mut set_cookies = Vec::new();
    for (name, value) in response.headers() {
        if name.eq_ignore_ascii_case("Sec-WebSocket-Extensions") {
            extensions += if extensions.is_empty() { "" } else { ", " };
            extensions += &String::from_utf8_lossy(value);
        } else if name.eq_ignore_ascii_case("Set-Cookie") {
            set_cookies.push(value.to_owned());
        }
    }
    object.deliver_open(response.protocol().unwrap_or_default().to_owned(), extensions, set_cookies);
}

/// Sends what there is, until the driver has enough of it. Gives whether it has sent something.
fn send<S: Stream>(
    turn: &mut Turn<'_, S>,
    orders: &mut VecDeque<Order>,
    begun: &mut usize,
    under_way: &mut u64,
) -> bool {
    let mut has_sent = false;
    let mut given = 0;
    if turn.driver().is_opening() {
        return has_sent;
    }
    while let Some(order) = orders.front() {
        let (sent, part, is_done) = match order {
            Order::Close(code, reason) => (turn.close(*code, reason).map(|()| Sent::Accepted), 0, true),
            Order::Send(payload) => {
                let message = payload.as_message();
                let rest = &message.as_bytes()[*begun..];
                let part = rest.len().min(PART);
                let is_last = part == rest.len();
                let sent = if *begun == 0 && is_last {
                    turn.send(message)
                } else {
                    turn.send_part(message.kind(), &rest[..part], is_last)
                };
                (sent, part, is_last)
            }
        };
        has_sent = true;
        let Ok(sent) = sent else {
            // It is over. What was not sent never will be, and stays in the buffered amount. More may come of an owner that does not know yet.
            orders.clear();
            *begun = 0;
            break;
        };
        *under_way += part as u64;
        given += part + MESSAGE;
        *begun += part;
        if is_done {
            *begun = 0;
            orders.pop_front();
        }
        if sent == Sent::AboveMark || given >= BATCH {
            break;
        }
    }
    has_sent
}

fn not_opened(error: OpenError) -> Failure {
    match error {
        // What TLS has found comes as an error of the stream.
        OpenError::Io(error) if error.kind() == io::ErrorKind::InvalidData => Failure::Tls(Arc::new(error.into())),
        error => Failure::Open(Arc::new(error)),
    }
}
