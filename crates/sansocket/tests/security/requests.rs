//! What a server makes of a request.

use sansocket::handshake::{HeadLimits, RequestError, RequestProgress, ServerHandshake};

use super::{NO_LIMITS, UPGRADE, is_refused, request, serve};

/// Gives a server `text` byte for byte, and what comes of it.
fn byte_for_byte(text: &str, limits: HeadLimits) -> (Option<RequestError>, usize) {
    let (mut handshake, mut out) = (ServerHandshake::new().limits(limits), Vec::new());
    for end in 1..=text.len() {
        match handshake.receive(&text.as_bytes()[..end], &mut out) {
            RequestProgress::Incomplete => assert_eq!(out, b""),
            RequestProgress::Request(_) => return (None, end),
            RequestProgress::Refused(error) => return (Some(error), end),
        }
    }
    panic!("no end to {} bytes", text.len());
}

/// CVE-2023-43669, RUSTSEC-2023-0065 (tungstenite): the head was parsed anew with each byte. `work.rs` counts what it takes.
#[test]
fn cve_2023_43669_a_long_head_byte_for_byte_is_read_or_refused_at_the_limit() {
    let head = request(&format!("Cookie: {}\r\n", "x".repeat(64 << 10)));
    assert_eq!(byte_for_byte(&head, NO_LIMITS), (None, head.len()));
    let (refused, at) = byte_for_byte(&head, HeadLimits::DEFAULT);
    assert_eq!((refused, at), (Some(RequestError::HeadTooLarge), HeadLimits::DEFAULT.bytes));
    assert_eq!(RequestError::HeadTooLarge.status(), 431);
}

/// CVE-2024-37890 (ws): what came behind the hundredth header was not there, `Upgrade` for one.
#[test]
fn cve_2024_37890_headers_beyond_the_limit_are_refused_and_not_forgotten() {
    // `Host` and four of the handshake's own.
    let with = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}{UPGRADE}\r\n", "A: b\r\n".repeat(count - 5));
    assert_eq!(serve(with(99), HeadLimits::DEFAULT).0, Ok(()));
    assert_eq!(serve(with(100), HeadLimits::DEFAULT).0, Ok(()));
    is_refused(with(101), HeadLimits::DEFAULT, RequestError::TooManyHeaders);
    is_refused(with(2000), HeadLimits::DEFAULT, RequestError::TooManyHeaders);
    assert_eq!(serve(with(2000), NO_LIMITS).0, Ok(()));
    assert_eq!(RequestError::TooManyHeaders.status(), 431);
}

/// CVE-2021-32640 (ws): a regular expression tried all ways to split white space. `work.rs` counts what it takes.
#[test]
fn cve_2021_32640_white_space_in_a_list_of_protocols_is_refused() {
    for count in [30_000, 1_000_000] {
        let protocols = request(&format!("Sec-WebSocket-Protocol: b{}x\r\n", " ".repeat(count)));
        is_refused(protocols, NO_LIMITS, RequestError::InvalidProtocols);
    }
    assert_eq!(RequestError::InvalidProtocols.status(), 400);
}

/// CVE-2023-26103 (Deno): the same, in `Connection` and `Upgrade`. `work.rs` counts this, too.
#[test]
fn cve_2023_26103_white_space_and_commas_in_connection_are_read() {
    for filler in [" ", ",", " ,", "\t", "a,"] {
        let filler = filler.repeat(64 << 10);
        let with =
            |connection: String| request("").replace("Connection: Upgrade", &format!("Connection: {connection}"));
        assert_eq!(serve(with(format!("{filler}, Upgrade, {filler}")), NO_LIMITS).0, Ok(()));
        is_refused(with(format!("{filler}Upgrades{filler}")), NO_LIMITS, RequestError::ConnectionNotUpgrade);
        let head = request("").replace("Upgrade: websocket", &format!("Upgrade: {filler}x"));
        is_refused(head, NO_LIMITS, RequestError::NotAnUpgrade);
    }
}

/// CVE-2018-12541 (Vert.x): a body was read before the request was looked at.
#[test]
fn cve_2018_12541_a_request_that_announces_a_body_is_refused_by_its_head() {
    for line in ["Content-Length: 1000000000", "Content-Length: 1", "Transfer-Encoding: chunked", "Content-Length: x"] {
        is_refused(request(&format!("{line}\r\n")), HeadLimits::DEFAULT, RequestError::BodyNotAllowed);
    }
}

/// CVE-2026-54463 (websocket-driver): versions of before the RFC, and their frames.
#[test]
fn cve_2026_54463_versions_but_13_are_refused_with_the_one_there_is() {
    for version in ["0", "7", "8", "12", "14", "013", "+13", "13.0", "777", "13, 8", "x"] {
        let head = request("").replace("Sec-WebSocket-Version: 13", &format!("Sec-WebSocket-Version: {version}"));
        is_refused(&head, HeadLimits::DEFAULT, RequestError::UnsupportedVersion);
        let answer = String::from_utf8(serve(&head, HeadLimits::DEFAULT).1).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 426 ") && answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
            "{answer}"
        );
    }
    // Drafts 75 and 76 have no version and another key; their frames end with 0xFF or have a length without end.
    let hixie = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U\u{0}abc";
    is_refused(hixie, HeadLimits::DEFAULT, RequestError::MissingVersion);
}

/// CVE-2026-54465 (websocket-driver): headers without end. `client.rs` has the other side.
#[test]
fn cve_2026_54465_a_request_without_end_stops_at_the_limits() {
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "A: b\r\n".repeat(100_000));
    let (refused, at) = byte_for_byte(&endless, HeadLimits::DEFAULT);
    assert_eq!(refused, Some(RequestError::TooManyHeaders));
    assert_eq!(at, "GET / HTTP/1.1\r\nHost: a\r\n".len() + 100 * "A: b\r\n".len());
    for endless in ["GET /", "GET / HTTP/1.1\r\nA: ", "\r\n\r\n\r\n"] {
        let text = format!("{endless}{}", if endless.starts_with('\r') { "\r\n" } else { "a" }.repeat(100_000));
        let (refused, at) = byte_for_byte(&text, HeadLimits::DEFAULT);
        assert_eq!((refused, at), (Some(RequestError::HeadTooLarge), HeadLimits::DEFAULT.bytes), "{endless:?}");
    }
}

/// CVE-2026-61666 (websocket-driver): hosts that are none.
#[test]
fn cve_2026_61666_a_malformed_host_is_refused() {
    for host in ["[::", "a b", ":::", "", "[::1]x", "a:b", "a:99999", "@", "a@b", "a/b", "[", "]", "%", "%zz", "\u{e9}"]
    {
        let head = request("").replace("Host: example.com", &format!("Host: {host}"));
        is_refused(head, HeadLimits::DEFAULT, RequestError::InvalidHost);
    }
    is_refused(request("").replace("Host: example.com\r\n", ""), HeadLimits::DEFAULT, RequestError::InvalidHost);
    is_refused(request("Host: example.com\r\n"), HeadLimits::DEFAULT, RequestError::InvalidHost);
    assert_eq!(RequestError::InvalidHost.status(), 400);
}
