//! Opening connections.

use std::io;
use std::time::Duration;

use sansocket::deflate::Policy;
use sansocket::handshake::{ClientRequest, HeadLimits, ResponseProgress, Uri};
use sansocket::{Client, Either, Limits, Negotiated, RandomKeys, Timeouts};
#[cfg(feature = "deflate")]
use sansocket_stream::Compression;
use sansocket_stream::{ConnectError, ResponseHead};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::eyeballs;
use crate::head::{read_some, within, write};
use crate::settings::{Opening, Settings};
use crate::socket::Socket;
use crate::websocket::WebSocket;

/// How much of a refusal's body is kept, in bytes.
const BODY: usize = 4 * 1024;

/// How long a refusal's body is waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to a `ws://` URI, or with feature `tls` to a `wss://` one, with the default options.
///
/// # Cancel safety
///
/// Dropped, it closes what it has opened.
///
/// # Errors
///
/// Why the connection could not be opened.
pub async fn connect(uri: &str) -> Result<WebSocket<Socket>, ConnectError> {
    ConnectOptions::new().connect(uri).await
}

/// How a connection is opened.
///
/// ```no_run
/// # async fn open() -> Result<(), sansocket_tokio::ConnectError> {
/// use sansocket_tokio::ConnectOptions;
///
/// let ws = ConnectOptions::new()
///     .protocols(&["chat.v2", "chat.v1"])
///     .headers(&[("Authorization", "Bearer 123")])
///     .connect("ws://127.0.0.1:9001/chat")
///     .await?;
/// println!("{:?}", ws.protocol());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions<'a> {
    origin: Option<&'a str>,
    protocols: &'a [&'a str],
    headers: &'a [(&'a str, &'a str)],
    head_limits: HeadLimits,
    pub(crate) settings: Settings,
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

    /// Sets the size of the read buffer in bytes; at least one. Connections of the default size share buffers while they wait.
    pub const fn read_buffer(mut self, size: usize) -> Self {
        self.settings.read_buffer = if size == 0 { 1 } else { size };
        self
    }

    /// Sets the time limits. A client's runtime needs its timer on, whatever they are: addresses have turns.
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
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has opened.
    ///
    /// # Errors
    ///
    /// Why the connection could not be opened.
    pub async fn connect(&self, uri: &str) -> Result<WebSocket<Socket>, ConnectError> {
        let uri = Uri::parse(uri)?;
        #[cfg(not(feature = "tls"))]
        if uri.is_secure() {
            return Err(ConnectError::TlsUnsupported);
        }
        // Apart, so that a task whose connection is open does not keep the room that this takes.
        Box::pin(async {
            let start = Instant::now();
            let open = self.settings.timeouts.open;
            let socket =
                within(open, self.connect_to(&uri)).await.unwrap_or_else(|elapsed| Err(failed(&uri, elapsed)))?;
            self.open_within(open.map(|open| open.saturating_sub(start.elapsed())), socket, &uri).await
        })
        .await
    }

    async fn connect_to(&self, uri: &Uri<'_>) -> Result<Socket, ConnectError> {
        let stream = eyeballs::connect(uri.host(), uri.port()).await.map_err(|source| failed(uri, source))?;
        // What belongs together is written together; nothing is gained by making it wait.
        stream.set_nodelay(true)?;
        self.secure(stream, uri).await
    }

    /// Performs the TLS handshake, if the URI asks for TLS.
    #[cfg(feature = "tls")]
    async fn secure(&self, stream: TcpStream, uri: &Uri<'_>) -> Result<Socket, ConnectError> {
        if !uri.is_secure() {
            return Ok(Socket::Tcp(stream));
        }
        let stream = match self.tls {
            Some(tls) => crate::connect_tls(tls, stream, uri.host()).await?,
            None => crate::connect_tls(&crate::TlsConnector::bundled_roots(), stream, uri.host()).await?,
        };
        Ok(Socket::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "as with TLS")]
    async fn secure(&self, stream: TcpStream, _: &Uri<'_>) -> Result<Socket, ConnectError> {
        Ok(Socket::Tcp(stream))
    }

    /// Performs the opening handshake for `uri` over a stream that is connected already: through a proxy, say, or through TLS. A `TcpStream`
    /// should have [`set_nodelay`](TcpStream::set_nodelay).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    ///
    /// # Errors
    ///
    /// Why the connection could not be opened.
    pub async fn open<S>(&self, stream: S, uri: &str) -> Result<WebSocket<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let uri = Uri::parse(uri)?;
        // Apart, as above.
        Box::pin(self.open_within(self.settings.timeouts.open, stream, &uri)).await
    }

    async fn open_within<S>(
        &self,
        limit: Option<Duration>,
        mut stream: S,
        uri: &Uri<'_>,
    ) -> Result<WebSocket<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut received = Vec::new();
        let answered = within(limit, self.ask(&mut stream, uri, &mut received)).await??;
        match answered {
            Answer::Accepted { negotiated, opening, head_len } => {
                Ok(self.settings.open(role(), stream, Vec::new(), negotiated, opening, &received[head_len..]))
            }
            // That it is refused is known, so its body has a time limit of its own.
            Answer::Refused { head, head_len } => {
                let mut body = received.split_off(head_len);
                receive_body(&mut stream, &head, &mut body).await;
                Err(ConnectError::Refused { response: head, body })
            }
        }
    }

    /// Sends the request and receives the response's head.
    async fn ask(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        uri: &Uri<'_>,
        received: &mut Vec<u8>,
    ) -> Result<Answer, ConnectError> {
        let mut out = Vec::new();
        let policy = self.settings.policy();
        // RFC 6455, 4.1, item 7: a nonce "selected randomly for each connection".
        let mut handshake = self.request(uri, &policy).start(rand::random(), &mut out)?;
        write(stream, &out).await?;
        loop {
            read_some(stream, received).await?;
            match handshake.receive(received) {
                ResponseProgress::Incomplete => {}
                ResponseProgress::Failed(error) => return Err(ConnectError::Response(error)),
                ResponseProgress::Accepted(response) => {
                    let opening = Opening {
                        protocol: response.protocol().map(Into::into),
                        response: Some(Box::new(ResponseHead::new(&response))),
                    };
                    let (negotiated, head_len) = (response.negotiated(), response.head_len());
                    return Ok(Answer::Accepted { negotiated, opening, head_len });
                }
                ResponseProgress::Refused(response) => {
                    let head = Box::new(ResponseHead::new(&response));
                    return Ok(Answer::Refused { head, head_len: response.head_len() });
                }
            }
        }
    }

    /// The request that these options make. `policy` is what they offer of compression: the request borrows it.
    pub(crate) fn request<'o>(&'o self, uri: &Uri<'o>, policy: &'o Option<Policy>) -> ClientRequest<'o> {
        let request = ClientRequest::new(uri).protocols(self.protocols).headers(self.headers).limits(self.head_limits);
        let request = request.compression(policy.as_slice());
        self.origin.map_or(request, |origin| request.origin(origin))
    }

    /// A connection whose opening handshake somebody else has performed, an HTTP client say: its stream, what the handshake has agreed
    /// on ([`UpgradeOffer::check`](sansocket::handshake::UpgradeOffer::check) tells), and what was read behind the response.
    ///
    /// [`WebSocket::protocol`] and [`WebSocket::response`] know nothing of that handshake.
    ///
    /// Compression that was agreed on takes feature `deflate` here; without it, the peer's first compressed message fails. The settings are those
    /// of `compression`, or the defaults.
    pub fn upgraded<S>(&self, stream: S, negotiated: Negotiated, unread: &[u8]) -> WebSocket<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.settings.open(role(), stream, Vec::new(), negotiated, Opening::default(), unread)
    }
}

pub(crate) const fn role() -> Either<RandomKeys> {
    Either::Client(Client::new(RandomKeys))
}

/// What a server has answered, and where its head ends.
enum Answer {
    Accepted { negotiated: Negotiated, opening: Opening, head_len: usize },
    Refused { head: Box<ResponseHead>, head_len: usize },
}

/// None of the host's addresses has answered, or none in time.
fn failed(uri: &Uri<'_>, source: io::Error) -> ConnectError {
    ConnectError::Connect { to: format!("{}:{}", uri.host(), uri.port()), source }
}

/// The start of a refusal's body. It explains, and is not worth an error of its own.
async fn receive_body(stream: &mut (impl AsyncRead + Unpin), head: &ResponseHead, body: &mut Vec<u8>) {
    let announced = head.header("Content-Length").and_then(|length| str::from_utf8(length).ok()?.parse().ok());
    let has_none = matches!(head.status(), 204 | 304);
    let wanted = if has_none { 0 } else { announced.unwrap_or(BODY).min(BODY) };
    let is_chunked = head.header("Transfer-Encoding").is_some();
    let receive = async {
        // RFC 9112, 7.1: the last chunk is empty, and so is a trailer that nobody needs.
        while body.len() < wanted && !(is_chunked && body.ends_with(b"0\r\n\r\n")) {
            read_some(stream, body).await?;
        }
        Ok::<(), io::Error>(())
    };
    let _ = within(Some(BODY_TIMEOUT), receive).await;
    body.truncate(wanted);
}
