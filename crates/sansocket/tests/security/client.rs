//! The client: requests that carry more than they should, responses that lack something, masking keys.

use std::cell::RefCell;

use sansocket::handshake::{
    ClientHandshake, ClientRequest, ClientRequestError, HeadLimits, ResponseError, ResponseProgress, Uri, UriError,
};
use sansocket::{Client, Connection, Kind, Limits, Negotiated, SendError, SliceOutput};
use sansocket_testkit::{Side, split_frames};

use super::SWITCH;

fn start() -> ClientHandshake<'static> {
    let uri = Uri::parse("ws://example.com/").unwrap();
    ClientRequest::new(&uri).protocols(&["chat"]).start(*b"the sample nonce", &mut Vec::new()).unwrap()
}

/// What a client makes of a 101 with these header lines.
fn switched(lines: &str) -> Result<(), ResponseError> {
    match start().receive(format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n").as_bytes()) {
        ResponseProgress::Accepted(_) => Ok(()),
        ResponseProgress::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_no_uri(text: &str, error: UriError) {
    assert_eq!((Uri::parse(text).err(), Uri::from_url(text).err()), (Some(error), Some(error)), "{text:?}");
}

/// CVE-2026-1527 (undici): what a program gets from elsewhere became headers of a request.
#[test]
fn cve_2026_1527_a_request_carries_no_header_that_was_smuggled_into_another_part() {
    let uri = Uri::parse("ws://example.com/").unwrap();
    let start = |request: ClientRequest<'_>| {
        let mut out = Vec::new();
        let started = request.start([0; 16], &mut out);
        assert!(started.is_ok() || out.is_empty(), "nothing was written");
        started.map(drop)
    };
    for byte in ["\r", "\n", "\0", "\r\nX: y", "\u{7f}"] {
        for around in [format!("a{byte}b"), byte.to_owned(), format!("{byte}a"), format!("a{byte}")] {
            let request = ClientRequest::new(&uri);
            assert_eq!(start(request.headers(&[("X", &around)])), Err(ClientRequestError::InvalidHeader), "{around:?}");
            assert_eq!(start(request.headers(&[(&around, "y")])), Err(ClientRequestError::InvalidHeader), "{around:?}");
            assert_eq!(start(request.protocols(&[&around])), Err(ClientRequestError::InvalidProtocol), "{around:?}");
            assert_eq!(start(request.origin(&around)), Err(ClientRequestError::InvalidOrigin), "{around:?}");
            let origin = format!("http://{around}");
            assert_eq!(start(request.origin(&origin)), Err(ClientRequestError::InvalidOrigin), "{around:?}");
            is_no_uri(&format!("ws://{around}/"), UriError::Host);
            is_no_uri(&format!("ws://a:80{around}/"), UriError::Host);
            is_no_uri(&format!("ws://a/{around}"), UriError::Target);
            is_no_uri(&format!("ws://a?{around}"), UriError::Target);
        }
    }
    // A space ends a target, a name and a token, but may be inside of a value.
    let request = ClientRequest::new(&uri);
    assert_eq!(start(request.headers(&[("X Y", "z")])), Err(ClientRequestError::InvalidHeader));
    assert_eq!(start(request.protocols(&["a b"])), Err(ClientRequestError::InvalidProtocol));
    assert_eq!(start(request.origin("http://a b")), Err(ClientRequestError::InvalidOrigin));
    assert_eq!(start(request.headers(&[("X", "y z")])), Ok(()));
    is_no_uri("ws://a b/", UriError::Host);
    is_no_uri("ws://a/ HTTP/1.1", UriError::Target);
}

/// Netty #12606: any 101 was good.
#[test]
fn netty_12606_a_101_without_what_makes_it_one_fails() {
    assert_eq!(switched(SWITCH), Ok(()));
    for (line, error) in [
        ("Upgrade: websocket\r\n", ResponseError::Upgrade),
        ("Connection: Upgrade\r\n", ResponseError::Connection),
        ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ResponseError::Accept),
    ] {
        assert!(SWITCH.contains(line));
        assert_eq!(switched(&SWITCH.replace(line, "")), Err(error), "without {line}");
    }
    let connection = |tokens: &str| switched(&SWITCH.replace("Connection: Upgrade", tokens));
    for good in ["Connection: keep-alive, Upgrade", "Connection: a\r\nConnection: upgrade", "CONNECTION:,UPGRADE ,"] {
        assert_eq!(connection(good), Ok(()), "{good}");
    }
    for bad in ["Connection: Upgraded", "Connection: keep-alive", "Connection: \"Upgrade\"", "Connection: Up grade"] {
        assert_eq!(connection(bad), Err(ResponseError::Connection), "{bad}");
    }
    for bad in ["h2c", "websocket, h2c", "websocket/13", "web socket", "", "websocket\r\nUpgrade: websocket"] {
        let lines = SWITCH.replace("Upgrade: websocket", &format!("Upgrade: {bad}"));
        assert_eq!(switched(&lines), Err(ResponseError::Upgrade), "{bad:?}");
    }
}

/// curl (its own client for WebSocket), tornado #2391, websocketpp #1191: what the server chose was not looked at.
#[test]
fn curl_ws_what_a_server_answers_is_held_against_what_was_asked() {
    for accept in ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", "dGhlIHNhbXBsZSBub25jZQ=="] {
        let lines = SWITCH.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept);
        assert_eq!(switched(&lines), Err(ResponseError::Accept), "{accept}");
    }
    let twice = format!("{SWITCH}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assert_eq!(switched(&twice), Err(ResponseError::Accept));
    for (line, error) in [
        ("Sec-WebSocket-Extensions: permessage-deflate", ResponseError::Extension),
        ("Sec-WebSocket-Extensions: x-unheard-of", ResponseError::Extension),
        ("Sec-WebSocket-Protocol: other", ResponseError::Protocol),
        ("Sec-WebSocket-Protocol: chat, chat", ResponseError::Protocol),
        ("Sec-WebSocket-Protocol: Chat", ResponseError::Protocol),
    ] {
        assert_eq!(switched(&format!("{SWITCH}{line}\r\n")), Err(error), "{line}");
    }
    assert_eq!(switched(&format!("{SWITCH}Sec-WebSocket-Protocol: chat\r\n")), Ok(()));
}

/// CVE-2026-54465 (websocket-driver): headers without end, from a server, and answers that are none without end.
#[test]
fn cve_2026_54465_a_response_without_end_stops_at_the_limits() {
    let status = "HTTP/1.1 101 Switching Protocols\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    for (text, error) in [
        (format!("{status}{}", "A: b\r\n".repeat(100_000)), ResponseError::TooManyHeaders),
        (format!("{status}A: {}", "b".repeat(100_000)), ResponseError::HeadTooLarge),
        (format!("HTTP/1.1 101 {}", "b".repeat(100_000)), ResponseError::HeadTooLarge),
        (interim.repeat(10_000), ResponseError::HeadTooLarge),
    ] {
        let mut handshake = start();
        let mut failed = None;
        for end in (1..=text.len()).step_by(7) {
            match handshake.receive(&text.as_bytes()[..end]) {
                ResponseProgress::Incomplete => assert!(failed.is_none() && end <= HeadLimits::DEFAULT.bytes, "{end}"),
                ResponseProgress::Failed(found) => failed = Some(found),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(failed, Some(error), "{}", &text[..40]);
    }
}

/// CVE-2025-10148 (curl): one masking key for a whole connection, which whoever sees it can use to write what looks like another protocol.
#[test]
fn cve_2025_10148_each_frame_has_a_key_of_its_own_in_the_order_they_are_drawn() {
    let mut drawn = 0_u32;
    let keys = || {
        drawn += 1;
        drawn.wrapping_mul(0x9E37_79B1).to_be_bytes()
    };
    let mut connection = Connection::new(Client::new(keys), Negotiated::default(), Limits::default());
    let mut out = Vec::new();
    for at in 0..10_000 {
        match at % 4 {
            0 => connection.send_text("some text", &mut out),
            1 => connection.send_part(Kind::Binary, b"first", false, &mut out),
            2 => connection.ping(b"ping", &mut out),
            _ => connection.send_part(Kind::Binary, b"last", true, &mut out),
        }
        .unwrap();
    }
    let found: Vec<_> = split_frames(Side::Client, &out).iter().map(|frame| frame.key().unwrap()).collect();
    let expected: Vec<_> = (1..=10_000_u32).map(|at| at.wrapping_mul(0x9E37_79B1).to_be_bytes()).collect();
    assert_eq!(found, expected);
}

/// The same with the keys that one gets without asking.
#[cfg(feature = "rand")]
#[test]
fn cve_2025_10148_the_keys_of_random_keys_differ() {
    use sansocket::RandomKeys;

    let mut connection = Connection::new(Client::new(RandomKeys), Negotiated::default(), Limits::default());
    let mut out = Vec::new();
    (0..10_000).for_each(|_| connection.send_text("some text", &mut out).unwrap());
    let frames = split_frames(Side::Client, &out);
    let keys: std::collections::HashSet<_> = frames.iter().map(|frame| frame.key().unwrap()).collect();
    // Of 10,000 keys of 32 bits, a hundredth of a pair is the same on average: more than 3 of them once in 10⁸ runs.
    assert!(keys.len() >= 10_000 - 3, "{}", keys.len());
}

/// "Talking to Yourself for Fun and Profit": who chooses the payload must not know the key. It is drawn once what is sent is fixed.
#[test]
fn talking_to_yourself_a_key_is_drawn_for_a_frame_that_is_sent_and_for_no_other() {
    let drawn = RefCell::new(0_u8);
    let keys = || {
        *drawn.borrow_mut() += 1;
        [*drawn.borrow(); 4]
    };
    let mut connection = Connection::new(Client::new(keys), Negotiated::default(), Limits::default());
    let mut none = SliceOutput::new(&mut []);
    assert_eq!(connection.send_text("GET / HTTP/1.1\r\n\r\n", &mut none), Err(SendError::NoRoom));
    assert_eq!(connection.send_part(Kind::Text, b"\xFF", true, &mut Vec::new()), Err(SendError::InvalidUtf8));
    assert_eq!(connection.ping(&[0; 126], &mut Vec::new()), Err(SendError::ControlTooLong));
    assert_eq!(connection.send_header(Kind::Text, 5, true, &mut Vec::new()), Err(SendError::MustMask));
    assert_eq!(*drawn.borrow(), 0, "no key was drawn for what was not sent");
    let mut out = Vec::new();
    connection.send_text("GET / HTTP/1.1\r\n\r\n", &mut out).unwrap();
    assert_eq!(*drawn.borrow(), 1);
    assert!(!out.windows(4).any(|bytes| bytes == b"GET "), "it does not look like what was sent");
    assert!(!format!("{connection:?}").contains("[1, 1, 1, 1]"), "nor can a key be found out");
}
