//! Which requests are good, by a naive reader, and what an answer to one is.

use sansocket::deflate::Policy;
use sansocket::handshake::{
    Accept, AnswerError, Authority, Origin, OriginPolicy, Reject, Request, RequestError, RequestProgress,
};

use super::Case;
use super::line::{Outcome, Progress, handshake};
use crate::head::{Naive, is_token};
use crate::invariants::{HEAD, Work};
use crate::lists::naive::Extension;

/// Holds the outcome against the naive reader.
pub(super) fn check(case: &Case, outcome: &Outcome) {
    let head = Naive::read(&case.bytes);
    let good = head.as_ref().filter(|head| is_within(case, head) && is_good(head, case.origins));
    match (&outcome.progress, good) {
        (Progress::Request { head_len, .. }, Some(head)) => {
            assert_eq!(*head_len, head.len);
            answer(case);
        }
        (Progress::Request { .. }, None) => panic!("a bad request was let in"),
        (Progress::Refused(error), None) => check_class(case, *error),
        (_, Some(head)) => panic!("a good request was not let in: {head:?}"),
        (Progress::Incomplete, None) => {
            assert!(case.bytes.len() < case.limits.bytes, "nothing came of a head too large");
        }
    }
}

/// Whether the head keeps to the limits.
fn is_within(case: &Case, head: &Naive<'_>) -> bool {
    head.len <= case.limits.bytes && head.headers.len() <= case.limits.headers
}

/// Section 4.2.1, item by item.
fn is_good(head: &Naive<'_>, origins: OriginPolicy<'_>) -> bool {
    let one = |name| match head.values(name)[..] {
        [value] => std::str::from_utf8(value).ok(),
        _ => None,
    };
    let none = |name: &str| head.values(name).is_empty();
    let &[b"GET", target, b"HTTP/1.1"] = &head.start[..] else { return false };
    let Some(authority) = target_authority(target) else { return false };
    let Some(host) = one("host").and_then(Authority::parse) else { return false };
    let host = authority.unwrap_or(host);
    let protocols = head.elements("sec-websocket-protocol");
    let is_unique = |(at, protocol): (usize, &&[u8])| !protocols[..at].contains(protocol);
    let extensions = Extension::list(&head.values("sec-websocket-extensions"));
    let from = match &head.values("origin")[..] {
        [] => true,
        [origin] => is_from(origin, host, origins),
        _ => false,
    };
    (none("content-length") || one("content-length") == Some("0"))
        && none("transfer-encoding")
        && head.lists("upgrade", "websocket")
        && head.lists("connection", "upgrade")
        && one("sec-websocket-version") == Some("13")
        && one("sec-websocket-key").is_some_and(is_key)
        && (none("sec-websocket-protocol") || !protocols.is_empty())
        && protocols.len() <= 100
        && protocols.iter().all(|protocol| is_token(protocol))
        && protocols.iter().enumerate().all(is_unique)
        && extensions.is_some_and(|list| none("sec-websocket-extensions") || !list.is_empty())
        && from
}

/// The authority of a target that is an absolute URI, if it is one; `None`: it is no target.
fn target_authority(target: &[u8]) -> Option<Option<Authority<'_>>> {
    let target = std::str::from_utf8(target).ok()?;
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(None);
    }
    let (scheme, rest) = target.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    ["http", "https", "ws", "wss"].contains(&&*scheme).then_some(())?;
    Some(Some(Authority::parse(rest.split(['/', '?']).next()?)?))
}

/// 16 bytes in Base64: 22 characters, of the last of which two bits count.
fn is_key(key: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(is_good)
}

/// Section 10.2.
fn is_from(origin: &[u8], host: Authority<'_>, origins: OriginPolicy<'_>) -> bool {
    let text = std::str::from_utf8(origin).ok();
    match origins {
        OriginPolicy::Only(list) => list.iter().any(|allowed| {
            text.is_some_and(|text| {
                text == *allowed || Origin::parse(text).is_some_and(|it| Some(it) == Origin::parse(allowed))
            })
        }),
        OriginPolicy::SameOrigin { scheme } => {
            let Some(origin) = text.and_then(Origin::parse) else { return false };
            let is_ours = match scheme {
                Some(scheme) => origin.scheme().eq_ignore_ascii_case(scheme),
                None => ["http", "https"].iter().any(|scheme| origin.scheme().eq_ignore_ascii_case(scheme)),
            };
            let port = |authority: Authority<'_>| {
                authority.port().unwrap_or(if origin.scheme().eq_ignore_ascii_case("https") { 443 } else { 80 })
            };
            is_ours
                && origin.authority().host().eq_ignore_ascii_case(host.host())
                && port(origin.authority()) == port(host)
        }
        _ => true,
    }
}

/// The reasons that can be seen without a head that is whole.
fn check_class(case: &Case, error: RequestError) {
    let status = error.status();
    assert!([400, 403, 405, 426, 431, 505].contains(&status), "{error:?}");
    let lines = case.bytes.iter().filter(|&&byte| byte == b'\n').count();
    match error {
        RequestError::HeadTooLarge => assert!(case.bytes.len() >= case.limits.bytes),
        RequestError::TooManyHeaders => assert!(lines > case.limits.headers),
        RequestError::HttpVersion => {
            // The version is the third word; where that is none, say for a space in the target, the head is malformed.
            let is_another = |word: &&[u8]| word.starts_with(b"HTTP/") && *word != b"HTTP/1.1";
            assert!(Naive::read(&case.bytes).is_none_or(|it| it.start.get(2).is_some_and(is_another)));
        }
        RequestError::MethodNotAllowed => assert!(!case.bytes.trim_ascii_start().starts_with(b"GET ")),
        RequestError::Incomplete | RequestError::TimedOut => panic!("{error:?} by itself"),
        _ => {}
    }
}

/// Answers a good request in the way that the case says, now and later.
fn answer(case: &Case) {
    let mut handshake = handshake(case);
    let RequestProgress::Request(request) = handshake.receive(&case.bytes, &mut Vec::new()) else {
        panic!("it was good before")
    };
    assert!(request.is_from(case.origins));
    let last = request.protocols().last();
    let [mut now, mut later] = [Vec::new(), Vec::new()];
    if case.answer & 4 != 0 {
        let reject = Reject::new(u16::from(case.answer) * 3).headers(&[("X", "y")]).body(b"no");
        let expected =
            if (300..600).contains(&(u16::from(case.answer) * 3)) { Ok(()) } else { Err(AnswerError::InvalidStatus) };
        assert_eq!(request.reject(&reject, &mut now), expected);
        assert_eq!(request.defer().reject(&reject, &mut later), expected);
    } else {
        let mut accept = Accept::new();
        if let Some(protocol) = last.filter(|_| case.answer & 8 != 0) {
            accept = accept.protocol(protocol);
        }
        if case.answer & 16 != 0 {
            accept = accept.compression(Policy::TAKEOVER);
        }
        accept_twice(&request, &accept, &mut now, &mut later);
    }
    assert_eq!(now, later, "an answer depends on when it is given");
}

/// Accepts now and later.
fn accept_twice(request: &Request<'_>, accept: &Accept<'_>, now: &mut Vec<u8>, later: &mut Vec<u8>) {
    let work = Work::begin();
    let accepted = request.accept(accept, now);
    work.check(HEAD, request.head_len() + now.len(), 0);
    assert_eq!(request.defer().accept(accept, later), accepted);
    let accepted = accepted.expect("it chooses what was offered");
    let head = Naive::read(now).expect("an answer is a head");
    assert_eq!(head.len, now.len());
    assert_eq!(head.start[1], b"101");
    let chosen: Vec<_> = accept.chosen_protocol().map(str::as_bytes).into_iter().collect();
    assert_eq!(head.values("sec-websocket-protocol"), chosen);
    assert_eq!(head.values("sec-websocket-extensions").len(), usize::from(accepted.compression().is_some()));
    let unasked = accept.protocol("\u{1}");
    assert_eq!(request.accept(&unasked, now), Err(AnswerError::ProtocolNotOffered));
}
