//! The server's side: a request is received and checked, then accepted or rejected (RFC 6455, section 4.2).

use super::error::{AnswerError, RequestError};
use super::extension::Extensions;
use super::head::{HeadLimits, Headers, Scan, Scanner, check_headers, values};
use super::origin::{Authority, OriginPolicy};
use super::request::{check_request, check_request_line, target_authority};
use super::{key, put_all};
use crate::deflate::{self, Agreement, Element, Policy};
use crate::{Negotiated, Output, steps};

/// Receives one request and checks it.
///
/// ```
/// use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
/// use sansocket::{Connection, Limits, Server};
///
/// let received = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let mut out = Vec::new();
///
/// let mut handshake = ServerHandshake::new();
/// match handshake.receive(received, &mut out) {
///     RequestProgress::Incomplete => {} // read more, and call again with all that was received
///     RequestProgress::Refused(error) => eprintln!("{error}"), // the answer is in `out`
///     RequestProgress::Request(request) => {
///         assert_eq!(request.target(), "/chat");
///         let negotiated = request.accept(&Accept::new(), &mut out)?;
///         let connection = Connection::new(Server, negotiated, Limits::default());
///         let first_frames = &received[request.head_len()..];
/// #       let _ = (connection, first_frames);
///     }
/// }
/// assert!(out.starts_with(b"HTTP/1.1 101 "));
/// # Ok::<(), sansocket::handshake::AnswerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandshake<'c> {
    scanner: Scanner,
    origins: OriginPolicy<'c>,
    refused: Option<RequestError>,
}

/// What a server's handshake has come to.
#[derive(Clone, Debug)]
pub enum RequestProgress<'b> {
    /// The head is not whole. Receive more.
    Incomplete,
    /// A good request that waits for an answer.
    Request(Request<'b>),
    /// The request is bad. The answer is in the output; send it, then shut down and drain the transport
    /// ([`NextStep::DrainAfterFlush`](crate::NextStep::DrainAfterFlush)). Nothing behind it counts.
    Refused(RequestError),
}

impl Default for ServerHandshake<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'c> ServerHandshake<'c> {
    /// A handshake with the default limits that lets in pages of the same origin.
    pub const fn new() -> Self {
        Self {
            scanner: Scanner::new(HeadLimits::DEFAULT),
            origins: OriginPolicy::SameOrigin { scheme: None },
            refused: None,
        }
    }

    /// Sets the limits of the head. To be called before the first byte is received.
    pub const fn limits(mut self, limits: HeadLimits) -> Self {
        self.scanner = Scanner::new(limits);
        self
    }

    /// Sets which origins are let in.
    pub const fn origins(mut self, origins: OriginPolicy<'c>) -> Self {
        self.origins = origins;
        self
    }

    /// Looks at `bytes`: all that was received so far, from the first byte on.
    ///
    /// A bad request is answered in `out`, which should have room for [`MAX_REFUSAL`](super::MAX_REFUSAL) bytes; with less, it stays
    /// unanswered.
    pub fn receive<'b>(&mut self, bytes: &'b [u8], out: &mut (impl Output + ?Sized)) -> RequestProgress<'b> {
        if let Some(error) = self.refused {
            return RequestProgress::Refused(error);
        }
        match self.examine(bytes) {
            Ok(Some(request)) => RequestProgress::Request(request),
            Ok(None) => RequestProgress::Incomplete,
            Err(error) => RequestProgress::Refused(self.refuse(error, out)),
        }
    }

    /// The transport has ended inside the head. A peer that has only shut down its writing can still read the answer.
    pub fn receive_eof(&mut self, out: &mut (impl Output + ?Sized)) -> RequestError {
        self.refuse(RequestError::Incomplete, out)
    }

    /// Refuses for a layer above, a deadline say. Does nothing if the request was refused already.
    pub fn refuse(&mut self, error: RequestError, out: &mut (impl Output + ?Sized)) -> RequestError {
        if let Some(error) = self.refused {
            return error;
        }
        self.refused = Some(error);
        // Without room the peer is not told, as `receive` says; the request is refused all the same.
        let _ = put_all(out, |put| write_refusal(error, put));
        error
    }

    fn examine<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<Request<'b>>, RequestError> {
        loop {
            match self.scanner.scan(bytes)? {
                Scan::Incomplete => return Ok(None),
                // Garbage is told at once, not when its blank line comes, which may be never.
                Scan::StartLine(len) => _ = check_request_line(&bytes[..len], 0)?,
                Scan::Head(len, headers) => {
                    // Who gives less than before gets no panic for it.
                    let Some(head) = bytes.get(..len) else { return Ok(None) };
                    let (method, target) = check_request_line(head, headers)?;
                    let key = check_request(method, target, Headers::of(head), self.origins)?;
                    return Ok(Some(Request { target, headers: Headers::of(head), key, head_len: len }));
                }
            }
        }
    }
}

/// A good request, to be accepted or rejected. It borrows the bytes that were received.
#[derive(Clone, Debug)]
pub struct Request<'b> {
    target: &'b str,
    headers: Headers<'b>,
    key: &'b [u8],
    head_len: usize,
}

impl<'b> Request<'b> {
    /// The request's target as sent: a path with a query, or an absolute URI. Nothing was resolved or decoded.
    pub const fn target(&self) -> &'b str {
        self.target
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        self.headers.clone()
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        values(self.headers(), name).next()
    }

    /// The origin of the page whose script connects. Only browsers send one, and others can pretend (RFC 6455, section 10.2).
    pub fn origin(&self) -> Option<&'b [u8]> {
        self.header("Origin")
    }

    /// Whether the request comes from one of these origins, for servers that let in [`Any`](OriginPolicy::Any) at first and decide later.
    pub fn is_from(&self, origins: OriginPolicy<'_>) -> bool {
        let host = self.header("Host").and_then(|host| core::str::from_utf8(host).ok()).and_then(Authority::parse);
        match (self.origin(), target_authority(self.target).or(host)) {
            (Some(origin), Some(host)) => origins.allows(origin, host),
            (None, _) => true,
            // `check_request` lets in no request without a host.
            (Some(_), None) => false,
        }
    }

    /// The subprotocols that the client offers, in order of preference.
    pub fn protocols(&self) -> Protocols<'b> {
        Protocols { headers: self.headers(), rest: "" }
    }

    /// The extensions that the client offers, in order of preference.
    pub fn extensions(&self) -> Extensions<'b> {
        Extensions::new(self.headers())
    }

    /// The length of the head in bytes. What was received behind it are the first frames.
    pub const fn head_len(&self) -> usize {
        self.head_len
    }

    /// Accepts: writes the response, behind which frames may be sent.
    ///
    /// # Errors
    ///
    /// What is wrong with `accept`; nothing was written.
    pub fn accept(&self, accept: &Accept<'_>, out: &mut (impl Output + ?Sized)) -> Result<Negotiated, AnswerError> {
        let is_offered = |protocol: &str| self.protocols().any(|offered| offered == protocol);
        write_accept(key::accept(self.key), accept, is_offered, deflate::valid_offers(self.extensions()), out)
    }

    /// Rejects: writes the response, behind which the transport is to be drained and closed.
    ///
    /// # Errors
    ///
    /// What is wrong with `reject`; nothing was written.
    pub fn reject(&self, reject: &Reject<'_>, out: &mut (impl Output + ?Sized)) -> Result<(), AnswerError> {
        write_reject(reject, out)
    }

    /// Lets go of the received bytes, to answer later.
    #[cfg(feature = "alloc")]
    pub fn defer(&self) -> PendingAnswer {
        PendingAnswer {
            accept: key::accept(self.key),
            protocols: self.protocols().map(Into::into).collect(),
            compression: deflate::valid_offers(self.extensions()).collect(),
        }
    }
}

/// An answer that is still owed, for those who have to ask elsewhere first. Holds 64 bytes, the subprotocols offered, and 6 bytes for each offer
/// of compression.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
pub struct PendingAnswer {
    accept: [u8; 28],
    protocols: alloc::boxed::Box<[alloc::boxed::Box<str>]>,
    compression: alloc::boxed::Box<[Element]>,
}

#[cfg(all(feature = "alloc", target_pointer_width = "64"))]
const _: () = assert!(size_of::<PendingAnswer>() == 64 && size_of::<Element>() == 6, "as its docs say");

#[cfg(feature = "alloc")]
impl PendingAnswer {
    /// As [`Request::accept`].
    ///
    /// # Errors
    ///
    /// What is wrong with `accept`; nothing was written.
    pub fn accept(&self, accept: &Accept<'_>, out: &mut (impl Output + ?Sized)) -> Result<Negotiated, AnswerError> {
        let is_offered = |protocol: &str| self.protocols.iter().any(|offered| **offered == *protocol);
        write_accept(self.accept, accept, is_offered, self.compression.iter().copied(), out)
    }

    /// As [`Request::reject`].
    ///
    /// # Errors
    ///
    /// What is wrong with `reject`; nothing was written.
    pub fn reject(&self, reject: &Reject<'_>, out: &mut (impl Output + ?Sized)) -> Result<(), AnswerError> {
        write_reject(reject, out)
    }
}

/// The subprotocols that a client offers, in order of preference.
#[derive(Clone, Debug)]
pub struct Protocols<'b> {
    headers: Headers<'b>,
    rest: &'b str,
}

impl<'b> Iterator for Protocols<'b> {
    type Item = &'b str;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (protocol, rest) = self.rest.split_once(',').unwrap_or((self.rest, ""));
            steps::count(protocol.len() + 1);
            self.rest = rest;
            match protocol.trim_ascii() {
                "" if rest.is_empty() => {
                    let value = values(&mut self.headers, "Sec-WebSocket-Protocol").next()?;
                    // Tokens are ASCII.
                    self.rest = core::str::from_utf8(value).ok()?;
                }
                "" => {}
                protocol => return Some(protocol),
            }
        }
    }
}

/// How a request is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept<'a> {
    protocol: Option<&'a str>,
    headers: &'a [(&'a str, &'a str)],
    compression: Compression,
}

/// What is said of compression.
#[derive(Clone, Copy, Debug, Default)]
enum Compression {
    #[default]
    Unsaid,
    Declined,
    By(Policy),
}

impl<'a> Accept<'a> {
    /// No subprotocol, no further headers, no compression.
    pub const fn new() -> Self {
        Self { protocol: None, headers: &[], compression: Compression::Unsaid }
    }

    /// Chooses a subprotocol out of those that the client offers.
    pub const fn protocol(mut self, protocol: &'a str) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Accepts permessage-deflate (RFC 7692), if the client offers it in a way that the policy allows. Whoever asks for this has to inflate
    /// what comes: [`Event::Compressed`](crate::Event::Compressed).
    pub const fn compression(mut self, policy: Policy) -> Self {
        self.compression = Compression::By(policy);
        self
    }

    /// Declines compression, as [`new`](Self::new) does, and lets no layer above say otherwise.
    pub const fn uncompressed(mut self) -> Self {
        self.compression = Compression::Declined;
        self
    }

    /// As [`compression`](Self::compression), unless something was said of it before: for layers above that have a policy for all clients.
    pub const fn compression_by_default(mut self, policy: Policy) -> Self {
        if matches!(self.compression, Compression::Unsaid) {
            self.compression = Compression::By(policy);
        }
        self
    }

    /// The subprotocol chosen.
    pub const fn chosen_protocol(&self) -> Option<&'a str> {
        self.protocol
    }

    /// Adds headers, names and values: cookies, say.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }
}

impl<'a> Accept<'a> {
    /// The headers added.
    pub(super) const fn further_headers(&self) -> &'a [(&'a str, &'a str)] {
        self.headers
    }

    /// What is chosen out of the client's offers of compression.
    pub(super) fn choose(&self, offers: impl Iterator<Item = Element>) -> Option<Agreement> {
        match self.compression {
            Compression::By(policy) => deflate::choose(policy, offers),
            Compression::Unsaid | Compression::Declined => None,
        }
    }

    pub(super) fn check(&self, is_offered: impl Fn(&str) -> bool) -> Result<(), AnswerError> {
        check_headers(self.headers, &[])?;
        // 4.2.2, item 4: the subprotocol is one "derived from the client's handshake", or there is none.
        if self.protocol.is_some_and(|protocol| !is_offered(protocol)) {
            return Err(AnswerError::ProtocolNotOffered);
        }
        Ok(())
    }
}

/// How a request is rejected.
#[derive(Clone, Copy, Debug)]
pub struct Reject<'a> {
    status: u16,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl<'a> Reject<'a> {
    /// An empty answer with a status of 300 to 599: 401, 404, 503 and so on (RFC 6455, section 4.2.2).
    pub const fn new(status: u16) -> Self {
        Self { status, headers: &[], body: &[] }
    }

    /// Adds headers, names and values: `Location` or `WWW-Authenticate`, say.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Adds a body.
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }
}

fn write_accept(
    accept_key: [u8; 28],
    accept: &Accept<'_>,
    is_offered: impl Fn(&str) -> bool,
    offers: impl Iterator<Item = Element>,
    out: &mut (impl Output + ?Sized),
) -> Result<Negotiated, AnswerError> {
    accept.check(is_offered)?;
    let agreement = accept.choose(offers);
    put_all(out, |put| {
        // 4.2.2, item 5.
        put(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        put(&accept_key);
        put(b"\r\n");
        if let Some(protocol) = accept.protocol {
            write_header("Sec-WebSocket-Protocol", protocol, put);
        }
        if let Some(agreement) = &agreement {
            write_header("Sec-WebSocket-Extensions", agreement.header().as_str(), put);
        }
        accept.headers.iter().for_each(|(name, value)| write_header(name, value, put));
        put(b"\r\n");
    })?;
    Ok(Negotiated::new(agreement.map(|agreement| agreement.parameters)))
}

fn write_reject(reject: &Reject<'_>, out: &mut (impl Output + ?Sized)) -> Result<(), AnswerError> {
    check_headers(reject.headers, &[])?;
    if !matches!(reject.status, 300..=599) {
        return Err(AnswerError::InvalidStatus);
    }
    put_all(out, |put| {
        write_status(reject.status, put);
        reject.headers.iter().for_each(|(name, value)| write_header(name, value, put));
        write_end(reject.body, put);
    })?;
    Ok(())
}

fn write_refusal(error: RequestError, put: &mut dyn FnMut(&[u8])) {
    write_status(error.status(), put);
    error.headers().iter().for_each(|(name, value)| write_header(name, value, put));
    write_header("Content-Type", "text/plain", put);
    write_end(error.text().as_bytes(), put);
}

/// Status line, and `Connection: close`: behind a refusal no byte of this connection is read as a request.
fn write_status(status: u16, put: &mut dyn FnMut(&[u8])) {
    put(b"HTTP/1.1 ");
    put_number(usize::from(status), put);
    put(b" ");
    put(reason_phrase(status).as_bytes());
    put(b"\r\nConnection: close\r\n");
}

fn write_end(body: &[u8], put: &mut dyn FnMut(&[u8])) {
    put(b"Content-Length: ");
    put_number(body.len(), put);
    put(b"\r\n\r\n");
    put(body);
}

fn write_header(name: &str, value: &str, put: &mut dyn FnMut(&[u8])) {
    put(name.as_bytes());
    put(b": ");
    put(value.as_bytes());
    put(b"\r\n");
}

fn put_number(number: usize, put: &mut dyn FnMut(&[u8])) {
    if number >= 10 {
        put_number(number / 10, put);
    }
    put(&[b"0123456789"[number % 10]]);
}

/// The usual phrases (RFC 9110, section 15); nobody depends on them.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
