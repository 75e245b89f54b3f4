//! Opening handshakes whose heads an HTTP library parses and writes, with the types of the crate `http`. The adapters to hyper, axum
//! and h2 are made of this.
//!
//! A server:
//!
//! ```
//! use http::{Request, Response};
//! use sansocket_tokio::upgrade::{Handover, RequestHead, refusal};
//! use sansocket_tokio::AcceptOptions;
//!
//! fn answer(request: &Request<()>) -> (Response<String>, Option<Handover>) {
//!     let options = AcceptOptions::new();
//!     let head = RequestHead::new(request, None);
//!     match options.check(&head) {
//!         Ok(upgrade) => {
//!             let accept = options.choose(&upgrade);
//!             let (response, handover) = options.agree(&upgrade, &accept).expect("it was chosen among what is offered");
//!             (response, Some(handover)) // behind the response, `handover.open(stream, unread)`
//!         }
//!         Err(error) => (refusal(error, request.version()), None),
//!     }
//! }
//! # let (response, handover) = answer(&Request::get("/").header("host", "example.com").body(()).unwrap());
//! # assert_eq!((response.status().as_u16(), handover.is_none()), (426, true));
//! ```

use std::time::Duration;

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use sansocket::deflate::Policy;
use sansocket::handshake::{
    AnswerError, ClientRequestError, ExtendedConnect, RequestError, ResponseError, Upgrade, UpgradeOffer, Uri,
};
use sansocket::{Either, Negotiated, RandomKeys};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::role;
use crate::head::within;
use crate::settings::{Opening, Settings};
use crate::websocket::WebSocket;
use crate::{Accept, AcceptOptions, ConnectOptions};

/// The head of a request that an HTTP library has parsed.
#[derive(Clone, Debug)]
pub struct RequestHead<'h> {
    method: &'h Method,
    version: Version,
    uri: &'h http::Uri,
    protocol: Option<&'h str>,
    headers: Vec<(&'h str, &'h [u8])>,
}

impl<'h> RequestHead<'h> {
    /// A request's head. `protocol` is the `:protocol` of an extended CONNECT (RFC 8441, section 4), which libraries keep among the
    /// request's extensions, each in a type of its own.
    pub fn new<B>(request: &'h Request<B>, protocol: Option<&'h str>) -> Self {
        Self {
            method: request.method(),
            version: request.version(),
            uri: request.uri(),
            protocol,
            headers: pairs(request.headers()),
        }
    }
}

impl<'a> AcceptOptions<'a> {
    /// Checks a request: as an upgrade if its version is HTTP/1.1, as an extended CONNECT from HTTP/2 on.
    ///
    /// # Errors
    ///
    /// What is wrong with the request; [`refusal`] makes the answer.
    pub fn check<'r, 'h>(
        &self,
        head: &'r RequestHead<'h>,
    ) -> Result<Upgrade<impl Iterator<Item = (&'h str, &'h [u8])> + Clone + use<'r, 'h>>, RequestError> {
        let &RequestHead { method, version, uri, protocol, ref headers } = head;
        let headers = headers.iter().copied();
        match version {
            Version::HTTP_11 => Upgrade::check(method.as_str(), headers, self.origins),
            Version::HTTP_2 | Version::HTTP_3 => {
                let pseudo = ExtendedConnect {
                    method: method.as_str(),
                    protocol,
                    scheme: uri.scheme_str(),
                    authority: uri.authority().map(|authority| authority.as_str()),
                    path: uri.path_and_query().map(|path| path.as_str()),
                };
                Upgrade::check_connect(&pseudo, headers, self.origins)
            }
            _ => Err(RequestError::HttpVersion),
        }
    }

    /// How these options accept a request: with the first subprotocol of the client's that they have.
    pub fn choose<'h>(&self, upgrade: &Upgrade<impl Iterator<Item = (&'h str, &'h [u8])> + Clone>) -> Accept<'a> {
        let chosen = upgrade.protocols().find_map(|offered| self.protocols.iter().find(|&&known| known == offered));
        chosen.map_or(Accept::new(), |protocol| Accept::new().protocol(protocol))
    }

    /// Accepts a request: with compression if `accept` says so, or these options do and `accept` does not say otherwise. Gives the
    /// response, and what is to be opened behind it.
    ///
    /// # Errors
    ///
    /// What is wrong with `accept`.
    pub fn agree<'h, B: Default>(
        &self,
        upgrade: &Upgrade<impl Iterator<Item = (&'h str, &'h [u8])> + Clone>,
        accept: &Accept<'_>,
    ) -> Result<(Response<B>, Handover), AnswerError> {
        let accept = self.settings.accept(accept);
        let (answer, negotiated) = upgrade.accept(&accept)?;
        let mut response = Response::new(B::default());
        *response.status_mut() = status(answer.status());
        put_headers(response.headers_mut(), answer.headers());
        let protocol = accept.chosen_protocol().map(Into::into);
        Ok((response, Handover { role: Either::Server, settings: self.settings, negotiated, protocol }))
    }
}

/// The answer to a bad request: the error's status, headers and text, and in HTTP/1 `Connection: close`, because what may follow is no
/// request.
pub fn refusal<B: From<&'static str>>(error: RequestError, version: Version) -> Response<B> {
    let mut response = Response::new(B::from(error.text()));
    *response.status_mut() = status(error.status());
    let headers = response.headers_mut();
    put_headers(headers, error.headers().iter().copied());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if version < Version::HTTP_2 {
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    } else {
        // RFC 9113, 8.2.2: HTTP/2 does not know these.
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
        if headers.contains_key(ALLOW) {
            headers.insert(ALLOW, HeaderValue::from_static("CONNECT"));
        }
    }
    response
}

impl ConnectOptions<'_> {
    /// What these options offer of compression: the argument of [`offer`](Self::offer).
    pub fn compression_policy(&self) -> Option<Policy> {
        self.settings.policy()
    }

    /// Waits for an opening handshake, but no longer than [`Timeouts::open`](crate::Timeouts::open): `None`.
    pub async fn within_open<T>(&self, handshake: impl Future<Output = T>) -> Option<T> {
        within(self.settings.timeouts.open, handshake).await.ok()
    }

    /// How long the stream may take to end: [`Timeouts::end`](crate::Timeouts::end).
    pub const fn end_timeout(&self) -> Option<Duration> {
        self.settings.timeouts.end
    }

    /// A request of HTTP/1.1, to be sent with the head's headers.
    ///
    /// # Errors
    ///
    /// What is wrong with the options.
    pub fn offer<'o>(
        &'o self,
        uri: &Uri<'o>,
        policy: &'o Option<Policy>,
    ) -> Result<UpgradeOffer<'o>, ClientRequestError> {
        // RFC 6455, 4.1, item 7: a nonce "selected randomly for each connection".
        UpgradeOffer::new(&self.request(uri, policy), rand::random())
    }

    /// An extended CONNECT.
    ///
    /// # Errors
    ///
    /// What is wrong with the options.
    pub fn offer_connect<'o>(
        &'o self,
        uri: &Uri<'o>,
        policy: &'o Option<Policy>,
    ) -> Result<UpgradeOffer<'o>, ClientRequestError> {
        UpgradeOffer::connect(&self.request(uri, policy))
    }

    /// Checks the response to an offer, and gives what is to be opened behind it.
    ///
    /// # Errors
    ///
    /// [`ResponseError::Status`]: the server has not accepted, and the response is to be treated as HTTP says. Else the connection fails.
    pub fn check<B>(&self, offer: &UpgradeOffer<'_>, response: &Response<B>) -> Result<Handover, ResponseError> {
        let headers = pairs(response.headers());
        let (negotiated, protocol) = offer.check(response.status().as_u16(), headers.iter().copied())?;
        Ok(Handover { role: role(), settings: self.settings, negotiated, protocol: protocol.map(Into::into) })
    }
}

/// The headers of an offer.
pub fn offered(offer: &UpgradeOffer<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put_headers(&mut headers, offer.headers());
    headers
}

/// What a handshake leaves that an HTTP library has performed: all of a connection but its stream.
#[derive(Debug)]
pub struct Handover {
    role: Either<RandomKeys>,
    settings: Settings,
    negotiated: Negotiated,
    protocol: Option<Box<str>>,
}

impl Handover {
    /// The connection, over the stream that the library has handed over. `unread` is what it has read behind the head.
    ///
    /// [`WebSocket::response`] knows nothing of a client's handshake: the library has the response.
    pub fn open<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, unread: &[u8]) -> WebSocket<S> {
        let opening = Opening { protocol: self.protocol, response: None };
        self.settings.open(self.role, stream, Vec::new(), self.negotiated, opening, unread)
    }
}

/// The engine looks at them more than once, and the map's own iterator cannot be cloned.
fn pairs(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn put_headers<'p>(headers: &mut HeaderMap, pairs: impl Iterator<Item = (&'p str, &'p str)>) {
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the engine lets only tokens pass");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("the engine lets no control characters pass");
        headers.append(name, value);
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the engine's statuses have three digits")
}
