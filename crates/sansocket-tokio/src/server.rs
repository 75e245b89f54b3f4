//! Accepting connections.

use std::io;
use std::time::Duration;

use sansocket::handshake::{
    Accept, HeadLimits, OriginPolicy, Reject, Request, RequestError, RequestProgress, ServerHandshake,
};
use sansocket::{Either, Limits, Negotiated, Timeouts};
use sansocket_stream::AcceptError;
#[cfg(feature = "deflate")]
use sansocket_stream::Compression;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::head::{again, read_some, within, write};
use crate::settings::{Opening, Settings};
use crate::websocket::WebSocket;

/// How much of a refused client's input is read and discarded, so that it gets to see the refusal, in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// Accepts a connection with the default options: pages of the same origin only, no subprotocol.
///
/// # Cancel safety
///
/// Dropped, it closes the stream.
///
/// # Errors
///
/// Why the connection could not be accepted; a bad request has been answered.
pub async fn accept(stream: TcpStream) -> Result<WebSocket<TcpStream>, AcceptError> {
    AcceptOptions::new().accept(stream).await
}

/// How connections are accepted.
///
/// ```no_run
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// use sansocket_tokio::{Accept, AcceptOptions, OriginPolicy, Reject};
/// use tokio::net::TcpListener;
///
/// let options = AcceptOptions::new().origins(OriginPolicy::Only(&["https://example.com"])).protocols(&["chat"]);
/// let listener = TcpListener::bind("127.0.0.1:9001").await?;
///
/// // What the options decide alone:
/// let ws = options.accept(listener.accept().await?.0).await?;
///
/// // With a look at the request:
/// let pending = options.receive(listener.accept().await?.0).await?;
/// if pending.request().target().starts_with("/chat") {
///     let ws = pending.accept(&Accept::new().headers(&[("Set-Cookie", "a=b")])).await?;
/// } else {
///     pending.reject(&Reject::new(404)).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AcceptOptions<'a> {
    pub(crate) origins: OriginPolicy<'a>,
    pub(crate) protocols: &'a [&'a str],
    head_limits: HeadLimits,
    pub(crate) settings: Settings,
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

    /// Sets the size of the read buffer in bytes; at least one. Connections of the default size share buffers while they wait.
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

    /// Sets the time limits. With any, the runtime's timer has to be on.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Receives a request and accepts it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Errors
    ///
    /// Why the connection could not be accepted; a bad request has been answered.
    pub async fn accept(&self, stream: TcpStream) -> Result<WebSocket<TcpStream>, AcceptError> {
        // What belongs together is written together; nothing is gained by making it wait.
        stream.set_nodelay(true)?;
        self.accept_over(stream).await
    }

    /// As [`accept`](Self::accept), over another stream than TCP's: in TLS, say. A `TcpStream` below should have
    /// [`set_nodelay`](TcpStream::set_nodelay).
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn accept_over<S>(&self, stream: S) -> Result<WebSocket<S>, AcceptError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Apart, so that a task whose connection is open does not keep the room that this takes.
        Box::pin(async {
            let pending = self.receive_over(stream).await?;
            let request = pending.request();
            let chosen = request.protocols().find(|offered| self.protocols.contains(offered)).map(str::to_owned);
            let accept = Accept::new();
            pending.accept(&chosen.as_deref().map_or(accept, |protocol| accept.protocol(protocol))).await
        })
        .await
    }

    /// As [`accept`](Self::accept), in TLS. The TLS handshake has [`Timeouts::open`], and the other one has it once more.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there; [`AcceptError::Io`] with a [`TlsError`](crate::TlsError) inside, if TLS cannot be had.
    #[cfg(feature = "tls")]
    pub async fn accept_tls(
        &self,
        acceptor: &crate::TlsAcceptor,
        stream: TcpStream,
    ) -> Result<WebSocket<tokio_rustls::server::TlsStream<TcpStream>>, AcceptError> {
        stream.set_nodelay(true)?;
        let secured = Box::pin(within(self.settings.timeouts.open, crate::accept_tls(acceptor, stream))).await?;
        self.accept_over(secured.map_err(io::Error::other)?).await
    }

    /// Receives a request, to be accepted or rejected after a look at it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Errors
    ///
    /// Why there is no good request; a bad one has been answered.
    pub async fn receive(&self, stream: TcpStream) -> Result<PendingRequest<TcpStream>, AcceptError> {
        stream.set_nodelay(true)?;
        self.receive_over(stream).await
    }

    /// As [`receive`](Self::receive), over another stream than TCP's.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn receive_over<S>(&self, mut stream: S) -> Result<PendingRequest<S>, AcceptError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut handshake = ServerHandshake::new().origins(self.origins).limits(self.head_limits);
        let (mut received, mut out) = (Vec::new(), Vec::new());
        let Self { head_limits, settings, .. } = *self;
        let receive = receive_request(&mut stream, &mut handshake, &mut received, &mut out);
        let refused = match within(settings.timeouts.open, receive).await {
            Ok(result) => result?,
            Err(_) => Some(handshake.refuse(RequestError::TimedOut, &mut out)),
        };
        let Some(error) = refused else {
            return Ok(PendingRequest { stream, received, head_limits, settings });
        };
        // The request is refused, whether the answer arrives or not.
        let _ = answer_and_drain(&mut stream, &out, settings.timeouts.end).await;
        Err(AcceptError::Refused(error))
    }

    /// A connection whose opening handshake somebody else has performed, an HTTP server say: its stream, what the handshake has agreed
    /// on ([`Upgrade::accept`](sansocket::handshake::Upgrade::accept) tells), and what was read behind the request.
    ///
    /// [`WebSocket::protocol`] knows nothing of that handshake.
    ///
    /// Compression that was agreed on takes feature `deflate` here; without it, the peer's first compressed message fails. The settings are those
    /// of `compression`, or the defaults.
    pub fn upgraded<S>(&self, stream: S, negotiated: Negotiated, unread: &[u8]) -> WebSocket<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.settings.open(Either::Server, stream, Vec::new(), negotiated, Opening::default(), unread)
    }
}

/// Receives a good request: `None`; or finds out why it is refused. The refusal is in `out`.
async fn receive_request(
    stream: &mut (impl AsyncRead + Unpin),
    handshake: &mut ServerHandshake<'_>,
    received: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> io::Result<Option<RequestError>> {
    loop {
        match read_some(stream, received).await {
            // Who has only shut down writing can still read an answer.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !received.is_empty() => {
                return Ok(Some(handshake.receive_eof(out)));
            }
            more => more?,
        }
        match handshake.receive(received, out) {
            RequestProgress::Incomplete => {}
            RequestProgress::Refused(error) => return Ok(Some(error)),
            RequestProgress::Request(_) => return Ok(None),
        }
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

impl<S: AsyncRead + AsyncWrite + Unpin> PendingRequest<S> {
    /// The request.
    pub fn request(&self) -> Request<'_> {
        let mut handshake = ServerHandshake::new().origins(OriginPolicy::Any).limits(self.head_limits);
        match handshake.receive(&self.received, &mut Vec::new()) {
            RequestProgress::Request(request) => request,
            _ => unreachable!("the same bytes were a good request before"),
        }
    }

    /// Accepts the request, with compression if `accept` says so, or the options do and `accept` does not say otherwise. The client has
    /// [`Timeouts::open`] to take the answer, from now on: what the decision took is not its fault.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `accept`; [`AcceptError::Io`]: the stream's.
    pub async fn accept(mut self, accept: &Accept<'_>) -> Result<WebSocket<S>, AcceptError> {
        let mut out = Vec::new();
        let request = self.request();
        let accept = self.settings.accept(accept);
        let negotiated = request.accept(&accept, &mut out)?;
        let head_len = request.head_len();
        within(self.settings.timeouts.open, write(&mut self.stream, &out)).await??;
        let opening = Opening { protocol: accept.chosen_protocol().map(Into::into), response: None };
        let unread = &self.received[head_len..];
        Ok(self.settings.open(Either::Server, self.stream, Vec::new(), negotiated, opening, unread))
    }

    /// Rejects the request, and drains and closes the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Answer`]: what is wrong with `reject`; [`AcceptError::Io`]: the stream's.
    pub async fn reject(mut self, reject: &Reject<'_>) -> Result<(), AcceptError> {
        let mut out = Vec::new();
        self.request().reject(reject, &mut out)?;
        Ok(answer_and_drain(&mut self.stream, &out, self.settings.timeouts.end).await?)
    }

    /// The stream below, to look at its addresses, say.
    pub const fn stream(&self) -> &S {
        &self.stream
    }
}

/// Answers a request that is not accepted. What its sender has sent behind it is read and discarded, or the answer may not arrive.
async fn answer_and_drain<S>(stream: &mut S, answer: &[u8], limit: Option<Duration>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let drain = async {
        write(stream, answer).await?;
        again!(stream.shutdown())?;
        let mut scrap = Vec::with_capacity(4096);
        let mut left = DRAINED;
        while left > 0 {
            scrap.clear();
            match again!(stream.read_buf(&mut scrap))? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    };
    within(limit, drain).await?
}
