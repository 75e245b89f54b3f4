//! Accepting and rejecting (RFC 6455, section 4.2.2).

use sansocket::handshake::{Accept, AnswerError, Reject, RequestError, RequestProgress, ServerHandshake};
use sansocket::{Connection, Event, Limits, Server, SliceOutput};

use super::{ACCEPT, BAD_HEADERS, Lines, parse_answer, values};

/// Gives a good request with these headers to `use_request`, and to it again as a pending answer.
fn with_request<T: PartialEq + std::fmt::Debug>(
    lines: Lines,
    answer: impl Fn(&dyn Fn(Result<&Accept<'_>, &Reject<'_>>, &mut Vec<u8>) -> Result<(), AnswerError>) -> T,
) -> T {
    let text = lines.text();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut Vec::new()) else { panic!() };
    let pending = request.defer();
    let now = answer(&|how, out| match how {
        Ok(accept) => request.accept(accept, out).map(drop),
        Err(reject) => request.reject(reject, out),
    });
    let later = answer(&|how, out| match how {
        Ok(accept) => pending.accept(accept, out).map(drop),
        Err(reject) => pending.reject(reject, out),
    });
    assert_eq!(now, later, "a pending answer gives the same bytes");
    now
}

#[test]
fn rfc6455_4_2_2_accept_with_a_protocol_and_headers() {
    let lines = Lines::request().with("Sec-WebSocket-Protocol", "chat, superchat");
    let headers = [("Set-Cookie", "a=b"), ("X-Empty", ""), ("x-tab", "a\tb")];
    let out = with_request(lines, |answer| {
        let mut out = b"before".to_vec();
        assert_eq!(answer(Ok(&Accept::new().protocol("superchat").headers(&headers)), &mut out), Ok(()));
        out
    });
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        format!(
            "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: superchat\r\n\
             Set-Cookie: a=b\r\nX-Empty: \r\nx-tab: a\tb\r\n\r\n"
        )
    );
}

#[test]
fn rfc6455_4_2_2_a_protocol_is_one_of_those_offered() {
    for (offered, chosen) in
        [(None, "chat"), (Some("chat"), "Chat"), (Some("chat, superchat"), "chat, superchat"), (Some("a"), "")]
    {
        let lines = match offered {
            Some(offered) => Lines::request().with("Sec-WebSocket-Protocol", offered),
            None => Lines::request(),
        };
        with_request(lines, |answer| {
            let mut out = Vec::new();
            assert_eq!(answer(Ok(&Accept::new().protocol(chosen)), &mut out), Err(AnswerError::ProtocolNotOffered));
            assert_eq!(out, b"");
        });
    }
}

#[test]
fn rfc9110_5_5_headers_that_would_break_the_head_are_refused_in_name_and_value() {
    for &(name, value, reserved) in BAD_HEADERS {
        let error = if reserved { AnswerError::ReservedHeader } else { AnswerError::InvalidHeader };
        let headers = [("X-Good", "good"), (name, value)];
        with_request(Lines::request(), |answer| {
            let mut out = Vec::new();
            assert_eq!(answer(Ok(&Accept::new().headers(&headers)), &mut out), Err(error), "{name:?}: {value:?}");
            assert_eq!(answer(Err(&Reject::new(403).headers(&headers)), &mut out), Err(error), "{name:?}: {value:?}");
            assert_eq!(out, b"");
        });
    }
}

#[test]
fn rfc6455_4_2_2_reject_with_status_headers_and_body() {
    let out = with_request(Lines::request(), |answer| {
        let mut out = Vec::new();
        let headers = [("WWW-Authenticate", "Basic"), ("Content-Type", "text/html")];
        assert_eq!(answer(Err(&Reject::new(401).headers(&headers).body(b"<p>who?")), &mut out), Ok(()));
        out
    });
    let (status, headers, body) = parse_answer(&out);
    assert_eq!((status, body.as_str()), (401, "<p>who?"));
    assert_eq!(values(&headers, "Connection"), ["close"]);
    assert_eq!(values(&headers, "Content-Length"), ["7"]);
    assert_eq!(values(&headers, "WWW-Authenticate"), ["Basic"]);
    assert_eq!(values(&headers, "Content-Type"), ["text/html"]);
}

#[test]
fn rfc6455_4_2_2_a_rejection_has_a_status_of_300_to_599() {
    with_request(Lines::request(), |answer| {
        for status in [0, 1, 99, 100, 101, 200, 204, 299, 600, 999, 65535] {
            let mut out = Vec::new();
            assert_eq!(answer(Err(&Reject::new(status)), &mut out), Err(AnswerError::InvalidStatus), "{status}");
            assert_eq!(out, b"");
        }
        for status in [300, 302, 400, 404, 418, 499, 503, 599] {
            let mut out = Vec::new();
            assert_eq!(answer(Err(&Reject::new(status)), &mut out), Ok(()), "{status}");
            let (found, headers, body) = parse_answer(&out);
            assert_eq!((found, body.as_str()), (status, ""));
            assert_eq!(
                (values(&headers, "Connection"), values(&headers, "Content-Length")),
                (vec!["close"], vec!["0"])
            );
        }
    });
}

#[test]
fn rfc9110_15_a_status_comes_with_its_phrase() {
    let phrase = |out: &[u8]| {
        let line = out.split(|byte| *byte == b'\r').next().unwrap();
        String::from_utf8(line[b"HTTP/1.1 400 ".len()..].to_vec()).unwrap()
    };
    // 429 and 431 are RFC 6585's.
    for (status, expected) in [
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (408, "Request Timeout"),
        (410, "Gone"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (505, "HTTP Version Not Supported"),
        // A status need not have one.
        (599, ""),
    ] {
        let out = with_request(Lines::request(), |answer| {
            let mut out = Vec::new();
            answer(Err(&Reject::new(status)), &mut out).unwrap();
            out
        });
        assert_eq!(phrase(&out), expected, "{status}");
    }
    for &error in RequestError::ALL {
        let mut out = Vec::new();
        ServerHandshake::new().refuse(error, &mut out);
        assert_ne!(phrase(&out), "", "{error:?}");
    }
}

#[test]
fn an_answer_without_room_writes_nothing() {
    let text = Lines::request().with("Sec-WebSocket-Protocol", "chat").text();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut Vec::new()) else { panic!() };
    let accept = Accept::new().protocol("chat").headers(&[("X", "y")]);
    let reject = Reject::new(404).body(b"none");
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    request.accept(&accept, &mut accepted).unwrap();
    request.reject(&reject, &mut rejected).unwrap();
    for (needed, is_accept) in [(accepted.len(), true), (rejected.len(), false)] {
        for (room, expected) in
            [(0, Err(AnswerError::NoRoom)), (needed - 1, Err(AnswerError::NoRoom)), (needed, Ok(()))]
        {
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            let result = match is_accept {
                true => request.accept(&accept, &mut out).map(drop),
                false => request.reject(&reject, &mut out),
            };
            assert_eq!(result, expected);
            assert_eq!(out.bytes().len(), if expected.is_ok() { needed } else { 0 });
        }
    }
}

#[test]
fn an_answer_that_cannot_be_given_says_why() {
    for (error, word) in [
        (AnswerError::ProtocolNotOffered, "subprotocol"),
        (AnswerError::InvalidHeader, "characters"),
        (AnswerError::ReservedHeader, "by itself"),
        (AnswerError::InvalidStatus, "status"),
        (AnswerError::NoRoom, "room"),
    ] {
        assert!(error.to_string().contains(word), "{error:?}: {error}");
    }
}

#[test]
fn rfc6455_4_2_2_the_first_frames_may_come_behind_the_head() {
    let text = Lines::request().text();
    let mut received = text.clone().into_bytes();
    received.extend([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    let mut out = Vec::new();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(&received, &mut out) else { panic!() };
    let negotiated = request.accept(&Accept::new(), &mut out).unwrap();
    let start = request.head_len();
    assert_eq!(start, text.len());
    let mut connection = Connection::new(Server, negotiated, Limits::DEFAULT);
    let mut input = &mut received[start..];
    let event = connection.receive(&mut input, &mut out);
    assert!(matches!(event, Some(Event::Text(text)) if text.as_str() == "Hello"));
}
