//! A WebSocket over one TCP socket, from its first packet to its last.

use sansocket::{
    Connection, Deadlines, Ending, Event, Expired, MAX_REPLY, NextStep, Output, Role, SendError, Server, SliceOutput,
    Time, Timeouts,
};
use smoltcp::socket::tcp::Socket;

use crate::{Opened, Opening, free, reply};

/// How much more than it came with a read can make us answer. Each piece of a message goes back with as many bytes as it had, but where
/// the read cuts a frame or a character, both parts get a header; and a reply must have room ahead of that.
const ANSWER: usize = 2 * MAX_REPLY;

/// How much of the send buffer an application leaves free when it sends by itself, so that this side never stops reading for being busy
/// sending. If both did, they would wait for each other for ever.
const RESERVE: usize = ANSWER + 256;

/// What is done with a connection.
pub trait Application<R: Role> {
    /// Something has come. Replies are in `out` already, and a server's has room to send a piece of a message back as it is.
    fn received(&mut self, event: Event<'_>, connection: &mut Connection<R>, out: &mut SliceOutput<'_>);

    /// There may be room to send something: `out` is the send buffer itself, as far as it is free and lies in one piece. Called until it puts
    /// nothing.
    fn send(&mut self, connection: &mut Connection<R>, out: &mut SliceOutput<'_>);
}

/// Sends every message back, piece by piece.
#[derive(Debug)]
pub struct Echo;

impl Application<Server> for Echo {
    fn received(&mut self, event: Event<'_>, connection: &mut Connection<Server>, out: &mut SliceOutput<'_>) {
        let Some(piece) = event.piece() else { return };
        let sent = connection.send_part(piece.kind(), piece.as_bytes(), piece.is_last(), out);
        // There is room, so what can be against it is a Close of ours, behind which nothing is sent.
        debug_assert!(matches!(sent, Ok(()) | Err(SendError::Closing)), "{sent:?}");
    }

    fn send(&mut self, _connection: &mut Connection<Server>, _out: &mut SliceOutput<'_>) {}
}

/// A WebSocket over one TCP socket.
pub struct Endpoint<O: Opening, A> {
    opening: O,
    application: A,
    timeouts: Timeouts,
    stage: Stage<O::Role>,
}

enum Stage<R> {
    /// Since then, if the TCP connection has begun.
    Opening(Option<Time>),
    Open(Connection<R>, Deadlines),
    /// The opening handshake has failed. Until then, what still comes is discarded.
    Failed(Option<Time>),
}

impl<O: Opening, A: Application<O::Role>> Endpoint<O, A> {
    /// For a socket that listens, or connects. Its send buffer should hold a kilobyte: half of that is kept free for replies.
    pub const fn new(opening: O, application: A, timeouts: Timeouts) -> Self {
        Self { opening, application, timeouts, stage: Stage::Opening(None) }
    }

    /// The application.
    pub const fn application(&self) -> &A {
        &self.application
    }

    /// How the connection has ended, if it was open and has.
    pub fn ending(&self) -> Option<Ending> {
        match &self.stage {
            Stage::Open(connection, _) => connection.ending(),
            _ => None,
        }
    }

    /// When to call [`step`](Self::step), if no packet comes before.
    pub fn due(&mut self, now: Time) -> Option<Time> {
        match &mut self.stage {
            Stage::Opening(since) => since.and_then(|since| self.timeouts.open_deadline(since)),
            Stage::Open(connection, deadlines) => deadlines.next(now, &self.timeouts, connection),
            Stage::Failed(until) => *until,
        }
    }

    /// Does all that can be done now: takes in what was received, sends, looks at the time, ends the TCP connection.
    ///
    /// `scratch` is for this one call. It bounds the replies that are made at once: a kilobyte does, and more than the send buffer is of no use.
    pub fn step(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8], now: Time) {
        if let Stage::Opening(since) = &mut self.stage
            && !socket.is_listening()
        {
            let since = *since.get_or_insert(now);
            self.open(socket, scratch, since, now);
        }
        match &mut self.stage {
            Stage::Opening(_) => {}
            Stage::Open(connection, deadlines) => {
                receive(connection, deadlines, &mut self.application, socket, scratch, now);
                send(connection, deadlines, &mut self.application, socket, now);
                let expired = reply(socket, scratch, |_, out| deadlines.expire(now, &self.timeouts, connection, out));
                match (expired, connection.next_step()) {
                    // The peer's part of the end was waited for in vain.
                    (Expired::Transport, _) => socket.abort(),
                    // The client waits for the server, which is to close first.
                    (_, NextStep::Open | NextStep::AwaitEof) => {}
                    // smoltcp's `close` says that nothing more is sent, behind all that is queued. `receive` goes on and discards, until the
                    // peer closes too or `deadlines` has enough of it.
                    _ => socket.close(),
                }
            }
            Stage::Failed(until) => {
                while let Ok(1..) = socket.recv(|received| (received.len(), received.len())) {}
                if until.is_some_and(|until| until <= now) {
                    socket.abort();
                    *until = None;
                }
            }
        }
    }

    fn open(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8], since: Time, now: Time) {
        let late = self.timeouts.open_deadline(since).is_some_and(|deadline| deadline <= now);
        let opened = if late {
            self.opening.expire(socket, scratch);
            Opened::Failed
        } else if socket.may_send() {
            self.opening.step(socket, scratch)
        } else if socket.is_open() {
            // The TCP connection is not established.
            Opened::NotYet
        } else {
            Opened::Failed
        };
        match opened {
            Opened::NotYet => {}
            Opened::Open(connection) => self.stage = Stage::Open(connection, Deadlines::new(now)),
            Opened::Failed => {
                // As behind a violation: what was said must not be lost to a reset, so what still comes is read.
                socket.close();
                self.stage = Stage::Failed(self.timeouts.end.map(|end| now.after(end)));
            }
        }
    }
}

/// Takes in all that was received, as far as there is room for the answers.
fn receive<R: Role>(
    connection: &mut Connection<R>,
    deadlines: &mut Deadlines,
    application: &mut impl Application<R>,
    socket: &mut Socket<'_>,
    scratch: &mut [u8],
    now: Time,
) {
    // The receive buffer is a ring: what lies across its end is lent in two pieces.
    loop {
        let taken = reply(socket, scratch, |socket, out| {
            socket.recv(|received| {
                let answerable = match connection.next_step() {
                    NextStep::Open => received.len().min(out.room().saturating_sub(ANSWER)),
                    // Nothing is answered any more.
                    _ => received.len(),
                };
                let mut input = &mut received[..answerable];
                while let Some(event) = connection.receive(&mut input, out) {
                    if event.piece().is_some() {
                        deadlines.active(now);
                    }
                    application.received(event, connection, out);
                }
                // The rest stays in the receive buffer. When that is full, TCP stops the peer.
                let taken = answerable - input.len();
                (taken, taken)
            })
        });
        match taken {
            Ok(0) => return,
            Ok(_) => deadlines.received(now),
            // The peer has closed, or the connection was reset. A second time does no harm.
            Err(_) => return connection.receive_eof(),
        }
    }
}

/// Lets the application send by itself.
fn send<R: Role>(
    connection: &mut Connection<R>,
    deadlines: &mut Deadlines,
    application: &mut impl Application<R>,
    socket: &mut Socket<'_>,
    now: Time,
) {
    while connection.may_send() && free(socket) > RESERVE {
        let most = free(socket) - RESERVE;
        let sent = socket.send(|room| {
            let most = most.min(room.len());
            let mut out = SliceOutput::new(&mut room[..most]);
            application.send(connection, &mut out);
            (out.bytes().len(), out.bytes().len())
        });
        match sent {
            Ok(1..) => deadlines.active(now),
            _ => return,
        }
    }
}
