//! The request sent, the response checked (RFC 6455, section 4.1).

use sansocket::handshake::{
    ClientHandshake, ClientRequest, ClientRequestError, HeadLimits, Response, ResponseError, ResponseProgress, Uri,
};
use sansocket::{Negotiated, SliceOutput};

use super::{ACCEPT, BAD_HEADERS, KEY, Lines, NONCE};

fn start(out: &mut Vec<u8>) -> ClientHandshake<'static> {
    ClientRequest::new(&Uri::parse("ws://example.com/chat").unwrap())
        .protocols(&["chat", "superchat"])
        .start(NONCE, out)
        .unwrap()
}

/// What came of the response's bytes, given at once and byte for byte.
#[track_caller]
fn fails(text: impl AsRef<[u8]>, error: ResponseError) {
    let text = text.as_ref();
    let found = |progress: ResponseProgress<'_>| match progress {
        ResponseProgress::Failed(error) => Some(error),
        _ => None,
    };
    let mut handshake = start(&mut Vec::new());
    assert_eq!(found(handshake.receive(text)), Some(error), "{:?}", String::from_utf8_lossy(text));
    let good = Lines::response().text();
    assert_eq!(found(handshake.receive(good.as_bytes())), Some(error), "a failure is final");
    let mut handshake = start(&mut Vec::new());
    let each = (0..=text.len()).find_map(|end| found(handshake.receive(&text[..end])));
    assert_eq!(each, Some(error), "byte for byte: {:?}", String::from_utf8_lossy(text));
}

#[track_caller]
fn accepted<'b>(handshake: &mut ClientHandshake<'_>, bytes: &'b [u8]) -> Response<'b> {
    match handshake.receive(bytes) {
        ResponseProgress::Accepted(response) => response,
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn rfc6455_4_1_the_requests_bytes() {
    let uri = Uri::parse("ws://example.com:9001/chat?x=1").unwrap();
    let mut out = Vec::new();
    ClientRequest::new(&uri)
        .origin("http://example.com")
        .protocols(&["chat", "superchat"])
        .headers(&[("Cookie", "a=b"), ("X-Empty", "")])
        .start(NONCE, &mut out)
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    assert_eq!(line, "GET /chat?x=1 HTTP/1.1");
    let mut headers: Vec<_> = rest.strip_suffix("\r\n\r\n").unwrap().split("\r\n").collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "Connection: Upgrade",
            "Cookie: a=b",
            "Host: example.com:9001",
            "Origin: http://example.com",
            &format!("Sec-WebSocket-Key: {KEY}"),
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
            "X-Empty: ",
        ]
    );
    let mut out = Vec::new();
    ClientRequest::new(&Uri::parse("wss://example.com").unwrap()).start(NONCE, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: example.com\r\n"), "{text}");
    assert!(!text.contains("Origin") && !text.contains("Protocol"));
}

#[test]
fn rfc6455_4_1_a_request_that_must_not_be_sent_is_not_written() {
    let uri = Uri::parse("ws://example.com/").unwrap();
    let check = |request: ClientRequest<'_>, error| {
        let mut out = Vec::new();
        assert_eq!(request.start(NONCE, &mut out).err(), Some(error), "{request:?}");
        assert_eq!(out, b"");
    };
    for protocols in [&["a b"][..], &[""], &["a", "b", "a"], &["a,b"], &["a\r\nX: y"], &["\u{e4}"]] {
        check(ClientRequest::new(&uri).protocols(protocols), ClientRequestError::InvalidProtocol);
    }
    for origin in ["", "example.com", "http://", "http://a/b", "http://a\r\nX: y", " http://a", "http://a b"] {
        check(ClientRequest::new(&uri).origin(origin), ClientRequestError::InvalidOrigin);
    }
    for &(name, value, reserved) in BAD_HEADERS {
        let error = if reserved { ClientRequestError::ReservedHeader } else { ClientRequestError::InvalidHeader };
        check(ClientRequest::new(&uri).headers(&[("X-Good", "y"), (name, value)]), error);
    }
    for name in ["Host", "host", "Origin", "Sec-WebSocket-Key"] {
        check(ClientRequest::new(&uri).headers(&[(name, "x")]), ClientRequestError::ReservedHeader);
    }
    assert!(ClientRequest::new(&uri).origin("null").start(NONCE, &mut Vec::new()).is_ok());
}

#[test]
fn a_request_without_room_writes_nothing() {
    let uri = Uri::parse("ws://example.com/").unwrap();
    let mut whole = Vec::new();
    ClientRequest::new(&uri).start(NONCE, &mut whole).unwrap();
    for (room, error) in [
        (0, Some(ClientRequestError::NoRoom)),
        (whole.len() - 1, Some(ClientRequestError::NoRoom)),
        (whole.len(), None),
    ] {
        let mut memory = vec![0; room];
        let mut out = SliceOutput::new(&mut memory);
        assert_eq!(ClientRequest::new(&uri).start(NONCE, &mut out).err(), error);
        assert_eq!(out.bytes().len(), if error.is_some() { 0 } else { room });
    }
}

#[test]
fn rfc6455_4_1_a_good_response_split_at_every_byte() {
    let text = Lines::response().with("Sec-WebSocket-Protocol", "superchat").with("X", "y").text();
    let received = format!("{text}\u{1}frames");
    let mut handshake = start(&mut Vec::new());
    for end in 0..text.len() {
        assert!(matches!(handshake.receive(&received.as_bytes()[..end]), ResponseProgress::Incomplete), "{end}");
    }
    let response = accepted(&mut handshake, received.as_bytes());
    assert_eq!((response.status(), response.reason()), (101, "Switching Protocols"));
    assert_eq!((response.protocol(), response.head_len()), (Some("superchat"), text.len()));
    assert_eq!((response.header("x"), response.headers().count()), (Some(&b"y"[..]), 5));
    assert_eq!(response.negotiated(), Negotiated::default());
    for cut in 0..text.len() {
        let mut handshake = start(&mut Vec::new());
        assert!(matches!(handshake.receive(&received.as_bytes()[..cut]), ResponseProgress::Incomplete));
        assert_eq!(accepted(&mut handshake, received.as_bytes()).head_len(), text.len());
    }
}

#[test]
fn rfc6455_4_1_what_a_response_may_vary_in() {
    for lines in [
        Lines::response().set("Upgrade", "WebSocket"),
        Lines::response().set("Connection", "upgrade"),
        Lines::response().set("Connection", "keep-alive, Upgrade"),
        Lines::response().set("Sec-WebSocket-Accept", &format!("  {ACCEPT}\t")),
        Lines::response().start("HTTP/1.1 101 "),
        Lines::response().start("HTTP/1.1 101 Whatever they say"),
        Lines::response().with("Sec-WebSocket-Extensions", ""),
    ] {
        let text = lines.text();
        accepted(&mut start(&mut Vec::new()), text.as_bytes());
        let lower = text.to_ascii_lowercase().replace("http", "HTTP").replace(&ACCEPT.to_ascii_lowercase(), ACCEPT);
        accepted(&mut start(&mut Vec::new()), lower.as_bytes());
    }
}

#[test]
fn rfc6455_4_1_the_response_upgrades_to_websocket_alone() {
    fails(Lines::response().without("Upgrade").text(), ResponseError::Upgrade);
    for value in ["", "h2c", "websocket, h2c", "h2c, websocket", "websockets"] {
        fails(Lines::response().set("Upgrade", value).text(), ResponseError::Upgrade);
    }
    fails(Lines::response().with("Upgrade", "h2c").text(), ResponseError::Upgrade);
}

#[test]
fn rfc6455_4_1_the_responses_connection_includes_upgrade() {
    fails(Lines::response().without("Connection").text(), ResponseError::Connection);
    for value in ["", "close", "Upgrades"] {
        fails(Lines::response().set("Connection", value).text(), ResponseError::Connection);
    }
}

#[test]
fn rfc6455_4_1_the_accept_value_is_this_requests() {
    fails(Lines::response().without("Sec-WebSocket-Accept").text(), ResponseError::Accept);
    fails(Lines::response().with("Sec-WebSocket-Accept", ACCEPT).text(), ResponseError::Accept);
    for value in ["", KEY, "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &ACCEPT[..27], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="] {
        fails(Lines::response().set("Sec-WebSocket-Accept", value).text(), ResponseError::Accept);
    }
}

#[test]
fn rfc6455_4_1_no_extension_that_was_not_asked_for() {
    fails(Lines::response().with("Sec-WebSocket-Extensions", "permessage-deflate").text(), ResponseError::Extension);
    fails(Lines::response().with("Sec-WebSocket-Extensions", "foo; a=\"b").text(), ResponseError::MalformedExtensions);
    assert_eq!(ResponseError::MalformedExtensions.section(), "9.1");
}

#[test]
fn rfc6455_4_1_no_subprotocol_that_was_not_asked_for() {
    for value in ["other", "Chat", "chat, superchat", ""] {
        fails(Lines::response().with("Sec-WebSocket-Protocol", value).text(), ResponseError::Protocol);
    }
    let twice = Lines::response().with("Sec-WebSocket-Protocol", "chat").with("Sec-WebSocket-Protocol", "chat");
    fails(twice.text(), ResponseError::Protocol);
    let text = Lines::response().text();
    assert_eq!(accepted(&mut start(&mut Vec::new()), text.as_bytes()).protocol(), None, "a server need not choose");
}

#[test]
fn rfc6455_4_1_an_owned_handshake_checks_what_was_offered() {
    for (value, good) in [("chat", true), ("superchat", true), ("other", false), ("Chat", false), ("", false)] {
        let text = Lines::response().with("Sec-WebSocket-Protocol", value).text();
        for cut in [0, 20, text.len() - 1] {
            let mut handshake = start(&mut Vec::new());
            assert!(matches!(handshake.receive(&text.as_bytes()[..cut]), ResponseProgress::Incomplete));
            match handshake.into_owned().into_owned().receive(text.as_bytes()) {
                ResponseProgress::Accepted(response) if good => assert_eq!(response.protocol(), Some(value)),
                ResponseProgress::Failed(ResponseError::Protocol) if !good => {}
                other => panic!("{value:?}: {other:?}"),
            }
        }
    }
    let mut handshake = start(&mut Vec::new());
    assert_eq!(handshake.receive_eof(), ResponseError::Incomplete);
    let good = Lines::response().text();
    let progress = handshake.into_owned().receive(good.as_bytes()).clone();
    assert!(matches!(progress, ResponseProgress::Failed(ResponseError::Incomplete)), "{progress:?}");
}

#[test]
fn rfc6455_4_1_a_response_that_is_not_http_1_1_fails() {
    for text in ["\x16\x03", "SSH-2.0-OpenSSH\r\n", "220 mail\r\n", "HTTP/1.1 x\r\n", "HTTP/1.1 1010 x\r\n", "\n"] {
        fails(text, ResponseError::Malformed);
    }
    for text in ["HTTP/2 101 x\r\n", "HTTP/1.2 101 x\r\n", "HTTP/1.0 101 x\r\n"] {
        fails(text, ResponseError::HttpVersion);
    }
    fails(Lines::response().text().replace("\r\n", "\n"), ResponseError::Malformed);
    fails(Lines::response().text().replace("Upgrade:", "Upgrade :"), ResponseError::Malformed);
    fails(Lines::response().text().replace("websocket\r\n", "websocket\r\n fold\r\n"), ResponseError::Malformed);
    fails(Lines::response().start("HTTP/1.0 101 Switching Protocols").text(), ResponseError::HttpVersion);
    fails(Lines::response().start("HTTP/1.0 200 OK").text(), ResponseError::HttpVersion);
}

#[test]
fn rfc6455_10_4_the_responses_limits() {
    let text = Lines::response().text();
    let uri = Uri::parse("ws://example.com/chat").unwrap();
    let receive = |limits, text: &str| {
        let mut handshake = ClientRequest::new(&uri).limits(limits).start(NONCE, &mut Vec::new()).unwrap();
        match handshake.receive(text.as_bytes()) {
            ResponseProgress::Accepted(_) => Ok(()),
            ResponseProgress::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    for (bytes, expected) in [(text.len(), Ok(())), (text.len() - 1, Err(ResponseError::HeadTooLarge))] {
        assert_eq!(receive(HeadLimits { bytes, ..HeadLimits::DEFAULT }, &text), expected);
    }
    for (headers, expected) in [(3, Ok(())), (2, Err(ResponseError::TooManyHeaders))] {
        assert_eq!(receive(HeadLimits { headers, ..HeadLimits::DEFAULT }, &text), expected);
    }
    // Interim responses count: a server cannot keep a client for ever.
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let both = format!("{interim}{text}");
    for (bytes, expected) in [(both.len(), Ok(())), (both.len() - 1, Err(ResponseError::HeadTooLarge))] {
        assert_eq!(receive(HeadLimits { bytes, ..HeadLimits::DEFAULT }, &both), expected);
    }
    assert_eq!(receive(HeadLimits::DEFAULT, &interim.repeat(1000)), Err(ResponseError::HeadTooLarge));
}

#[test]
fn rfc9110_15_2_interim_responses_are_skipped_split_at_every_byte() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nUpgrade: h2c\r\nLink: </x>\r\n\r\n";
    let whole = format!("{interim}{}behind", Lines::response().text());
    let end = whole.len() - "behind".len();
    let mut each = start(&mut Vec::new());
    for cut in 0..end {
        assert!(matches!(each.receive(&whole.as_bytes()[..cut]), ResponseProgress::Incomplete), "{cut}");
        let mut handshake = start(&mut Vec::new());
        assert!(matches!(handshake.receive(&whole.as_bytes()[..cut]), ResponseProgress::Incomplete), "{cut}");
        let response = accepted(&mut handshake, whole.as_bytes());
        assert_eq!((response.head_len(), response.headers().count()), (end, 3));
    }
    assert_eq!(accepted(&mut each, whole.as_bytes()).head_len(), end);
}

#[test]
fn rfc6455_4_1_a_refusal_is_told_with_its_status_headers_and_the_start_of_its_body() {
    for (line, status, reason) in [
        ("HTTP/1.1 401 Unauthorized", 401, "Unauthorized"),
        ("HTTP/1.1 302 Found", 302, "Found"),
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.1 503 ", 503, ""),
    ] {
        for interim in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let head = format!("{interim}{line}\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\n");
            let received = format!("{head}body");
            match start(&mut Vec::new()).receive(received.as_bytes()) {
                ResponseProgress::Refused(response) => {
                    assert_eq!((response.status(), response.reason()), (status, reason));
                    assert_eq!(response.header("www-authenticate"), Some(&b"Basic"[..]));
                    assert_eq!(&received[response.head_len()..], "body");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_bad_response_fails_alike_however_it_is_split() {
    let text = "HTTP/1.0 101 x\r\nA: b\nC: d\r\n\r\n";
    let failed = |progress: ResponseProgress<'_>| match progress {
        ResponseProgress::Failed(error) => Some(error),
        _ => None,
    };
    let whole = failed(start(&mut Vec::new()).receive(text.as_bytes()));
    let mut handshake = start(&mut Vec::new());
    let each = (0..=text.len()).find_map(|end| failed(handshake.receive(&text.as_bytes()[..end])));
    assert_eq!(whole, each);
}

#[test]
fn a_request_that_cannot_be_sent_says_why() {
    for (error, word) in [
        (ClientRequestError::InvalidProtocol, "subprotocols"),
        (ClientRequestError::InvalidOrigin, "origin"),
        (ClientRequestError::InvalidHeader, "characters"),
        (ClientRequestError::ReservedHeader, "by itself"),
        (ClientRequestError::NoRoom, "room"),
    ] {
        assert!(error.to_string().contains(word), "{error:?}: {error}");
    }
}

#[test]
fn a_response_that_fails_says_why_and_by_which_section() {
    for (error, word, section) in [
        (ResponseError::Incomplete, "ends", "4.1"),
        (ResponseError::Malformed, "well-formed", "4.1"),
        (ResponseError::HeadTooLarge, "too large", "10.4"),
        (ResponseError::TooManyHeaders, "too many headers", "10.4"),
        (ResponseError::HttpVersion, "version", "4.1"),
        (ResponseError::Status, "status", "4.1"),
        (ResponseError::Upgrade, "Upgrade header", "4.1"),
        (ResponseError::Connection, "Connection header", "4.1"),
        (ResponseError::Accept, "Sec-WebSocket-Accept", "4.1"),
        (ResponseError::Extension, "extension", "4.1"),
        (ResponseError::MalformedExtensions, "Sec-WebSocket-Extensions", "9.1"),
        (ResponseError::Protocol, "subprotocol", "4.1"),
    ] {
        assert_eq!(error.section(), section, "{error:?}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(section), "{error:?}: {text}");
    }
}
