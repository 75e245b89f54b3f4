//! The lists of subprotocols and extensions, in a request and in a response.
//!
//! Whatever stands in these headers:
//!
//! 1. a server finds in them what a naive reader finds, and refuses what that refuses, with the same reason;
//! 2. what both agree on of permessage-deflate is what the sentences of RFC 7692 say;
//! 3. a client lets a response through, and agrees, if and only if that reader does (`naive.rs`);
//! 4. the work is linear, also for a hundred subprotocols, and no memory is kept.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | which policies are offered or accepted: of each of three a bit |
//! | 1 | how many headers of subprotocols, modulo 4, and a quarter of it how many bytes of a header stand in front of them |
//! | 1 | how many headers of extensions, modulo 4 |
//! | 1 + n | each of them: n fragments out of a table; from 128 on, one fragment so many times less 127, a number added |

pub(crate) mod naive;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::deflate::{Policy, WindowBits};
use sansocket::handshake::{
    Accept, ClientRequest, HeadLimits, MAX_REFUSAL, ParamValue, RequestError, RequestProgress, ResponseProgress,
    ServerHandshake, Uri,
};

use crate::bytes::byte;
use crate::head::{ACCEPT, KEY, is_token};
use crate::invariants::{HEAD, Work, borrows_at_most, head_memory, is_linear};
use naive::Extension;

/// What the values are made of.
pub(crate) const FRAGMENTS: [&str; 32] = [
    ",",
    ";",
    "=",
    "\"",
    "\\",
    " ",
    "\t",
    "a",
    "b",
    "chat",
    "Chat",
    "permessage-deflate",
    "Permessage-Deflate",
    "; client_max_window_bits",
    "; server_max_window_bits",
    "; server_no_context_takeover",
    "; client_no_context_takeover",
    "=8",
    "=9",
    "=15",
    "=16",
    "=07",
    "=\"12\"",
    "=\"1\\0\"",
    "=\"\"",
    ", ",
    "(",
    "/",
    "ß",
    "!#$%&'*+-.^_`|~",
    "permessage-deflate; client_max_window_bits, permessage-deflate",
    "x-a; b=c; d",
];

/// Room for every head.
const LIMITS: HeadLimits = HeadLimits { bytes: 1 << 16, headers: 100 };

/// What a client offers.
const OFFERED: [&str; 2] = ["chat", "a"];

/// The values of two headers, and what one side is willing to do.
#[derive(Debug)]
pub struct Case {
    /// The policies of the side that looks.
    policies: Vec<Policy>,
    /// Bytes of another header in front of them.
    padding: usize,
    /// Of `Sec-WebSocket-Protocol`.
    protocols: Vec<String>,
    /// Of `Sec-WebSocket-Extensions`.
    extensions: Vec<String>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (wanted, first, second) = (byte(u), byte(u), byte(u));
        let ten = WindowBits::new(10).expect("it is between 8 and 15");
        let all = [
            Policy::DEFAULT,
            Policy::TAKEOVER,
            Policy { window_bits: ten, peer_window_bits: WindowBits::MIN, ..Policy::TAKEOVER },
        ];
        let policies = all.into_iter().enumerate().filter(|(at, _)| wanted >> at & 1 == 1).map(|(_, policy)| policy);
        let protocols = (0..first % 4).map(|_| value(u)).collect();
        let extensions = (0..second % 4).map(|_| value(u)).collect();
        Ok(Self { policies: policies.collect(), padding: usize::from(first / 4) * 128, protocols, extensions })
    }
}

/// A header's value.
fn value(u: &mut Unstructured<'_>) -> String {
    let fragment = |u: &mut Unstructured<'_>| FRAGMENTS[usize::from(byte(u)) % FRAGMENTS.len()];
    let count = byte(u);
    match count.checked_sub(127) {
        None => (0..count).map(|_| fragment(u)).collect(),
        Some(times) => {
            let fragment = fragment(u);
            (0..times).map(|number| format!("{fragment}{number},")).collect()
        }
    }
}

/// Holds both sides' readers against the naive one.
///
/// # Panics
///
/// If they differ.
pub fn check(case: &Case) {
    check_request(case);
    check_response(case);
}

/// The headers as lines.
fn lines(case: &Case) -> String {
    let lines = |name, values: &[String]| values.iter().map(|value| format!("{name}: {value}\r\n")).collect::<String>();
    let padding = lines("X", &["x".repeat(case.padding)]);
    padding + &lines("Sec-WebSocket-Protocol", &case.protocols) + &lines("Sec-WebSocket-Extensions", &case.extensions)
}

/// The values as a reader of heads gives them.
fn trimmed(values: &[String]) -> Vec<&[u8]> {
    values.iter().map(|value| value.as_bytes().trim_ascii()).collect()
}

/// What a server makes of them.
fn check_request(case: &Case) {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n{}\r\n",
        lines(case)
    );
    let mut handshake = ServerHandshake::new().limits(LIMITS);
    let (mut out, work) = (Vec::with_capacity(MAX_REFUSAL), Work::begin());
    let receive = || handshake.receive(head.as_bytes(), &mut out);
    let progress = borrows_at_most(head_memory(head.as_bytes(), LIMITS), receive);
    work.check(HEAD, head.len() + out.len(), 0);
    let (protocols, extensions) = (protocols(case), Extension::list(&trimmed(&case.extensions)));
    let extensions = extensions.filter(|list| case.extensions.is_empty() || !list.is_empty());
    let request = match (progress, &protocols, &extensions) {
        (RequestProgress::Refused(RequestError::InvalidProtocols), None, _)
        | (RequestProgress::Refused(RequestError::InvalidExtensions), Some(_), None) => return,
        (RequestProgress::Request(request), Some(_), Some(_)) => request,
        (progress, ..) => panic!("{progress:?} of {protocols:?} and {extensions:?}"),
    };
    assert_eq!(request.protocols().collect::<Vec<_>>(), protocols.unwrap_or_default());
    let found = request.extensions().map(|it| {
        let value = |value: ParamValue<'_>| String::from_utf8(value.bytes().collect()).expect("a token");
        let params = it.params().map(|(name, of)| (name.to_owned(), of.map(value))).collect();
        Extension { name: it.name().to_owned(), params }
    });
    let found: Vec<_> = found.collect();
    assert_eq!(Some(&found), extensions.as_ref());
    for policy in &case.policies {
        out.clear();
        let accept = Accept::new().compression(*policy);
        let work = Work::begin();
        let accepted = request.accept(&accept, &mut out);
        work.check(HEAD, head.len() + out.len(), 0);
        let expected = naive::agreed_by_server(&found, policy);
        assert_eq!(accepted.expect("it can be accepted").compression(), expected);
        assert_eq!(request.defer().accept(&accept, &mut Vec::new()), accepted);
    }
}

/// The subprotocols. `None`: they are not up to a hundred different tokens.
fn protocols(case: &Case) -> Option<Vec<&str>> {
    let elements =
        case.protocols.iter().flat_map(|value| value.split(',')).map(|element| element.trim_matches([' ', '\t']));
    let elements: Vec<_> = elements.filter(|element| !element.is_empty()).collect();
    let is_good = |(at, element): (usize, &&str)| is_token(element.as_bytes()) && !elements[..at].contains(element);
    let is_void = elements.is_empty() && !case.protocols.is_empty();
    (!is_void && elements.len() <= 100 && elements.iter().enumerate().all(is_good)).then_some(elements)
}

/// What a client makes of them.
fn check_response(case: &Case) {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{}\r\n",
        lines(case)
    );
    let uri = Uri::parse("ws://example.com").expect("it is one");
    let request = ClientRequest::new(&uri).protocols(&OFFERED).compression(&case.policies);
    let request = request.limits(LIMITS);
    let mut handshake = request.start(*b"the sample nonce", &mut Vec::new()).expect("it is good");
    let receive = || borrows_at_most(head_memory(head.as_bytes(), LIMITS), || handshake.receive(head.as_bytes()));
    let progress = is_linear(HEAD, head.len(), receive);
    let (protocols, extensions) = (trimmed(&case.protocols), trimmed(&case.extensions));
    let got = match progress {
        ResponseProgress::Accepted(response) => Ok(response.negotiated().compression()),
        ResponseProgress::Failed(error) => Err(error),
        progress => panic!("{progress:?} of a whole response"),
    };
    assert_eq!(got, naive::chosen(&protocols, &extensions, &OFFERED, &case.policies));
}
