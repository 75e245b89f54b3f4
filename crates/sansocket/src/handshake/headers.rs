//! Heads that somebody else parses and writes: an HTTP library, for HTTP/1.1 or for the extended CONNECT of HTTP/2 (RFC 8441) and HTTP/3
//! (RFC 9220). The checks are those of `server.rs` and `client.rs`.
//!
//! Headers come in as pairs of name and value and go out the same way. With the types of the crate `http`:
//! `map.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))`, collected into a `Vec`, because that iterator cannot be cloned.

use super::Extension;
use super::error::{AnswerError, RequestError};
use super::extension::extensions;
use super::head::{elements, is_target, single, values};
use super::key;
use super::origin::{Authority, OriginPolicy};
use super::request::{check_choices, check_request, check_version};
use super::server::Accept;
use crate::Negotiated;
use crate::deflate::{self, HeaderValue};

#[cfg(feature = "alloc")]
use super::client::{self, ClientRequest, check_response};
#[cfg(feature = "alloc")]
use super::error::{ClientRequestError, ResponseError};
#[cfg(feature = "alloc")]
use super::{Uri, VERSION};
#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};

/// A server's look at a request that somebody else has parsed: good, and waiting for an answer.
///
/// ```
/// use sansocket::handshake::{Accept, OriginPolicy, Upgrade};
///
/// let headers: [(&str, &[u8]); 5] = [
///     ("host", b"example.com"),
///     ("connection", b"Upgrade"),
///     ("upgrade", b"websocket"),
///     ("sec-websocket-version", b"13"),
///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
/// ];
/// let upgrade = Upgrade::check("GET", headers.into_iter(), OriginPolicy::default())?;
/// let (response, negotiated) = upgrade.accept(&Accept::new())?;
/// assert_eq!(response.status(), 101);
/// assert!(response.headers().any(|header| header == ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
/// // Send the response; behind it, the transport belongs to a `Connection`.
/// # let _ = negotiated;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Upgrade<H> {
    headers: H,
    /// `None`: an extended CONNECT, which knows no key.
    accept: Option<[u8; 28]>,
}

/// The pseudo-headers of an extended CONNECT (RFC 8441, section 4).
#[derive(Clone, Copy, Debug)]
pub struct ExtendedConnect<'h> {
    /// `:method`
    pub method: &'h str,
    /// `:protocol`, if there is one.
    pub protocol: Option<&'h str>,
    /// `:scheme`, if there is one.
    pub scheme: Option<&'h str>,
    /// `:authority`, if there is one.
    pub authority: Option<&'h str>,
    /// `:path`, if there is one.
    pub path: Option<&'h str>,
}

impl<'h, H: Iterator<Item = (&'h str, &'h [u8])> + Clone> Upgrade<H> {
    /// Checks an HTTP/1.1 request. That its version is 1.1 and its target a path is the business of whoever has parsed it.
    ///
    /// # Errors
    ///
    /// What is wrong with the request: answer with the error's [`status`](RequestError::status) and
    /// [`headers`](RequestError::headers), and with `Connection: close`.
    pub fn check(method: &str, headers: H, origins: OriginPolicy<'_>) -> Result<Self, RequestError> {
        let key = check_request(method, "/", headers.clone(), origins)?;
        Ok(Self { headers, accept: Some(key::accept(key)) })
    }

    /// Checks an extended CONNECT of HTTP/2 or HTTP/3.
    ///
    /// # Errors
    ///
    /// What is wrong with the request: answer with the error's [`status`](RequestError::status).
    pub fn check_connect(
        pseudo: &ExtendedConnect<'_>,
        headers: H,
        origins: OriginPolicy<'_>,
    ) -> Result<Self, RequestError> {
        if pseudo.method != "CONNECT" {
            return Err(RequestError::MethodNotAllowed);
        }
        // RFC 9220, 3: "If a server receives an Extended CONNECT request with a ':protocol' pseudo-header field value that is unknown
        // or not supported, the server SHOULD respond to the request with a 501 (Not Implemented) status code".
        if !pseudo.protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
            return Err(RequestError::UnsupportedProtocol);
        }
        // RFC 8441, 4: ":scheme" and ":path" must be there as well; 5: the scheme is http or https.
        let scheme = pseudo.scheme.filter(|scheme| ["http", "https"].contains(scheme));
        if scheme.is_none() || !pseudo.path.is_some_and(|path| path.starts_with('/') && is_target(path)) {
            return Err(RequestError::InvalidTarget);
        }
        let host = pseudo.authority.and_then(Authority::parse).ok_or(RequestError::InvalidHost)?;
        // RFC 8441, 5: Connection and Upgrade are not used; RFC 9113, 8.2.2: their presence makes a request malformed.
        let connection_headers = ["Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding"];
        if connection_headers.into_iter().any(|name| values(headers.clone(), name).next().is_some()) {
            return Err(RequestError::ConnectionHeader);
        }
        check_version(headers.clone())?;
        check_choices(headers.clone(), host, origins)?;
        Ok(Self { headers, accept: None })
    }

    /// The subprotocols that the client offers, in order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &'h str> + use<'h, H> {
        // They were found to be tokens.
        elements(self.headers.clone(), "Sec-WebSocket-Protocol")
            .filter_map(|protocol| core::str::from_utf8(protocol).ok())
    }

    /// The extensions that the client offers, in order of preference.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'h>> + use<'h, H> {
        // They were found to follow the grammar.
        extensions(self.headers.clone()).filter_map(Result::ok)
    }

    /// The origin of the page whose script connects.
    pub fn origin(&self) -> Option<&'h [u8]> {
        single(self.headers.clone(), "Origin").ok().flatten()
    }

    /// Accepts: gives the response, and what it has negotiated. Further headers of `accept` are part of it.
    ///
    /// # Errors
    ///
    /// What is wrong with `accept`.
    pub fn accept<'a>(&self, accept: &Accept<'a>) -> Result<(UpgradeResponse<'a>, Negotiated), AnswerError> {
        accept.check(|protocol| self.protocols().any(|offered| offered == protocol))?;
        let agreement = accept.choose(deflate::valid_offers(self.extensions()));
        let negotiated = Negotiated::new(agreement.map(|agreement| agreement.parameters));
        let extensions = agreement.map(|agreement| agreement.header());
        Ok((UpgradeResponse { accept: *accept, key: self.accept, extensions }, negotiated))
    }
}

/// The response that accepts a request.
#[derive(Clone, Debug)]
pub struct UpgradeResponse<'a> {
    accept: Accept<'a>,
    key: Option<[u8; 28]>,
    extensions: Option<HeaderValue>,
}

impl UpgradeResponse<'_> {
    /// 101, or 200 for an extended CONNECT (RFC 8441, section 5).
    pub const fn status(&self) -> u16 {
        if self.key.is_some() { 101 } else { 200 }
    }

    /// The headers, names in lower case where they are ours.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let key = self.key.as_ref().and_then(|key| core::str::from_utf8(key).ok());
        let upgrade =
            key.map(|key| [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", key)]);
        let protocol = self.accept.chosen_protocol().map(|protocol| ("sec-websocket-protocol", protocol));
        let extensions = self.extensions.as_ref().map(|value| ("sec-websocket-extensions", value.as_str()));
        upgrade
            .into_iter()
            .flatten()
            .chain(protocol)
            .chain(extensions)
            .chain(self.accept.further_headers().iter().copied())
    }
}

/// A client's request that somebody else writes, and the checks for its response.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
pub struct UpgradeOffer<'a> {
    headers: Vec<(&'a str, String)>,
    /// `None`: an extended CONNECT, which knows no key.
    accept: Option<[u8; 28]>,
    protocols: &'a [&'a str],
    compression: &'a [deflate::Policy],
    uri: Uri<'a>,
    target: String,
}

#[cfg(feature = "alloc")]
impl<'a> UpgradeOffer<'a> {
    /// An HTTP/1.1 request: `GET`, [`target`](Self::target) and [`headers`](Self::headers). `nonce` is 16 random bytes, fresh for every
    /// connection.
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn new(request: &ClientRequest<'a>, nonce: [u8; 16]) -> Result<Self, ClientRequestError> {
        let key = key::encode_key(nonce);
        let mut offer = Self::connect(request)?;
        let key_text = key.iter().copied().map(char::from).collect();
        offer.accept = Some(key::accept(&key));
        offer.headers.extend([
            ("host", request.uri.host_header().into()),
            ("upgrade", "websocket".into()),
            ("connection", "Upgrade".into()),
            ("sec-websocket-key", key_text),
        ]);
        Ok(offer)
    }

    /// An extended CONNECT: [`pseudo`](Self::pseudo) and [`headers`](Self::headers). To be sent only to a server that has set
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441, section 3).
    ///
    /// # Errors
    ///
    /// What is wrong with the request.
    pub fn connect(request: &ClientRequest<'a>) -> Result<Self, ClientRequestError> {
        request.check()?;
        let target = [request.uri.path(), request.uri.query()].concat();
        let mut headers = Vec::from([("sec-websocket-version", VERSION.into())]);
        headers.extend(request.origin.map(|origin| ("origin", origin.into())));
        if !request.protocols.is_empty() {
            headers.push(("sec-websocket-protocol", request.protocols.join(", ")));
        }
        if !request.compression.is_empty() {
            let offers: Vec<_> = deflate::offers(request.compression).collect();
            let offers: Vec<_> = offers.iter().map(HeaderValue::as_str).collect();
            headers.push(("sec-websocket-extensions", offers.join(", ")));
        }
        headers.extend(request.headers.iter().map(|&(name, value)| (name, value.into())));
        let ClientRequest { protocols, compression, uri, .. } = *request;
        Ok(Self { headers, accept: None, protocols, compression, uri, target })
    }

    /// The headers, names in lower case where they are ours.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The request's target: the URI's path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The pseudo-headers of an extended CONNECT.
    pub fn pseudo(&self) -> ExtendedConnect<'_> {
        // RFC 8441, 5: the scheme is "https" for wss URIs and "http" for ws URIs.
        ExtendedConnect {
            method: "CONNECT",
            protocol: Some("websocket"),
            scheme: Some(if self.uri.is_secure() { "https" } else { "http" }),
            authority: Some(self.uri.host_header()),
            path: Some(&self.target),
        }
    }

    /// Checks the response, and gives what was negotiated and the subprotocol that the server has chosen.
    ///
    /// # Errors
    ///
    /// [`ResponseError::Status`]: the server has not accepted, and the response is to be treated as HTTP says. Else the connection
    /// fails.
    pub fn check<'h>(
        &self,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
    ) -> Result<(Negotiated, Option<&'h str>), ResponseError> {
        let is_offered = |protocol: &[u8]| self.protocols.iter().any(|offered| offered.as_bytes() == protocol);
        let negotiated = match (self.accept, status) {
            (Some(accept), 101) => check_response(headers.clone(), accept, is_offered, self.compression)?,
            // RFC 8441, 5: "a 2xx response".
            (None, 200..=299) => client::check_choices(headers.clone(), is_offered, self.compression)?,
            _ => return Err(ResponseError::Status),
        };
        let protocol = values(headers, "Sec-WebSocket-Protocol").next();
        Ok((negotiated, protocol.and_then(|protocol| core::str::from_utf8(protocol).ok())))
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    type Pairs<'a> = Vec<(&'a str, &'a [u8])>;

    fn pairs<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Pairs<'a> {
        headers.map(|(name, value)| (name, value.as_bytes())).collect()
    }

    fn request<'a>() -> ClientRequest<'a> {
        let uri = Uri::parse("wss://example.com:444/chat?x").unwrap();
        ClientRequest::new(&uri).origin("https://example.com:444").protocols(&["a", "b"]).headers(&[("Cookie", "c=d")])
    }

    #[test]
    fn rfc6455_4_both_sides_over_pairs_agree() {
        let offer = UpgradeOffer::new(&request(), *b"the sample nonce").unwrap();
        assert_eq!(offer.target(), "/chat?x", "path and query");
        let headers = pairs(offer.headers());
        assert!(headers.contains(&("host", b"example.com:444")) && headers.contains(&("Cookie", b"c=d")));
        let upgrade = Upgrade::check("GET", headers.iter().copied(), OriginPolicy::default()).unwrap();
        assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(upgrade.origin(), Some(&b"https://example.com:444"[..]));
        assert_eq!(upgrade.accept(&Accept::new().protocol("c")).unwrap_err(), AnswerError::ProtocolNotOffered);
        let (response, _) = upgrade.accept(&Accept::new().protocol("b").headers(&[("Set-Cookie", "e=f")])).unwrap();
        let headers = pairs(response.headers());
        assert!(headers.contains(&("Set-Cookie", b"e=f")));
        assert_eq!(offer.check(response.status(), headers.iter().copied()).unwrap().1, Some("b"));
        assert_eq!(offer.check(200, headers.iter().copied()).unwrap_err(), ResponseError::Status);
        let broken = headers.iter().copied().filter(|(name, _)| *name != "sec-websocket-accept");
        assert_eq!(offer.check(101, broken).unwrap_err(), ResponseError::Accept);
    }

    #[test]
    fn rfc8441_5_both_sides_of_an_extended_connect_agree() {
        let offer = UpgradeOffer::connect(&request()).unwrap();
        let headers = pairs(offer.headers());
        for unused in ["connection", "upgrade", "host", "sec-websocket-key"] {
            assert!(headers.iter().all(|(name, _)| *name != unused), "{unused}");
        }
        let pseudo = offer.pseudo();
        assert_eq!(
            (pseudo.scheme, pseudo.path, pseudo.authority),
            (Some("https"), Some("/chat?x"), Some("example.com:444"))
        );
        let upgrade = Upgrade::check_connect(&pseudo, headers.iter().copied(), OriginPolicy::default()).unwrap();
        let (response, _) = upgrade.accept(&Accept::new().protocol("a")).unwrap();
        assert_eq!(response.status(), 200);
        let headers = pairs(response.headers());
        assert_eq!(headers, [("sec-websocket-protocol", &b"a"[..])]);
        assert_eq!(offer.check(200, headers.iter().copied()).unwrap().1, Some("a"));
        assert_eq!(offer.check(204, [].into_iter()).unwrap().1, None);
        assert_eq!(offer.check(101, headers.iter().copied()).unwrap_err(), ResponseError::Status);
        let unasked: Pairs<'_> = Vec::from([("sec-websocket-protocol", &b"z"[..])]);
        assert_eq!(offer.check(200, unasked.iter().copied()).unwrap_err(), ResponseError::Protocol);
    }

    #[test]
    fn rfc8441_4_a_connect_lacks_nothing_and_has_nothing_of_http_1() {
        let offer = UpgradeOffer::connect(&request()).unwrap();
        let good = offer.pseudo();
        let version: (&str, &[u8]) = ("sec-websocket-version", b"13");
        let check = |pseudo: ExtendedConnect<'_>, more: Option<(&'static str, &'static [u8])>| {
            let headers: Pairs<'_> = [version].into_iter().chain(more).collect();
            Upgrade::check_connect(&pseudo, headers.iter().copied(), OriginPolicy::default()).map(drop)
        };
        assert_eq!(check(good, None), Ok(()));
        for (bad, error) in [
            (ExtendedConnect { method: "GET", ..good }, RequestError::MethodNotAllowed),
            (ExtendedConnect { protocol: None, ..good }, RequestError::UnsupportedProtocol),
            (ExtendedConnect { protocol: Some("connect-udp"), ..good }, RequestError::UnsupportedProtocol),
            (ExtendedConnect { scheme: None, ..good }, RequestError::InvalidTarget),
            (ExtendedConnect { scheme: Some("wss"), ..good }, RequestError::InvalidTarget),
            (ExtendedConnect { path: None, ..good }, RequestError::InvalidTarget),
            (ExtendedConnect { path: Some("*"), ..good }, RequestError::InvalidTarget),
            (ExtendedConnect { path: Some("/a b\r\nX: y"), ..good }, RequestError::InvalidTarget),
            (ExtendedConnect { authority: None, ..good }, RequestError::InvalidHost),
            (ExtendedConnect { authority: Some("a b"), ..good }, RequestError::InvalidHost),
        ] {
            assert_eq!(check(bad, None), Err(error), "{bad:?}");
        }
        assert_eq!(RequestError::UnsupportedProtocol.status(), 501, "RFC 9220, section 3");
        for name in ["connection", "upgrade", "transfer-encoding"] {
            assert_eq!(check(good, Some((name, b"upgrade"))), Err(RequestError::ConnectionHeader), "{name}");
        }
        assert_eq!(check(good, Some(("origin", b"https://evil.example"))), Err(RequestError::OriginNotAllowed));
        assert_eq!(check(good, Some(("sec-websocket-extensions", b"a b"))), Err(RequestError::InvalidExtensions));
        assert_eq!(check(good, Some(("sec-websocket-version", b"13"))), Err(RequestError::RepeatedHeader));
        assert!(RequestError::RepeatedHeader.to_string().contains("repeated"));
    }

    #[test]
    fn every_fault_of_a_request_is_found_in_pairs_too() {
        let offer = UpgradeOffer::new(&request(), [7; 16]).unwrap();
        let good = pairs(offer.headers());
        let without = |name: &str| {
            let headers: Pairs<'_> = good.iter().copied().filter(|(other, _)| *other != name).collect();
            Upgrade::check("GET", headers.iter().copied(), OriginPolicy::default()).map(drop)
        };
        assert_eq!(without("nothing"), Ok(()));
        assert_eq!(without("host"), Err(RequestError::InvalidHost));
        assert_eq!(without("upgrade"), Err(RequestError::NotAnUpgrade));
        assert_eq!(without("connection"), Err(RequestError::ConnectionNotUpgrade));
        assert_eq!(without("sec-websocket-version"), Err(RequestError::MissingVersion));
        assert_eq!(without("sec-websocket-key"), Err(RequestError::InvalidKey));
        let posted = Upgrade::check("POST", good.iter().copied(), OriginPolicy::default()).map(drop);
        assert_eq!(posted, Err(RequestError::MethodNotAllowed));
        assert_eq!(RequestError::MethodNotAllowed.headers(), [("Allow", "GET")]);
    }
}
