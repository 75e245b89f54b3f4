//! The client's side: a request is sent, the response received and checked (RFC 6455, section 4.1).

use super::error::{ClientRequestError, ResponseError};
use super::extension::extensions;
use super::head::{
    HeadLimits, Headers, Scan, Scanner, check_headers, elements, is_header_value, is_token, parse_response, single,
    values,
};
use super::origin::Origin;
use super::uri::Uri;
use super::{VERSION, key, put_all};
use crate::deflate::{self, Parameters, Policy};
use crate::{Negotiated, Output};

/// A request to be sent. The headers that make it a handshake are its own; all others are the caller's.
///
/// ```
/// use sansocket::handshake::{ClientRequest, ResponseProgress, Uri};
/// use sansocket::{Client, Connection, Limits};
///
/// let uri = Uri::parse("ws://example.com/chat")?;
/// let mut out = Vec::new();
/// // The key is 16 random bytes, fresh for every connection; this one is the RFC's example.
/// let mut handshake = ClientRequest::new(&uri).protocols(&["chat"]).start(*b"the sample nonce", &mut out)?;
/// assert!(out.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
///
/// let received = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
/// match handshake.receive(received) {
///     ResponseProgress::Incomplete => {} // read more, and call again with all that was received
///     ResponseProgress::Failed(error) => eprintln!("{error}"),
///     ResponseProgress::Refused(response) => eprintln!("{}", response.status()),
///     ResponseProgress::Accepted(response) => {
///         assert_eq!(response.protocol(), Some("chat"));
///         let keys = || [1, 2, 3, 4]; // in earnest: `RandomKeys`
///         let connection = Connection::new(Client::new(keys), response.negotiated(), Limits::default());
///         let first_frames = &received[response.head_len()..];
/// #       let _ = (connection, first_frames);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    pub(super) uri: Uri<'a>,
    pub(super) origin: Option<&'a str>,
    pub(super) protocols: &'a [&'a str],
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) compression: &'a [Policy],
    limits: HeadLimits,
}

impl<'a> ClientRequest<'a> {
    /// A request for what `uri` names.
    pub const fn new(uri: &Uri<'a>) -> Self {
        Self { uri: *uri, origin: None, protocols: &[], headers: &[], compression: &[], limits: HeadLimits::DEFAULT }
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

    /// Adds headers, names and values: `Authorization` or `Cookie`, say.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Offers permessage-deflate (RFC 7692): one offer for each policy, in order of preference. Whoever asks for this has to inflate what
    /// comes: [`Event::Compressed`](crate::Event::Compressed).
    pub const fn compression(mut self, policies: &'a [Policy]) -> Self {
        self.compression = policies;
        self
    }

    /// The policies by which compression is offered.
    pub const fn offered_compression(&self) -> &'a [Policy] {
        self.compression
    }

    /// Sets the limits of the response's head.
    pub const fn limits(mut self, limits: HeadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes the request. `nonce` is 16 random bytes, fresh for every connection (RFC 6455, section 4.1, item 7).
    ///
    /// # Errors
    ///
    /// What is wrong with the request; nothing was written.
    pub fn start(
        &self,
        nonce: [u8; 16],
        out: &mut (impl Output + ?Sized),
    ) -> Result<ClientHandshake<'a>, ClientRequestError> {
        self.check()?;
        let key = key::encode_key(nonce);
        put_all(out, |put| self.write(&key, put))?;
        Ok(ClientHandshake {
            limits: self.limits,
            scanner: Scanner::new(self.limits),
            start: 0,
            accept: key::accept(&key),
            offered: Offered::Lent(self.protocols, self.compression),
            failed: None,
        })
    }

    pub(super) fn check(&self) -> Result<(), ClientRequestError> {
        // 4.1, item 10: tokens, "and MUST all be unique strings".
        for (at, protocol) in self.protocols.iter().enumerate() {
            if !is_token(protocol.as_bytes()) || self.protocols[..at].contains(protocol) {
                return Err(ClientRequestError::InvalidProtocol);
            }
        }
        if self.origin.is_some_and(|origin| origin.is_empty() || !is_header_value(origin) || !is_origin(origin)) {
            return Err(ClientRequestError::InvalidOrigin);
        }
        check_headers(self.headers, &["Host", "Origin"])?;
        Ok(())
    }

    /// 4.1, items 1 to 12.
    fn write(&self, key: &[u8], put: &mut dyn FnMut(&[u8])) {
        let mut line = |pieces: &[&str]| pieces.iter().for_each(|piece| put(piece.as_bytes()));
        line(&["GET ", self.uri.path(), self.uri.query(), " HTTP/1.1\r\n"]);
        line(&["Host: ", self.uri.host_header(), "\r\n"]);
        line(&["Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: ", VERSION, "\r\n"]);
        if let Some(origin) = self.origin {
            line(&["Origin: ", origin, "\r\n"]);
        }
        for (at, protocol) in self.protocols.iter().enumerate() {
            line(&[if at == 0 { "Sec-WebSocket-Protocol: " } else { ", " }, protocol]);
        }
        if !self.protocols.is_empty() {
            line(&["\r\n"]);
        }
        for (at, offer) in deflate::offers(self.compression).enumerate() {
            line(&[if at == 0 { "Sec-WebSocket-Extensions: " } else { ", " }, offer.as_str()]);
        }
        if !self.compression.is_empty() {
            line(&["\r\n"]);
        }
        for (name, value) in self.headers {
            line(&[name, ": ", value, "\r\n"]);
        }
        put(b"Sec-WebSocket-Key: ");
        put(key);
        put(b"\r\n\r\n");
    }
}

/// RFC 6454, 7: one origin, as browsers serialise it.
fn is_origin(origin: &str) -> bool {
    origin == "null" || Origin::parse(origin).is_some()
}

/// Receives the response to a [`ClientRequest`] and checks it. Nothing but the request may be sent before it has come.
#[derive(Clone, Debug)]
pub struct ClientHandshake<'a> {
    limits: HeadLimits,
    scanner: Scanner,
    /// Where the head under way begins: interim responses lie before it.
    start: usize,
    accept: [u8; 28],
    offered: Offered<'a>,
    failed: Option<ResponseError>,
}

/// The subprotocols and the compression that were offered.
#[derive(Clone, Debug)]
enum Offered<'a> {
    Lent(&'a [&'a str], &'a [Policy]),
    #[cfg(feature = "alloc")]
    Owned(alloc::boxed::Box<[alloc::boxed::Box<str>]>, alloc::boxed::Box<[Policy]>),
}

impl Offered<'_> {
    fn includes(&self, protocol: &[u8]) -> bool {
        match self {
            Self::Lent(offered, _) => offered.iter().any(|offered| offered.as_bytes() == protocol),
            #[cfg(feature = "alloc")]
            Self::Owned(offered, _) => offered.iter().any(|offered| offered.as_bytes() == protocol),
        }
    }

    fn compression(&self) -> &[Policy] {
        match self {
            Self::Lent(_, policies) => policies,
            #[cfg(feature = "alloc")]
            Self::Owned(_, policies) => policies,
        }
    }
}

/// What a client's handshake has come to.
#[derive(Clone, Debug)]
pub enum ResponseProgress<'b> {
    /// The response's head is not whole. Receive more.
    Incomplete,
    /// The connection is open.
    Accepted(Response<'b>),
    /// The server has answered by another status than 101. What it means is HTTP's: 401, 3xx and so on.
    Refused(Response<'b>),
    /// The answer is not one to this request: the connection fails (RFC 6455, section 4.1). Close the transport.
    Failed(ResponseError),
}

impl ClientHandshake<'_> {
    /// Looks at `bytes`: all that was received so far, from the first byte on. Interim responses (1xx) are skipped.
    pub fn receive<'b>(&mut self, bytes: &'b [u8]) -> ResponseProgress<'b> {
        if let Some(error) = self.failed {
            return ResponseProgress::Failed(error);
        }
        self.examine(bytes).unwrap_or_else(|error| {
            self.failed = Some(error);
            ResponseProgress::Failed(error)
        })
    }

    /// Takes copies of what it has borrowed, to live as long as it likes.
    #[cfg(feature = "alloc")]
    pub fn into_owned(self) -> ClientHandshake<'static> {
        let Self { limits, scanner, start, accept, offered, failed } = self;
        let offered = match offered {
            Offered::Lent(protocols, policies) => {
                Offered::Owned(protocols.iter().map(|&protocol| protocol.into()).collect(), policies.into())
            }
            Offered::Owned(protocols, policies) => Offered::Owned(protocols, policies),
        };
        ClientHandshake { limits, scanner, start, accept, offered, failed }
    }

    /// The transport has ended before the response was whole.
    pub fn receive_eof(&mut self) -> ResponseError {
        *self.failed.get_or_insert(ResponseError::Incomplete)
    }

    fn examine<'b>(&mut self, bytes: &'b [u8]) -> Result<ResponseProgress<'b>, ResponseError> {
        loop {
            let (len, headers) = match self.scanner.scan(bytes.get(self.start..).unwrap_or_default())? {
                Scan::Head(len, headers) => (len, headers),
                Scan::StartLine(len) => {
                    // Another protocol's server is told at its first line.
                    parse_response(&bytes[self.start..self.start + len], 0)?;
                    continue;
                }
                Scan::Incomplete => return Ok(ResponseProgress::Incomplete),
            };
            // Who gives less than before gets no panic for it.
            let Some(head) = bytes.get(self.start..self.start + len) else { return Ok(ResponseProgress::Incomplete) };
            let (status, reason) = parse_response(head, headers)?;
            let headers = Headers::of(head);
            let negotiated = Negotiated::default();
            let response = Response { status, reason, headers, head_len: self.start + len, negotiated };
            match status {
                101 => {
                    let is_offered = |protocol: &[u8]| self.offered.includes(protocol);
                    let policies = self.offered.compression();
                    let negotiated = check_response(response.headers(), self.accept, is_offered, policies)?;
                    return Ok(ResponseProgress::Accepted(Response { negotiated, ..response }));
                }
                // RFC 9110, 15.2: interim responses come before the final one, and a client must be able to take them.
                100..=199 => {
                    self.start += len;
                    let bytes_left = self.limits.bytes.saturating_sub(self.start);
                    self.scanner = Scanner::new(HeadLimits { bytes: bytes_left, ..self.limits });
                }
                _ => return Ok(ResponseProgress::Refused(response)),
            }
        }
    }
}

/// Checks what section 4.1 demands of a response with status 101. Whoever has parsed the head, this is what it must hold.
pub(super) fn check_response<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])> + Clone,
    accept: [u8; 28],
    is_offered: impl Fn(&[u8]) -> bool,
    compression: &[Policy],
) -> Result<Negotiated, ResponseError> {
    let all = || headers.clone();
    // Item 2: "or the |Upgrade| header field contains a value that is not an ASCII case-insensitive match for the value
    // 'websocket'".
    let mut upgrade = elements(all(), "Upgrade");
    if !upgrade.next().is_some_and(|element| element.eq_ignore_ascii_case(b"websocket")) || upgrade.next().is_some() {
        return Err(ResponseError::Upgrade);
    }
    // Item 3: or if |Connection| lacks "a token that is an ASCII case-insensitive match for the value 'Upgrade'".
    if !elements(all(), "Connection").any(|element| element.eq_ignore_ascii_case(b"upgrade")) {
        return Err(ResponseError::Connection);
    }
    // Item 4, and 11.3.3: the accept value, once, white space around it ignored.
    if !single(all(), "Sec-WebSocket-Accept").is_ok_and(|value| value == Some(&accept)) {
        return Err(ResponseError::Accept);
    }
    check_choices(headers, is_offered, compression)
}

/// Checks that the server has chosen nothing that was not offered, and gives what it has.
pub(super) fn check_choices<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])> + Clone,
    is_offered: impl Fn(&[u8]) -> bool,
    compression: &[Policy],
) -> Result<Negotiated, ResponseError> {
    let all = || headers.clone();
    let mut agreed: Option<Parameters> = None;
    for extension in extensions(all()) {
        let extension = extension.map_err(|_| ResponseError::MalformedExtensions)?;
        // 4.1, item 5: no extension that was not asked for. RFC 7692, 5: two that both want RSV1 are one too many.
        if compression.is_empty() || extension.name() != deflate::NAME || agreed.is_some() {
            return Err(ResponseError::Extension);
        }
        // RFC 7692, 7: a client fails the connection if the answer is invalid, or not one to its offers.
        let parameters = deflate::agree(compression, &extension).map_err(|_| ResponseError::Compression)?;
        agreed = Some(parameters);
    }
    // 4.1, item 6: no subprotocol that was not asked for; 11.3.4: at most one header.
    match single(all(), "Sec-WebSocket-Protocol") {
        Ok(None) => {}
        Ok(Some(protocol)) if is_offered(protocol) => {}
        _ => return Err(ResponseError::Protocol),
    }
    Ok(Negotiated::new(agreed))
}

/// A server's response.
#[derive(Clone, Debug)]
pub struct Response<'b> {
    status: u16,
    reason: &'b str,
    headers: Headers<'b>,
    head_len: usize,
    negotiated: Negotiated,
}

impl<'b> Response<'b> {
    /// The status: 101 if the server has accepted.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub const fn reason(&self) -> &'b str {
        self.reason
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        self.headers.clone()
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        values(self.headers(), name).next()
    }

    /// The subprotocol that the server has chosen, if any.
    pub fn protocol(&self) -> Option<&'b str> {
        self.header("Sec-WebSocket-Protocol").and_then(|protocol| core::str::from_utf8(protocol).ok())
    }

    /// What a connection that was accepted has negotiated.
    pub const fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// The bytes up to the head's end, interim responses included. Behind them lie the first frames, or the start of the body.
    pub const fn head_len(&self) -> usize {
        self.head_len
    }
}
