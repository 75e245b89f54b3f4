//! What the server answers: rows 27 to 30.

use sansocket::handshake::ResponseError;
use sansocket_mio::OpenError;
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, TEXT};
use sansocket_whatwg::{Builder, Data, Event, Failure, Protocols, Pumped, ReadyState, WebSocket};

use crate::listeners::Log;
use crate::peer::{Listener, PATIENCE, Peer, clean, failed, message, next, open_with, rest, step};

/// An object that has asked, and its peer, which has not answered.
fn asking(options: impl FnOnce(Builder) -> Builder) -> (WebSocket, Peer) {
    let listener = Listener::new();
    let socket = options(WebSocket::builder(listener.url())).build().unwrap();
    (socket, listener.accept())
}

/// Answers with what `change` makes of a good answer.
#[track_caller]
fn assert_breach(protocols: impl Into<Protocols>, change: impl FnOnce(String) -> String) -> ResponseError {
    let (socket, mut peer) = asking(|builder| builder.protocols(protocols));
    let good = peer.answer_of(&[]);
    let answer = change(good.clone());
    assert_ne!(answer, good, "the change has changed nothing");
    peer.send(&answer);
    assert_eq!(rest(&socket), failed(), "{answer}");
    assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
    peer.receive_end();
    match socket.failure() {
        Some(Failure::Open(error)) => match *error {
            OpenError::Response(error) => error,
            ref error => panic!("{answer}: {error:?}"),
        },
        failure => panic!("{answer}: {failure:?}"),
    }
}

/// Adds a header line.
fn add(line: &str) -> impl FnOnce(String) -> String {
    move |good| good.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1)
}

#[test]
fn row_27_every_breach_of_the_answers_rules_fails() {
    use ResponseError as E;
    const START: &str = "HTTP/1.1 101 Switching Protocols";
    const UPGRADE: &str = "Upgrade: websocket\r\n";
    const CONNECTION: &str = "Connection: Upgrade\r\n";
    for (part, instead, error) in [
        (START, "HTTP/1.0 101 Switching Protocols", E::HttpVersion),
        (START, "HTTP/2 101 Switching Protocols", E::HttpVersion),
        (START, "HTTP/1.1 Switching Protocols", E::Malformed),
        (START, "http/1.1 101 Switching Protocols", E::Malformed),
        (START, "ICY 101 Switching Protocols", E::Malformed),
        (UPGRADE, "", E::Upgrade),
        (UPGRADE, "Upgrade:\r\n", E::Upgrade),
        (UPGRADE, "Upgrade: websockets\r\n", E::Upgrade),
        (UPGRADE, "Upgrade: web socket\r\n", E::Upgrade),
        (UPGRADE, "Upgrade: websocket, h2c\r\n", E::Upgrade),
        (UPGRADE, "Upgrade: h2c, websocket\r\n", E::Upgrade),
        (UPGRADE, "Upgrade: websocket/13\r\n", E::Upgrade),
        (UPGRADE, "Upgrade : websocket\r\n", E::Malformed),
        (CONNECTION, "", E::Connection),
        (CONNECTION, "Connection: keep-alive\r\n", E::Connection),
        (CONNECTION, "Connection: Upgraded\r\n", E::Connection),
        (CONNECTION, "Connection: keep-alive Upgrade\r\n", E::Connection),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accepts: ", E::Accept),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: A", E::Accept),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: \r\nX: ", E::Accept),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: \"\"", E::Accept),
        ("=\r\n\r\n", "\r\n\r\n", E::Accept),
        ("=\r\n\r\n", "=, a\r\n\r\n", E::Accept),
    ] {
        assert_eq!(assert_breach([""; 0], |good| good.replacen(part, instead, 1)), error, "{instead:?}");
    }
}

#[test]
fn row_27_the_accept_value_is_that_of_the_key_with_its_case_and_once() {
    let value_of = |good: &str| good.split("Accept: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let changed_case = |good: String| {
        let value = value_of(&good);
        let at = value.find(|letter: char| letter.is_ascii_alphabetic()).unwrap();
        let mut other = value.clone().into_bytes();
        other[at] ^= 0x20;
        good.replace(&value, std::str::from_utf8(&other).unwrap())
    };
    assert_eq!(assert_breach([""; 0], changed_case), ResponseError::Accept);
    let of_another_key = |good: String| good.replace(&value_of(&good), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(assert_breach([""; 0], of_another_key), ResponseError::Accept);
    let twice = |good: String| add(&format!("Sec-WebSocket-Accept: {}", value_of(&good)))(good);
    assert_eq!(assert_breach([""; 0], twice), ResponseError::Accept);
}

#[test]
fn row_27_no_extension_and_no_parameter_comes_that_was_not_offered() {
    use ResponseError as E;
    for (extensions, error) in [
        ("x-unknown", E::Extension),
        ("x-webkit-deflate-frame", E::Extension),
        ("permessage-deflate, x-unknown", E::Extension),
        ("permessage-deflate, permessage-deflate", E::Extension),
        ("permessage-deflate; unknown", E::Compression),
        ("permessage-deflate; server_max_window_bits=7", E::Compression),
        ("permessage-deflate; server_max_window_bits=16", E::Compression),
        ("permessage-deflate; server_max_window_bits", E::Compression),
        ("permessage-deflate; client_max_window_bits", E::Compression),
        ("permessage-deflate; client_max_window_bits=16", E::Compression),
        ("permessage-deflate; server_no_context_takeover=1", E::Compression),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", E::Compression),
        ("permessage-deflate;", E::MalformedExtensions),
        ("permessage deflate", E::MalformedExtensions),
        ("permessage-deflate; =", E::MalformedExtensions),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {extensions}");
        assert_eq!(assert_breach([""; 0], add(&line)), error, "{extensions}");
    }
    let (socket, mut peer) = asking(|builder| builder.compression(false));
    peer.answer(&["Sec-WebSocket-Extensions: permessage-deflate"]);
    assert_eq!(rest(&socket), failed());
}

#[test]
fn row_27_at_most_one_protocol_comes_and_one_that_was_asked_for() {
    for lines in [
        "Sec-WebSocket-Protocol: other",
        "Sec-WebSocket-Protocol: CHAT",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Protocol: ",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
    ] {
        assert_eq!(assert_breach(["chat", "superchat"], add(lines)), ResponseError::Protocol, "{lines}");
    }
    for lines in ["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: "] {
        assert_eq!(assert_breach([""; 0], add(lines)), ResponseError::Protocol, "{lines}, and none was asked for");
    }
}

#[test]
fn row_27_no_protocol_though_some_were_asked_for_is_a_failure() {
    for protocols in [&["chat"][..], &["chat", "superchat"]] {
        let (socket, mut peer) = asking(|builder| builder.protocols(protocols));
        peer.answer(&[]);
        assert_eq!([next(&socket), next(&socket)], failed());
    }
}

#[test]
fn row_27_what_the_rules_leave_open_passes() {
    let changes: [(&str, &str); 9] = [
        ("101 Switching Protocols", "101 "),
        ("101 Switching Protocols", "101"),
        ("101 Switching Protocols", "101 Whatever You \u{FC}"),
        ("Upgrade: websocket", "Upgrade: WebSocket"),
        ("Upgrade: websocket", "Upgrade:\t WEBSOCKET \t"),
        ("Connection: Upgrade", "Connection: uPGRADE"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection:Upgrade,x"),
        ("Connection: Upgrade", "Connection: Upgrade\r\nServer: x\r\nX: \u{FC}\r\nContent-Length: 0"),
    ];
    for (part, instead) in changes {
        let (socket, mut peer) = asking(|builder| builder);
        peer.send(peer.answer_of(&[]).replacen(part, instead, 1));
        assert_eq!(next(&socket), Event::Open, "{instead}");
    }
}

#[test]
fn row_27_a_head_may_have_16_kib_and_no_more() {
    for (more, opens) in [(0, true), (1, false)] {
        let (socket, mut peer) = asking(|builder| builder);
        let rest_of_line = 16 * 1024 + more - peer.answer_of(&["X: "]).len();
        peer.send(peer.answer_of(&[&format!("X: {}", "x".repeat(rest_of_line))]));
        assert_eq!(next(&socket), if opens { Event::Open } else { Event::Error });
    }
}

#[test]
fn row_28_names_of_fields_have_any_case() {
    for change in [str::to_ascii_lowercase, str::to_ascii_uppercase] {
        let (socket, mut peer) = asking(|builder| builder.protocols("chat"));
        let answer = peer.answer_of(&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: permessage-deflate"]);
        let lines = answer.split("\r\n").map(|line| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", change(name)),
            None => line.to_owned(),
        });
        peer.send(lines.collect::<Vec<_>>().join("\r\n"));
        assert_eq!(next(&socket), Event::Open);
        assert_eq!((&socket.protocol()[..], &socket.extensions()[..]), ("chat", "permessage-deflate"));
    }
}

/// Two messages, the second in pieces around a ping, and a Close.
fn frames() -> Vec<u8> {
    let frames = [
        Frame::new(TEXT, "one"),
        Frame::new(BINARY, [1, 2]).fin(false),
        Frame::new(PING, "ping"),
        Frame::new(CONTINUATION, [3]),
        Frame::new(CLOSE, ""),
    ];
    frames.iter().flat_map(Frame::bytes).collect()
}

/// What comes of `frames`, behind the open event.
#[track_caller]
fn assert_frames(socket: &WebSocket, mut peer: Peer) {
    assert_eq!(next(socket), Event::Open);
    assert_eq!(message(socket), Data::from("one"));
    assert_eq!(message(socket).as_bytes(), [1, 2, 3]);
    assert_eq!(peer.receive().payload(), b"ping");
    assert_eq!(peer.receive_close(), b"");
    peer.shut_down();
    assert_eq!(rest(socket), [clean(1005, "")]);
}

#[test]
fn row_28_answer_and_frames_may_come_byte_by_byte() {
    let (socket, mut peer) = asking(|builder| builder);
    let answer = peer.answer_of(&[]);
    peer.send_bytewise(answer);
    peer.send_bytewise(frames());
    assert_frames(&socket, peer);
}

#[test]
fn row_28_frames_may_come_in_the_packet_of_the_answer() {
    let (socket, mut peer) = asking(|builder| builder);
    let whole = [peer.answer_of(&[]).as_bytes(), &frames()].concat();
    peer.send(whole);
    assert_frames(&socket, peer);
}

#[test]
fn row_28_answer_and_frames_may_be_cut_anywhere() {
    let len = asking(|builder| builder).1.answer_of(&[]).len() + frames().len();
    for cut in (1..len).step_by(7).chain(len - frames().len() - 3..len) {
        let (socket, mut peer) = asking(|builder| builder);
        let whole = [peer.answer_of(&[]).as_bytes(), &frames()].concat();
        peer.send(&whole[..cut]);
        peer.send(&whole[cut..]);
        assert_frames(&socket, peer);
    }
}

#[test]
fn row_28_interim_answers_are_skipped() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSec-WebSocket-Protocol: other\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 199 \r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        for bytewise in [false, true] {
            let (socket, mut peer) = asking(|builder| builder);
            let whole = [interim.as_bytes(), peer.answer_of(&[]).as_bytes(), &frames()].concat();
            if bytewise {
                peer.send_bytewise(whole);
            } else {
                peer.send(whole);
            }
            assert_frames(&socket, peer);
        }
        // Behind them, another status fails as ever.
        let (socket, mut peer) = asking(|builder| builder);
        peer.send(format!("{interim}HTTP/1.1 404 Not Found\r\n\r\n"));
        assert_eq!(rest(&socket), failed());
    }
}

#[test]
fn row_29_state_protocol_and_extensions_are_there_with_the_open_event_and_not_before() {
    let log = Log::default();
    let (socket, mut peer) = asking(|builder| builder.protocols(["chat", "superchat"]));
    let see =
        |socket: &WebSocket| format!("{:?} {:?} {:?}", socket.ready_state(), socket.protocol(), socket.extensions());
    let noting = log.clone();
    socket.set_onopen(move |socket, event| noting.note(format!("{event:?}: {}", see(socket))));
    let extensions = "permessage-deflate; client_max_window_bits=10 ; server_no_context_takeover";
    peer.answer(&["Sec-WebSocket-Protocol: superchat", &format!("Sec-WebSocket-Extensions: {extensions}")]);
    assert!(socket.wait_timeout(PATIENCE));
    assert_eq!(see(&socket), "Connecting \"\" \"\"");
    assert_eq!(socket.pump(), Pumped::Fired(Event::Open));
    let seen = format!("Open \"superchat\" {extensions:?}");
    assert_eq!(log.take(), [format!("Open: {seen}")]);
    peer.send([0x88, 0]);
    peer.receive_close();
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1005, "")]);
    assert_eq!(see(&socket), seen.replace("Open", "Closed"), "they stay");
}

#[test]
fn row_29_without_extensions_and_protocols_both_are_empty() {
    let (socket, _peer) = open_with(|builder| builder);
    assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
}

#[test]
fn row_30_the_open_event_comes_first_and_finds_it_open_though_the_close_is_there() {
    let log = Log::default();
    let (socket, mut peer) = asking(|builder| builder);
    for name in ["first", "second"] {
        let log = log.clone();
        socket.add_event_listener(sansocket_whatwg::EventType::Open, move |socket, _| {
            assert_eq!(socket.pump(), Pumped::Idle);
            log.note(format!("{name}: {:?}", socket.ready_state()));
            socket.send("too late").unwrap();
        });
    }
    let whole = [peer.answer_of(&[]).as_bytes(), &Frame::close(1001, "gone").bytes()].concat();
    peer.send(whole);
    assert_eq!(peer.receive_close(), 1001_u16.to_be_bytes(), "the network has answered it");
    peer.shut_down();
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert_eq!(step(&socket), Pumped::Fired(Event::Open));
    assert_eq!(
        (log.take(), socket.ready_state()),
        (vec!["first: Open".into(), "second: Open".into()], ReadyState::Open)
    );
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Quiet, ReadyState::Closing));
    assert_eq!(rest(&socket), [clean(1001, "gone")]);
}
