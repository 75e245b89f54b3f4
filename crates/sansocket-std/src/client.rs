//! Opening connections.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use sansocket::handshake::{ClientHandshake, ClientRequest, HeadLimits, ResponseProgress, Uri};
use sansocket::{Client, Either, Limits, Negotiated, RandomKeys, Timeouts};
#[cfg(feature = "deflate")]
use sansocket_stream::Compression;
use sansocket_stream::{ConnectError, ResponseHead};

use crate::eyeballs;
use crate::outbox::Outbox;
use crate::stream::{Socket, Stream};
use crate::timing::{Limit, read_within};
#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use crate::websocket::{Opening, Settings, WebSocket};
use crate::write_limit::WriteLimit;

/// How much of a refusal's body is kept, in bytes.
const BODY: usize = 4 * 1024;

/// How long a refusal's body is waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to a `ws://` URI, or with feature `tls` to a `wss://` one, with the default options.
///
/// # Errors
///
/// Why the connection could not be opened.
pub fn connect(uri: &str) -> Result<WebSocket<Socket>, ConnectError> {
    ConnectOptions::new().connect(uri)
}

/// How a connection is opened.
///
/// ```no_run
/// use sansocket_std::ConnectOptions;
///
/// let ws = ConnectOptions::new()
///     .protocols(&["chat.v2", "chat.v1"])
///     .headers(&[("Authorization", "Bearer 123")])
///     .connect("ws://127.0.0.1:9001/chat")?;
/// println!("{:?}", ws.protocol());
/// # Ok::<(), sansocket_std::ConnectError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions<'a> {
    origin: Option<&'a str>,
    protocols: &'a [&'a str],
    headers: &'a [(&'a str, &'a str)],
    head_limits: HeadLimits,
    settings: Settings,
    #[cfg(feature = "tls")]
    tls: Option<&'a crate::TlsConnector>,
}

impl Default for ConnectOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> ConnectOptions<'a> {
    /// The defaults: no origin, no subprotocols, no further headers, the engine's limits, a read buffer of 16 KiB and a little,
    /// [`Timeouts::DEFAULT`].
    pub const fn new() -> Self {
        Self {
            origin: None,
            protocols: &[],
            headers: &[],
            head_limits: HeadLimits::DEFAULT,
            settings: Settings::DEFAULT,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sends an `Origin`, as browsers do.
    pub const fn origin(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Offers subprotocols, in order of preference.
    pub const fn protocols(mut self, protocols: &'a [&'a str]) -> Self {
        self.protocols = protocols;
        self
    }

    /// Adds headers, names and values. Those that make a handshake are written by itself.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the limits of the response's head.
    pub const fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Sets the limits of what the server sends.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the size of the read buffer in bytes; at least one.
    pub const fn read_buffer(mut self, size: usize) -> Self {
        self.settings.read_buffer = if size == 0 { 1 } else { size };
        self
    }

    /// Sets the time limits.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Offers permessage-deflate, and compresses if the server accepts it; without it, nothing is compressed.
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

    /// Sets whom to trust where the URI is a `wss://` one; without it, [`TlsConnector::bundled_roots`](crate::TlsConnector::bundled_roots).
    #[cfg(feature = "tls")]
    pub const fn tls(mut self, tls: &'a crate::TlsConnector) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Resolves the host, connects to the first of its addresses that answers (RFC 8305), and performs the opening handshake.
    ///
    /// A host with several addresses takes a thread for each that is tried. One that was too slow ends by itself, within the limit for
    /// opening.
    ///
    /// # Errors
    ///
    /// Why the connection could not be opened.
    pub fn connect(&self, uri: &str) -> Result<WebSocket<Socket>, ConnectError> {
        let uri = Uri::parse(uri)?;
        #[cfg(not(feature = "tls"))]
        if uri.is_secure() {
            return Err(ConnectError::TlsUnsupported);
        }
        let limit = Limit::after(self.settings.timeouts.open);
        let stream = eyeballs::connect(uri.host(), uri.port(), limit)
            .map_err(|source| ConnectError::Connect { to: format!("{}:{}", uri.host(), uri.port()), source })?;
        let mut outbox = Outbox::new(WriteLimit::of(&stream)?);
        let socket = self.secure(stream, &uri, limit, &mut outbox.limit)?;
        self.open_within(socket, outbox, &uri, limit)
    }

    /// Performs the TLS handshake, if the URI asks for TLS.
    #[cfg(feature = "tls")]
    fn secure(
        &self,
        stream: TcpStream,
        uri: &Uri<'_>,
        limit: Limit,
        write_limit: &mut WriteLimit,
    ) -> Result<Socket, ConnectError> {
        if !uri.is_secure() {
            return Ok(Socket::Tcp(stream));
        }
        let mut stream = match self.tls {
            Some(tls) => TlsStream::connect(tls, stream, uri.host())?,
            None => TlsStream::connect(&crate::TlsConnector::bundled_roots(), stream, uri.host())?,
        };
        stream.handshake_within(limit, write_limit)?;
        Ok(Socket::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, stream: TcpStream, _: &Uri<'_>, _: Limit, _: &mut WriteLimit) -> Result<Socket, ConnectError> {
        Ok(Socket::Tcp(stream))
    }

    /// Performs the opening handshake for `uri` over a stream that is connected already: through a proxy, say, or through TLS.
    ///
    /// # Errors
    ///
    /// Why the connection could not be opened.
    pub fn open<S: Stream>(&self, stream: S, uri: &str) -> Result<WebSocket<S>, ConnectError> {
        let (uri, outbox) = (Uri::parse(uri)?, Outbox::new(WriteLimit::of(&stream)?));
        self.open_within(stream, outbox, &uri, Limit::after(self.settings.timeouts.open))
    }

    fn open_within<S: Stream>(
        &self,
        mut stream: S,
        mut outbox: Outbox,
        uri: &Uri<'_>,
        limit: Limit,
    ) -> Result<WebSocket<S>, ConnectError> {
        // What belongs together is written together; nothing is gained by making it wait.
        stream.set_nodelay()?;
        let mut request =
            ClientRequest::new(uri).protocols(self.protocols).headers(self.headers).limits(self.head_limits);
        if let Some(origin) = self.origin {
            request = request.origin(origin);
        }
        let policies = self.settings.policy().map(|policy| [policy]);
        let request = request.compression(policies.as_ref().map_or(&[], |policies| policies));
        // RFC 6455, 4.1, item 7: a nonce "selected randomly for each connection".
        let mut handshake = request.start(rand::random(), &mut outbox.bytes)?;
        crate::write_head(&mut stream, &mut outbox, limit)?;

        let mut received = Vec::new();
        let (negotiated, opening, head_len) = receive_response(&mut stream, &mut handshake, &mut received, limit)?;
        Ok(self.settings.open(role(), stream, outbox, negotiated, opening, &received[head_len..]))
    }

    /// A connection whose opening handshake somebody else has performed, an HTTP client say: its stream, what the handshake has agreed
    /// on ([`UpgradeOffer::check`](sansocket::handshake::UpgradeOffer::check) tells), and what was read behind the response.
    ///
    /// [`WebSocket::protocol`] and [`WebSocket::response`] know nothing of that handshake.
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
        Ok(self.settings.open(role(), stream, outbox, negotiated, Opening::default(), unread))
    }
}

const fn role() -> Either<RandomKeys> {
    Either::Client(Client::new(RandomKeys))
}

/// Receives the response, and says where the first frames begin behind it.
fn receive_response(
    stream: &mut impl Stream,
    handshake: &mut ClientHandshake<'_>,
    received: &mut Vec<u8>,
    limit: Limit,
) -> Result<(Negotiated, Opening, usize), ConnectError> {
    loop {
        crate::receive_more(stream, received, limit)?;
        match handshake.receive(received) {
            ResponseProgress::Incomplete => {}
            ResponseProgress::Failed(error) => return Err(ConnectError::Response(error)),
            ResponseProgress::Accepted(response) => {
                let opening = Opening {
                    protocol: response.protocol().map(Into::into),
                    response: Some(Box::new(ResponseHead::new(&response))),
                };
                return Ok((response.negotiated(), opening, response.head_len()));
            }
            ResponseProgress::Refused(response) => {
                let head = Box::new(ResponseHead::new(&response));
                let body = received.split_off(response.head_len());
                return Err(ConnectError::Refused { body: receive_body(stream, &head, body), response: head });
            }
        }
    }
}

/// The start of a refusal's body. It explains, and is not worth an error of its own.
fn receive_body(stream: &mut impl Stream, head: &ResponseHead, mut body: Vec<u8>) -> Vec<u8> {
    let announced = head.header("Content-Length").and_then(|length| str::from_utf8(length).ok()?.parse().ok());
    let wanted = announced.unwrap_or(BODY).min(BODY);
    let limit = Limit::after(Some(BODY_TIMEOUT));
    let mut chunk = [0; 1024];
    while body.len() < wanted {
        match read_within(stream, limit, &mut chunk) {
            Ok(count @ 1..) => body.extend_from_slice(&chunk[..count]),
            Ok(0) | Err(_) => break,
        }
    }
    body.truncate(wanted);
    body
}
