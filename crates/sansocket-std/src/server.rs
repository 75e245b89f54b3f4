//! Accepting connections.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use sansocket::handshake::{
    Accept, HeadLimits, OriginPolicy, Reject, Request, RequestError, RequestProgress, ServerHandshake,
};
use sansocket::{Either, Limits, Negotiated, Timeouts};
use sansocket_stream::AcceptError;
#[cfg(feature = "deflate")]
use sansocket_stream::Compression;

use crate::outbox::Outbox;
use crate::receiver::drain;
use crate::stream::Stream;
use crate::timing::Limit;
use crate::timing::is_timeout;
use crate::websocket::{Opening, Settings, WebSocket};
use crate::write_limit::WriteLimit;

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
    settings: Settings,
}

impl Default for AcceptOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> AcceptOptions<'a> {
    /// The defaults: pages of the same origin, no subprotocols, the engine's limits, a read buffer of 16 KiB and a little,
    /// [`Timeouts::DEFAULT`].
    pub const fn new() -> Self {
        Self {
            origins: OriginPolicy::SameOrigin { scheme: None },
            protocols: &[],
            head_limits: HeadLimits::DEFAULT,
            settings: Settings::DEFAULT,
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
        self.settings.limits = limits;
        self
    }

    /// Sets the size of the read buffer in bytes; at least one.
    pub const fn read_buffer(mut self, size: usize) -> Self {
        self.settings.read_buffer = if size == 0 { 1 } else { size };
        self
    }

    /// Accepts permessage-deflate where a client offers it in a way that the policy allows; without it, nothing is compressed.
    #[cfg(feature = "deflate")]
    pub const fn compression(mut self, config: crate::deflate::Config) -> Self {
        self.settings.compression = Some(Compression::new(config, None));
        self
    }

    /// As [`compression`](Self::compression), with compressors and decompressors of another pool than the one that the process has, whose
    /// limits are [`PoolLimits::DEFAULT`](crate::deflate::PoolLimits::DEFAULT).
    #[cfg(feature = "deflate")]
    pub const fn compression_from(
        mut self,
        config: crate::deflate::Config,
        pool: &'static crate::deflate::Pool,
    ) -> Self {
        self.settings.compression = Some(Compression::new(config, Some(pool)));
        self
    }

    /// Sets the time limits.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Receives a request and accepts it.
    ///
    /// # Errors
    ///
    /// Why the connection could not be accepted; a bad request has been answered.
    pub fn accept<S: Stream>(&self, stream: S) -> Result<WebSocket<S>, AcceptError> {
        let limit = Limit::after(self.settings.timeouts.open);
        let pending = self.receive_within(stream, limit)?;
        let chosen = pending.request().protocols().find(|offered| self.protocols.contains(offered)).map(str::to_owned);
        let accept = Accept::new();
        pending.accept_within(&chosen.as_deref().map_or(accept, |protocol| accept.protocol(protocol)), limit)
    }

    /// Receives a request, to be accepted or rejected after a look at it.
    ///
    /// # Errors
    ///
    /// Why there is no good request; a bad one has been answered.
    pub fn receive<S: Stream>(&self, stream: S) -> Result<PendingRequest<S>, AcceptError> {
        self.receive_within(stream, Limit::after(self.settings.timeouts.open))
    }

    fn receive_within<S: Stream>(&self, mut stream: S, limit: Limit) -> Result<PendingRequest<S>, AcceptError> {
        let mut handshake = ServerHandshake::new().origins(self.origins).limits(self.head_limits);
        // What belongs together is written together; nothing is gained by making it wait.
        stream.set_nodelay()?;
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
                    let Self { head_limits, settings, .. } = *self;
                    return Ok(PendingRequest { stream, received, head_limits, settings });
                }
            }
        };
        // The request is refused, whether the answer arrives or not.
        let _ = answer_and_drain(&mut stream, out, self.settings.timeouts.end);
        Err(AcceptError::Refused(error))
    }

    /// A connection whose opening handshake somebody else has performed, an HTTP server say: its stream, what the handshake has agreed
    /// on ([`Upgrade::accept`](sansocket::handshake::Upgrade::accept) tells), and what was read behind the request.
    ///
    /// [`WebSocket::protocol`] knows nothing of that handshake.
    ///
    /// Compression that was agreed on takes feature `deflate` here; without it, the peer's first compressed message fails. The settings are those
    /// of `compression`, or the defaults.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn upgraded<S: Stream>(
        &self,
        mut stream: S,
        negotiated: Negotiated,
        unread: &[u8],
    ) -> io::Result<WebSocket<S>> {
        stream.set_nodelay()?;
        let outbox = Outbox::new(WriteLimit::of(&stream)?);
        Ok(self.settings.open(Either::Server, stream, outbox, negotiated, Opening::default(), unread))
    }
}

/// A good request that waits for its answer. Dropping it closes the stream without one.
#[derive(Debug)]
pub struct PendingRequest<S> {
    stream: S,
    received: Vec<u8>,
    head_limits: HeadLimits,
    settings: Settings,
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

    /// Accepts the request, with compression if `accept` says so, or the options do and `accept` does not say otherwise. The client has [`Timeouts::open`] to take the answer, from now on: what the decision took is not its fault.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `accept`; [`AcceptError::Io`]: the stream's.
    pub fn accept(self, accept: &Accept<'_>) -> Result<WebSocket<S>, AcceptError> {
        let limit = Limit::after(self.settings.timeouts.open);
        self.accept_within(accept, limit)
    }

    fn accept_within(mut self, accept: &Accept<'_>, limit: Limit) -> Result<WebSocket<S>, AcceptError> {
        let mut outbox = Outbox::new(WriteLimit::of(&self.stream)?);
        let request = self.request();
        let accept = self.settings.accept(accept);
        let negotiated = request.accept(&accept, &mut outbox.bytes)?;
        let head_len = request.head_len();
        crate::write_head(&mut self.stream, &mut outbox, limit)?;
        let opening = Opening { protocol: accept.chosen_protocol().map(Into::into), response: None };
        let unread = &self.received[head_len..];
        Ok(self.settings.open(Either::Server, self.stream, outbox, negotiated, opening, unread))
    }

    /// Rejects the request, and drains and closes the stream.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `reject`; [`AcceptError::Io`]: the stream's.
    pub fn reject(mut self, reject: &Reject<'_>) -> Result<(), AcceptError> {
        let mut out = Vec::new();
        self.request().reject(reject, &mut out)?;
        Ok(answer_and_drain(&mut self.stream, out, self.settings.timeouts.end)?)
    }

    /// The stream below, to look at its addresses, say.
    pub const fn stream(&self) -> &S {
        &self.stream
    }
}

/// Answers a request that is not accepted. What its sender has sent behind it is read and discarded, or the answer may not arrive.
fn answer_and_drain(stream: &mut impl Stream, answer: Vec<u8>, timeout: Option<Duration>) -> io::Result<()> {
    let limit = Limit::after(timeout);
    let mut outbox = Outbox::new(WriteLimit::of(stream)?);
    outbox.bytes = answer;
    outbox.flush(stream, limit)?;
    stream.shutdown_write()?;
    drain(stream, limit)
}
