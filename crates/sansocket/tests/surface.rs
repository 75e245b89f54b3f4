//! What a caller sees beside the protocol: the words of errors, defaults, what is printed of secrets, who holds memory.

#![cfg(feature = "deflate")]

use std::collections::BTreeSet;
use std::time::Duration;

use allocation_counter::measure;
use sansocket::deflate::{Parameters, Policy, PoolLimits, Window, WindowBits};
use sansocket::handshake::{
    Accept, Authority, ClientRequest, OriginPolicy, RequestError, RequestProgress, ResponseError, ServerHandshake,
    UpgradeOffer, Uri,
};
use sansocket::{
    Client, Connection, Deadlines, Event, Expired, Kind, Limits, Message, Messages, Negotiated, Prepared,
    ProtocolError, SendError, Server, SliceOutput, Time, Timeouts,
};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, Keys, PING, Side, TEXT, close_body};

/// Asserts that each has words of its own, and `also` among them.
#[track_caller]
fn have_words_of_their_own(errors: impl IntoIterator<Item = impl ToString>, also: &str) {
    let mut seen = BTreeSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 20 && text.contains(also), "{text}");
        assert!(seen.insert(text.clone()), "said twice: {text}");
    }
}

#[test]
fn each_error_says_something_of_its_own() {
    use ResponseError as R;
    use SendError as S;
    have_words_of_their_own(ProtocolError::ALL, "section ");
    have_words_of_their_own(RequestError::ALL, "status ");
    let (head, choice) = (
        [R::Incomplete, R::Malformed, R::HeadTooLarge, R::TooManyHeaders, R::HttpVersion, R::Status, R::Upgrade],
        [R::Connection, R::Accept, R::Extension, R::MalformedExtensions, R::Compression, R::Protocol],
    );
    have_words_of_their_own(head.into_iter().chain(choice), "section ");
    let (state, size) = (
        [S::Closing, S::NoRoom, S::InvalidUtf8, S::MessageUnderWay, S::MustMask, S::NotNegotiated],
        [S::ControlTooLong, S::ReasonTooLong, S::ReasonWithoutCode],
    );
    have_words_of_their_own(state.into_iter().chain(size), "");
}

#[test]
fn a_section_is_of_rfc_6455_unless_it_names_another() {
    for error in RequestError::ALL {
        let section = error.section();
        assert!(section.split('.').all(|number| number.parse::<u8>().is_ok()), "{error:?}: {section}");
    }
    let text = ResponseError::Compression.to_string();
    assert!(text.ends_with("(section 7 of RFC 7692)"), "{text}");
    let text = ResponseError::Accept.to_string();
    assert!(text.ends_with("(RFC 6455, section 4.1)"), "{text}");
}

#[test]
fn defaults_are_the_constants_that_the_docs_name() {
    assert_eq!(Timeouts::default(), Timeouts::DEFAULT);
    assert_eq!(Policy::default(), Policy::DEFAULT);
    assert_eq!(PoolLimits::default(), PoolLimits::DEFAULT);
    assert_eq!(Messages::default().capacity(), 0);
    assert_eq!(Time::from_nanos(7).as_nanos(), 7);
    assert_eq!(format!("{:>3}", WindowBits::new(9).unwrap()), "  9");
}

/// RFC 6455, 5.3: keys must not be predictable, so that those to come are nobody else's business.
#[test]
fn rfc6455_5_3_what_is_printed_tells_no_keys_and_no_long_payloads() {
    assert_eq!(format!("{:?}", Client::new(Keys::default())), "Client");
    let printed = format!("{:?}", Prepared::new("x".repeat(10_000).as_str()));
    assert!(printed.contains("10004") && printed.len() < 100, "{printed}");
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    let mut bytes = Frame::new(TEXT, "Grüße").for_reader(Side::Server, [1, 2, 3, 4]).bytes();
    let mut input = &mut bytes[..];
    let event = connection.receive(&mut input, &mut Vec::new());
    let printed = format!("{event:?}");
    assert!(printed.contains("Grüße"), "{printed}");
}

/// What the server answers about compression to a client that offers it.
fn agreed(accept: &Accept<'_>) -> bool {
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut out = Vec::new();
    let RequestProgress::Request(request) = ServerHandshake::default().receive(head, &mut out) else {
        panic!("the request is a good one");
    };
    request.accept(accept, &mut out).unwrap().compression().is_some()
}

#[test]
fn rfc7692_5_what_was_said_of_compression_first_is_not_undone_by_a_default() {
    let policy = Policy::TAKEOVER;
    assert!(!agreed(&Accept::new()));
    assert!(agreed(&Accept::new().compression_by_default(policy)));
    assert!(!agreed(&Accept::new().uncompressed().compression_by_default(policy)));
    assert!(agreed(&Accept::new().uncompressed().compression(policy)), "the last word counts");
}

/// RFC 6455, 4.3: a header that lists subprotocols lists one at least.
#[test]
fn rfc6455_4_3_a_list_of_no_subprotocols_is_400() {
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ,\r\n\r\n";
    let mut out = Vec::new();
    let handshake = ServerHandshake::new().origins(OriginPolicy::Any);
    let progress = { handshake }.receive(head, &mut out);
    assert!(matches!(progress, RequestProgress::Refused(RequestError::InvalidProtocols)), "{progress:?}");
}

/// Receives both frames of a message, each piece appended.
fn join(messages: &mut Messages, frames: [Frame; 2]) {
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    for frame in frames {
        let mut bytes = frame.for_reader(Side::Server, [9, 8, 7, 6]).bytes();
        let mut input = &mut bytes[..];
        while let Some(event) = connection.receive(&mut input, &mut Vec::new()) {
            match event {
                Event::Text(text) => messages.append(text).unwrap(),
                Event::Binary(binary) => messages.append(binary).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn halves(opcode: u8) -> [Frame; 2] {
    [Frame::new(opcode, [b'a'; 700]).fin(false), Frame::new(CONTINUATION, [b'b'; 300])]
}

#[test]
fn memory_that_was_taken_and_lent_again_joins_the_next_message() {
    for (opcode, kind) in [(TEXT, Kind::Text), (BINARY, Kind::Binary)] {
        let mut messages = Messages::new();
        join(&mut messages, halves(opcode));
        assert_eq!(messages.message().map(|message| message.as_bytes().len()), Some(1000));
        let memory = messages.take_memory();
        assert!(memory.capacity() >= 1000);
        assert_eq!((messages.capacity(), messages.message()), (0, None));
        messages.reuse(kind, memory);
        let [first, last] = halves(opcode).map(|frame| frame.for_reader(Side::Server, [1; 4]).bytes());
        let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
        let memory = measure(|| {
            // The one allocation of each is the frame's copy.
            for bytes in [&first, &last] {
                let mut bytes = bytes.clone();
                let piece = connection.receive(&mut &mut bytes[..], &mut Vec::new()).and_then(Event::piece);
                messages.append(piece.unwrap()).unwrap();
            }
        });
        assert_eq!(memory.count_total, 2);
        assert_eq!(messages.take().map(|message| message.as_message().as_bytes().len()), Some(1000));
    }
}

#[test]
fn a_message_under_way_keeps_its_memory() {
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    let mut messages = Messages::new();
    let [first, last] = halves(BINARY).map(|frame| frame.for_reader(Side::Server, [1; 4]).bytes());
    for (mut bytes, is_last) in [(first, false), (last, true)] {
        let piece = connection.receive(&mut &mut bytes[..], &mut Vec::new()).and_then(Event::piece);
        messages.append(piece.unwrap()).unwrap();
        if !is_last {
            assert_eq!(messages.take_memory(), []);
            messages.release();
            messages.reuse(Kind::Binary, Vec::new());
            assert_eq!(messages.len_under_way(), 700);
        }
    }
    assert_eq!(messages.message(), Some(Message::Binary(&[[b'a'; 700].as_slice(), &[b'b'; 300]].concat())));
    messages.release();
    assert_eq!((messages.capacity(), messages.message()), (0, None));
}

#[test]
fn an_owned_message_is_lent_as_what_it_is() {
    for message in [Message::Text("a"), Message::Binary(b"b")] {
        assert_eq!(Message::from(&message.to_owned()), message);
    }
}

/// RFC 6455, 7.1.7: whoever leaves no room for a Close does not read.
#[test]
fn rfc6455_7_1_7_idle_without_room_for_a_close_fails_the_connection() {
    let timeouts = Timeouts { idle: Some(Duration::from_secs(1)), ..Timeouts::NONE };
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    let mut deadlines = Deadlines::new(Time::from_nanos(0));
    let now = Time::from_nanos(1_000_000_000);
    let expired = deadlines.expire(now, &timeouts, &mut connection, &mut SliceOutput::new(&mut []));
    assert_eq!(expired, Expired::Failed(ProtocolError::PolicyViolation));
    assert_eq!(connection.failure(), Some(ProtocolError::PolicyViolation));
    assert_eq!(deadlines.expire(now, &timeouts, &mut connection, &mut Vec::new()), Expired::Nothing);
}

#[test]
fn rfc7692_7_1_2_a_window_has_8_to_15_bits() {
    assert_eq!([0, 7, 16, 255].map(WindowBits::new), [None; 4]);
    assert_eq!([8, 15].map(|bits| WindowBits::new(bits).map(WindowBits::get)), [Some(8), Some(15)]);
}

#[test]
fn rfc6455_10_2_an_origin_that_is_not_text_is_let_in_where_any_is() {
    let host = Authority::parse("example.com").unwrap();
    assert!(OriginPolicy::Any.allows(b"http://example.com\xFF", host));
    assert!(!OriginPolicy::default().allows(b"http://example.com\xFF", host));
    assert!(!OriginPolicy::Only(&["http://example.com", "null"]).allows(b"http://example.com\xFF", host));
}

#[test]
fn rfc6455_4_2_1_a_body_that_is_announced_twice_is_refused() {
    for twice in ["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Content-Length: 0\r\nContent-Length: 5"]
    {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{twice}\r\n\r\n"
        );
        let mut out = Vec::new();
        let progress = ServerHandshake::new().receive(head.as_bytes(), &mut out);
        assert!(matches!(progress, RequestProgress::Refused(_)), "{progress:?}");
        assert!(out.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn rfc8441_5_an_offer_is_checked_as_a_request_is_and_has_the_scheme_of_its_uri() {
    let insecure = Uri::parse("ws://example.com/").unwrap();
    let smuggled = ClientRequest::new(&insecure).headers(&[("a", "b\r\nc: d")]);
    let error = UpgradeOffer::new(&smuggled, [7; 16]).unwrap_err();
    assert_eq!(UpgradeOffer::connect(&smuggled).unwrap_err(), error);
    for (uri, scheme) in [("ws://example.com/", "http"), ("wss://example.com/", "https")] {
        let uri = Uri::parse(uri).unwrap();
        let request = ClientRequest::new(&uri).compression(&[Policy::TAKEOVER]);
        assert_eq!(request.offered_compression(), [Policy::TAKEOVER]);
        assert_eq!(UpgradeOffer::connect(&request).unwrap().pseudo().scheme, Some(scheme));
    }
}

#[test]
fn rfc7692_6_1_compressed_bytes_go_out_where_that_was_agreed_on_and_there_is_room() {
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    let mut out = Vec::new();
    let sent = connection.send_compressed(Kind::Text, &[0], true, &mut out);
    assert_eq!((sent, out.len()), (Err(SendError::NotNegotiated), 0));
    let window = Window { bits: WindowBits::MAX, takeover: false };
    let negotiated = Negotiated::new(Some(Parameters { server: window, client: window }));
    let mut connection = Connection::new(Server, negotiated, Limits::default());
    for (room, expected) in [(2, Err(SendError::NoRoom)), (3, Ok(()))] {
        let mut memory = vec![0; room];
        let mut out = SliceOutput::new(&mut memory);
        assert_eq!(connection.send_compressed(Kind::Text, &[0], true, &mut out), expected);
    }
}

#[test]
fn a_close_leaves_no_control_payload_behind() {
    let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
    let frames = [Frame::new(PING, "ping"), Frame::new(CLOSE, close_body(1000, "bye"))];
    let mut bytes: Vec<u8> = frames.into_iter().flat_map(|it| it.for_reader(Side::Server, [1; 4]).bytes()).collect();
    let mut input = &mut bytes[..];
    assert!(matches!(connection.receive(&mut input, &mut Vec::new()), Some(Event::Ping)));
    assert_eq!(connection.control(), b"ping");
    assert!(matches!(connection.receive(&mut input, &mut Vec::new()), Some(Event::Close)));
    assert_eq!(connection.control(), b"");
}
