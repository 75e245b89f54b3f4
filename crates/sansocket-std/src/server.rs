//! Accepting connections.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use sansocket::handshake::{
    Accept, HeadLimits, OriginPolicy, Reject, Request, RequestError, RequestProgress, ServerHandshake,
};
use sansocket::{Connection, Either, Limits, Timeouts};

use crate::error::{AcceptError, is_timeout};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::receiver::drain;
use crate::stream::Stream;
use crate::timing::{Limit, Timing};
use crate::websocket::{Opening, WebSocket};

/// Accepts a connection with the default options: pages of the same origin only, no subprotocol.
///
/// # Errors
///
/// Why the connection could not be accepted; a bad request has been answered.
pub fn accept(stream: TcpStream) -> Result<WebSocket<TcpStream>, AcceptError> {
    AcceptOptions::new().accept(stream)
}

/// How connections are accepted.
///
/// ```no_run
/// use std::net::TcpListener;
///
/// use sansocket_std::{Accept, AcceptOptions, OriginPolicy, Reject};
///
/// let options = AcceptOptions::new().origins(OriginPolicy::Only(&["https://example.com"])).protocols(&["chat"]);
/// let listener = TcpListener::bind("127.0.0.1:9001")?;
///
/// // What the options decide alone:
/// let ws = options.accept(listener.accept()?.0)?;
///
/// // With a look at the request:
/// let pending = options.receive(listener.accept()?.0)?;
/// if pending.request().target().starts_with("/chat") {
///     let ws = pending.accept(&Accept::new().headers(&[("Set-Cookie", "a=b")]))?;
/// } else {
///     pending.reject(&Reject::new(404))?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AcceptOptions<'a> {
    origins: OriginPolicy<'a>,
    protocols: &'a [&'a str],
    head_limits: HeadLimits,
    limits: Limits,
    read_buffer: usize,
    timeouts: Timeouts,
}

impl Default for AcceptOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> AcceptOptions<'a> {
    /// The defaults: pages of the same origin, no subprotocols, the engine's limits, a read buffer of 16 KiB,
    /// [`Timeouts::DEFAULT`].
    pub const fn new() -> Self {
        Self {
            origins: OriginPolicy::SameOrigin { scheme: None },
            protocols: &[],
            head_limits: HeadLimits::DEFAULT,
            limits: Limits::DEFAULT,
            read_buffer: crate::READ_BUFFER,
            timeouts: Timeouts::DEFAULT,
        }
    }

    /// Sets which origins are let in.
    pub const fn origins(mut self, origins: OriginPolicy<'a>) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the subprotocols that this server speaks. [`accept`](Self::accept) chooses the first that the client offers.
    pub const fn protocols(mut self, protocols: &'a [&'a str]) -> Self {
        self.protocols = protocols;
        self
    }

    /// Sets the limits of the request's head.
    pub const fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Sets the limits of what the client sends.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the size of the read buffer in bytes; at least one.
    pub const fn read_buffer(mut self, size: usize) -> Self {
        self.read_buffer = if size == 0 { 1 } else { size };
        self
    }

    /// Sets the time limits.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Receives a request and accepts it.
    ///
    /// # Errors
    ///
    /// Why the connection could not be accepted; a bad request has been answered.
    pub fn accept<S: Stream>(&self, stream: S) -> Result<WebSocket<S>, AcceptError> {
        let pending = self.receive(stream)?;
        let chosen = pending.request().protocols().find(|offered| self.protocols.contains(offered)).map(str::to_owned);
        let accept = Accept::new();
        pending.accept(&chosen.as_deref().map_or(accept, |protocol| accept.protocol(protocol)))
    }

    /// Receives a request, to be accepted or rejected after a look at it.
    ///
    /// # Errors
    ///
    /// Why there is no good request; a bad one has been answered.
    pub fn receive<S: Stream>(&self, mut stream: S) -> Result<PendingRequest<S>, AcceptError> {
        let mut handshake = ServerHandshake::new().origins(self.origins).limits(self.head_limits);
        // What belongs together is written together; nothing is gained by making it wait.
        stream.set_nodelay()?;
        let limit = Limit::after(self.timeouts.open);
        let mut received = Vec::new();
        let mut out = Vec::new();
        let error = loop {
            let more = match crate::receive_more(&mut stream, &mut received, limit) {
                // Who has only shut down writing can still read an answer.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !received.is_empty() => {
                    break handshake.receive_eof(&mut out);
                }
                Err(error) if is_timeout(&error) => break handshake.refuse(RequestError::TimedOut, &mut out),
                more => more,
            };
            more?;
            match handshake.receive(&received, &mut out) {
                RequestProgress::Incomplete => {}
                RequestProgress::Refused(error) => break error,
                RequestProgress::Request(_) => {
                    let Self { head_limits, limits, read_buffer, timeouts, .. } = *self;
                    return Ok(PendingRequest { stream, received, head_limits, limits, read_buffer, timeouts });
                }
            }
        };
        // The request is refused, whether the answer arrives or not.
        let _ = answer_and_drain(&mut stream, &out, self.timeouts.end);
        Err(AcceptError::Refused(error))
    }
}

/// A good request that waits for its answer. Dropping it closes the stream without one.
#[derive(Debug)]
pub struct PendingRequest<S> {
    stream: S,
    received: Vec<u8>,
    head_limits: HeadLimits,
    limits: Limits,
    read_buffer: usize,
    timeouts: Timeouts,
}

impl<S: Stream> PendingRequest<S> {
    /// The request.
    pub fn request(&self) -> Request<'_> {
        let mut handshake = ServerHandshake::new().origins(OriginPolicy::Any).limits(self.head_limits);
        match handshake.receive(&self.received, &mut Vec::new()) {
            RequestProgress::Request(request) => request,
            _ => unreachable!("the same bytes were a good request before"),
        }
    }

    /// Accepts the request.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `accept`; [`AcceptError::Io`]: the stream's.
    pub fn accept(mut self, accept: &Accept<'_>) -> Result<WebSocket<S>, AcceptError> {
        let mut out = Vec::new();
        let request = self.request();
        let negotiated = request.accept(accept, &mut out)?;
        let inbox = Inbox::new(self.read_buffer, &self.received[request.head_len()..]);
        self.stream.write_all(&out)?;
        self.stream.flush()?;
        let engine = Connection::new(Either::Server, negotiated, self.limits);
        let opening = Opening { protocol: accept.chosen_protocol().map(Into::into), response: None };
        Ok(WebSocket::open(self.stream, engine, inbox, opening, Timing::new(self.timeouts)))
    }

    /// Rejects the request, and drains and closes the stream.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `reject`; [`AcceptError::Io`]: the stream's.
    pub fn reject(mut self, reject: &Reject<'_>) -> Result<(), AcceptError> {
        let mut out = Vec::new();
        self.request().reject(reject, &mut out)?;
        Ok(answer_and_drain(&mut self.stream, &out, self.timeouts.end)?)
    }

    /// The stream below, to look at its addresses, say.
    pub const fn stream(&self) -> &S {
        &self.stream
    }
}

/// Answers a request that is not accepted. What its sender has sent behind it is read and discarded, or the answer may not arrive.
fn answer_and_drain(stream: &mut impl Stream, answer: &[u8], timeout: Option<Duration>) -> io::Result<()> {
    let limit = Limit::after(timeout);
    let mut outbox = Outbox::new();
    outbox.bytes.extend_from_slice(answer);
    outbox.flush_within(stream, limit)?;
    stream.shutdown_write()?;
    drain(stream, limit)
}
