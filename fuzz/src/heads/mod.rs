//! Heads that somebody else has parsed, and the same heads in bytes.
//!
//! Whatever stands in a head:
//!
//! 1. a request is let in or refused for the same reason, and answered with the same headers, whoever has parsed it;
//! 2. so is an extended CONNECT, which lacks what only HTTP/1.1 has;
//! 3. a response opens the connection or fails it for the same reason, and the same is agreed on;
//! 4. the work is linear, and takes no memory.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 1 | which origins are let in, and what of an extended CONNECT is otherwise than it should be |
//! | rest | a program that makes a head, as the module `head` has it |

use arbitrary::{Arbitrary, Unstructured};
use sansocket::deflate::Policy;
use sansocket::handshake::{
    Accept, ClientRequest, ExtendedConnect, HeadLimits, OriginPolicy, RequestError, RequestProgress, ResponseError,
    ResponseProgress, ServerHandshake, Upgrade, UpgradeOffer, Uri,
};

use crate::bytes::byte;
use crate::head::{Head, KEY, Kind, Naive};
use crate::invariants::{borrows_at_most, is_linear};
use crate::request::origins;

/// Bits of an input's first byte.
pub mod flags {
    /// It is a response.
    pub const RESPONSE: u8 = 1;
    /// The second subprotocol that is offered, or the first, is chosen.
    pub const PROTOCOL: u8 = 2;
    /// Compression is offered or accepted.
    pub const COMPRESSION: u8 = 4;
}

/// Room for every head that a program makes.
const LIMITS: HeadLimits = HeadLimits { bytes: 1 << 20, headers: 1000 };

/// How often a byte may be passed over that somebody else has parsed: values alone are, and of those the lists.
const PAIRS: u64 = 8;

/// What only HTTP/1.1 has.
const HTTP_1: [&str; 5] = ["connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding"];

/// A head.
#[derive(Debug)]
pub struct Case {
    /// Whether it is a response.
    response: bool,
    /// Whether a subprotocol is chosen.
    protocol: bool,
    /// What is offered or accepted.
    policies: &'static [Policy],
    /// Which origins are let in.
    origins: OriginPolicy<'static>,
    /// What of an extended CONNECT is otherwise.
    fault: u8,
    /// The head in bytes.
    bytes: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (flag, bits) = (byte(u), byte(u));
        let response = flag & flags::RESPONSE != 0;
        let head = Head::read(if response { Kind::Response } else { Kind::Request }, u);
        Ok(Self {
            response,
            protocol: flag & flags::PROTOCOL != 0,
            policies: if flag & flags::COMPRESSION != 0 { &[Policy::TAKEOVER] } else { &[] },
            origins: origins(bits),
            fault: bits >> 2,
            bytes: head.bytes(),
        })
    }
}

/// Holds what is made of a head's pairs against what is made of its bytes.
///
/// # Panics
///
/// If they differ.
pub fn check(case: &Case) {
    let mut bytes = &case.bytes[..];
    // Interim responses are the business of whoever has parsed the head.
    let head = loop {
        let Some(head) = Naive::read(bytes) else { return };
        if !case.response || !head.start[1..].first().is_some_and(|status| status.starts_with(b"103")) {
            break head;
        }
        bytes = &bytes[head.len..];
    };
    let bytes = &bytes[..head.len];
    if case.response {
        check_response(case, &head, bytes);
    } else {
        check_request(case, &head, bytes);
        check_connect(case, &head);
    }
}

/// The pairs as an HTTP library gives them.
fn pairs<'h>(head: &'h Naive<'_>, without: &[&str]) -> Vec<(&'h str, &'h [u8])> {
    let pairs = head.headers.iter().map(|(name, value)| (&**name, *value));
    pairs.filter(|(name, _)| !without.contains(name)).collect()
}

/// What a server makes of a head in bytes: the headers of its answer.
fn answer(case: &Case, bytes: &[u8]) -> Result<Vec<(String, String)>, RequestError> {
    let mut handshake = ServerHandshake::new().limits(LIMITS).origins(case.origins);
    let mut out = Vec::new();
    let request = match handshake.receive(bytes, &mut out) {
        RequestProgress::Request(request) => request,
        RequestProgress::Refused(error) => return Err(error),
        RequestProgress::Incomplete => panic!("nothing came of a whole head"),
    };
    request.accept(&accept(case, request.protocols()), &mut out).expect("it chooses what was offered");
    let head = Naive::read(&out).expect("an answer is a head");
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    headers.sort();
    Ok(headers)
}

/// How a good request is answered.
fn accept<'a>(case: &Case, mut protocols: impl Iterator<Item = &'a str>) -> Accept<'a> {
    let mut accept = Accept::new();
    if let Some(protocol) = protocols.next().filter(|_| case.protocol) {
        accept = accept.protocol(protocol);
    }
    case.policies.iter().fold(accept, |accept, policy| accept.compression(*policy))
}

/// A request of HTTP/1.1.
fn check_request(case: &Case, head: &Naive<'_>, bytes: &[u8]) {
    let &[method, target, b"HTTP/1.1"] = &head.start[..] else { return };
    let expected = answer(case, bytes);
    // What is left to whoever has parsed the head: that it is one, and its target.
    if matches!(expected, Err(RequestError::Malformed | RequestError::InvalidTarget)) || !target.starts_with(b"/") {
        return;
    }
    let (method, headers) = (std::str::from_utf8(method).expect("a token"), pairs(head, &[]));
    let check = || Upgrade::check(method, headers.iter().copied(), case.origins);
    let checked = is_linear(PAIRS, bytes.len(), || borrows_at_most(0, check));
    assert_eq!(checked.map(|upgrade| answered(case, &upgrade, 101)), expected);
}

/// The headers of an answer.
fn answered<'h, H>(case: &Case, upgrade: &Upgrade<H>, status: u16) -> Vec<(String, String)>
where
    H: Iterator<Item = (&'h str, &'h [u8])> + Clone,
{
    let (response, _) = upgrade.accept(&accept(case, upgrade.protocols())).expect("it chooses what was offered");
    assert_eq!(response.status(), status);
    let header = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_owned());
    let mut headers: Vec<_> = response.headers().map(header).collect();
    headers.sort();
    headers
}

/// The same headers in an extended CONNECT, and that again in HTTP/1.1.
fn check_connect(case: &Case, head: &Naive<'_>) {
    let host = head.values("host").first().and_then(|host| std::str::from_utf8(host).ok()).unwrap_or("");
    let good = ExtendedConnect {
        method: "CONNECT",
        protocol: Some("websocket"),
        scheme: Some("https"),
        authority: Some(host),
        path: Some("/chat"),
    };
    let (pseudo, fault) = match case.fault % 8 {
        0 => (ExtendedConnect { method: "GET", ..good }, Some(RequestError::MethodNotAllowed)),
        1 => (ExtendedConnect { protocol: Some("connect-udp"), ..good }, Some(RequestError::UnsupportedProtocol)),
        2 => (ExtendedConnect { scheme: Some("wss"), ..good }, Some(RequestError::InvalidTarget)),
        3 => (ExtendedConnect { path: Some("/#"), ..good }, Some(RequestError::InvalidTarget)),
        4 => (ExtendedConnect { authority: None, ..good }, Some(RequestError::InvalidHost)),
        _ => (good, None),
    };
    let check = |without: &[&str]| {
        let pairs = pairs(head, without);
        let check = || Upgrade::check_connect(&pseudo, pairs.iter().copied(), case.origins);
        let checked = is_linear(PAIRS, case.bytes.len(), || borrows_at_most(0, check));
        checked.map(|upgrade| answered(case, &upgrade, 200))
    };
    if let Some(fault) = fault {
        assert_eq!(check(&[]), Err(fault));
        return;
    }
    let is_host = sansocket::handshake::Authority::parse(host).is_some();
    for name in HTTP_1.into_iter().filter(|&name| !head.values(name).is_empty()) {
        // Each by itself: another one must not cover for it.
        let others: Vec<_> = HTTP_1.into_iter().filter(|&other| other != name).collect();
        let error = if is_host { RequestError::ConnectionHeader } else { RequestError::InvalidHost };
        assert_eq!(check(&others), Err(error), "{name}");
    }
    // Whether a body is announced is nobody's business there.
    let mut bytes = format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
    )
    .into_bytes();
    let own = [&HTTP_1[..], &["host", "sec-websocket-key", "content-length"]].concat();
    for (name, value) in pairs(head, &own) {
        bytes.extend([name.as_bytes(), b":", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    let expected = answer(case, &bytes).map(|headers| {
        let is_there =
            |(name, _): &(String, String)| !["upgrade", "connection", "sec-websocket-accept"].contains(&&**name);
        headers.into_iter().filter(is_there).collect()
    });
    assert_eq!(check(&HTTP_1), expected);
}

/// A response of HTTP/1.1.
fn check_response(case: &Case, head: &Naive<'_>, bytes: &[u8]) {
    let [b"HTTP/1.1", status, ..] = head.start[..] else { return };
    let Some(status) = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok()) else { return };
    let uri = Uri::parse("ws://example.com/chat").expect("it is one");
    let protocols: &[_] = if case.protocol { &["chat", "superchat"] } else { &[] };
    let request = ClientRequest::new(&uri).protocols(protocols).compression(case.policies).limits(LIMITS);
    let nonce = *b"the sample nonce";
    let mut handshake = request.start(nonce, &mut Vec::new()).expect("it is good");
    let expected = match handshake.receive(bytes) {
        ResponseProgress::Accepted(response) => Ok((response.negotiated(), response.protocol())),
        ResponseProgress::Failed(ResponseError::Malformed) | ResponseProgress::Incomplete => return,
        ResponseProgress::Failed(error) => Err(error),
        ResponseProgress::Refused(_) => Err(ResponseError::Status),
    };
    let (offer, headers) = (UpgradeOffer::new(&request, nonce).expect("it is good"), pairs(head, &[]));
    let check = || offer.check(status, headers.iter().copied());
    let checked = is_linear(PAIRS, bytes.len(), || borrows_at_most(0, check));
    assert_eq!(checked, expected);
}
