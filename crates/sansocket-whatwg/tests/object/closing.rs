//! How the owner closes: rows 49 to 54.

use sansocket::{CloseCode, OwnedMessage};
use sansocket_testkit::{TEXT, close_body};
use sansocket_whatwg::machine::{Command, Machine, Task};
use sansocket_whatwg::{DomExceptionKind, Event, Pumped, ReadyState, WebSocket, clamp_code};

use crate::peer::{Listener, PATIENCE, Peer, clean, failed, lost, next, open, rest};

const fn is_allowed(code: u16) -> bool {
    code == 1000 || (3000 <= code && code <= 4999)
}

fn open_machine() -> Machine {
    let mut machine = Machine::new("ws://example.com");
    machine.queue(Task::Open { protocol: String::new(), extensions: String::new() });
    assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
    machine
}

#[test]
fn row_49_of_all_codes_1000_and_those_from_3000_to_4999_may_be_used() {
    for code in 0..=u16::MAX {
        let mut machine = open_machine();
        match machine.close(Some(code), "why") {
            Ok(command) => {
                let close = Command::Close { code: CloseCode::new(code), reason: String::from("why") };
                assert!(is_allowed(code) && command == Some(close), "{code}");
                assert_eq!(machine.ready_state(), ReadyState::Closing);
            }
            Err(error) => {
                assert!(!is_allowed(code), "{code}");
                assert_eq!((error.kind(), error.name()), (DomExceptionKind::InvalidAccess, "InvalidAccessError"));
                assert_eq!(machine.ready_state(), ReadyState::Open);
            }
        }
    }
}

#[test]
fn row_49_a_refused_code_changes_nothing_in_any_state() {
    let refuse = |socket: &WebSocket| {
        let before = socket.ready_state();
        for code in (0..=u16::MAX).filter(|&code| !is_allowed(code)) {
            let error = socket.close_with(code, "").unwrap_err();
            assert_eq!((error.kind(), error.legacy_code()), (DomExceptionKind::InvalidAccess, 15), "{code}");
        }
        assert_eq!(socket.ready_state(), before);
    };
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    refuse(&socket);
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    refuse(&socket);
    socket.send("still open").unwrap();
    assert_eq!(peer.receive_message().1, b"still open");
    socket.close_with(4999, "").unwrap();
    refuse(&socket);
    peer.finish();
    assert_eq!(rest(&socket), [clean(4999, "")]);
    refuse(&socket);
    // The others are allowed there, and do nothing.
    for code in (0..=u16::MAX).filter(|&code| is_allowed(code)) {
        socket.close_with(code, "").unwrap();
    }
}

#[test]
fn row_49_codes_that_are_allowed_go_out() {
    for code in [1000, 3000, 3001, 3999, 4000, 4999] {
        let (socket, mut peer) = open();
        socket.close_with(code, "").unwrap();
        assert_eq!(peer.receive_close(), code.to_be_bytes());
    }
}

#[test]
fn row_49_numbers_become_codes_as_in_javascript() {
    let table = [
        (f64::NAN, 0),
        (f64::INFINITY, u16::MAX),
        (f64::NEG_INFINITY, 0),
        (-0.0, 0),
        (-1.0, 0),
        (-64_536.0, 0),
        (0.5, 0),
        (0.51, 1),
        (1.5, 2),
        (2.5, 2),
        (999.49, 999),
        (999.5, 1000),
        (1000.0, 1000),
        (1000.5, 1000),
        (1000.51, 1001),
        (3000.0, 3000),
        (4999.5, 5000),
        (65_534.6, 65_535),
        (65_535.0, 65_535),
        (65_535.5, 65_535),
        (65_536.0, 65_535),
        // Not 1000, as with a remainder.
        (66_536.0, 65_535),
        (1e300, 65_535),
        (f64::MIN_POSITIVE, 0),
    ];
    for (number, code) in table {
        assert_eq!(clamp_code(number), code, "{number}");
    }
}

/// Reasons that are just short enough, and just too long.
fn reasons() -> [(String, bool); 8] {
    [
        ("x".repeat(123), true),
        ("x".repeat(124), false),
        ("é".repeat(61) + "x", true),
        ("é".repeat(62), false),
        ("\u{FFFD}".repeat(41), true),
        ("\u{FFFD}".repeat(41) + "x", false),
        ("\u{1F600}".repeat(30) + "abc", true),
        ("\u{1F600}".repeat(31), false),
    ]
}

#[test]
fn row_50_a_reason_has_up_to_123_bytes() {
    for (reason, fits) in reasons() {
        let (socket, mut peer) = open();
        match socket.close_with(1000, &reason) {
            Ok(()) => {
                assert!(fits, "{reason}");
                assert_eq!(peer.receive_close(), close_body(1000, &reason));
            }
            Err(error) => {
                assert!(!fits, "{reason}");
                assert_eq!((error.kind(), error.legacy_code()), (DomExceptionKind::Syntax, 12));
                assert_eq!(socket.ready_state(), ReadyState::Open);
                // A refused close leaves the way open for a further one.
                socket.close_with(3000, "short").unwrap();
                assert_eq!(peer.receive_close(), close_body(3000, "short"));
            }
        }
    }
}

#[test]
fn row_50_reasons_are_checked_in_every_state_behind_the_code_and_change_nothing() {
    let refuse = |socket: &WebSocket| {
        let before = (socket.ready_state(), socket.buffered_amount());
        for (reason, _) in reasons().iter().filter(|(_, fits)| !fits) {
            let kind = |code: Option<u16>| socket.close_with(code, reason).unwrap_err().kind();
            assert_eq!(kind(None), DomExceptionKind::Syntax);
            assert_eq!(kind(Some(1000)), DomExceptionKind::Syntax);
            assert_eq!(kind(Some(999)), DomExceptionKind::InvalidAccess);
        }
        assert_eq!((socket.ready_state(), socket.buffered_amount()), before);
    };
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    refuse(&socket);
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    refuse(&socket);
    socket.send("still open").unwrap();
    assert_eq!(peer.receive_message().1, b"still open");
    socket.close();
    refuse(&socket);
    peer.finish();
    assert_eq!(rest(&socket), [clean(1005, "")]);
    refuse(&socket);
    socket.close_with(1000, &"x".repeat(123)).unwrap();
}

#[test]
fn row_51_closing_twice_is_closing_once() {
    let (socket, mut peer) = open();
    socket.close_with(3000, "first").unwrap();
    socket.close_with(4000, "second").unwrap();
    socket.close();
    assert_eq!(peer.receive_close(), close_body(3000, "first"));
    socket.close();
    peer.frame(sansocket_testkit::Frame::close(3000, "first"));
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(3000, "first")]);
    socket.close_with(4000, "third").unwrap();
    assert_eq!((socket.pump(), socket.wait()), (Pumped::Idle, false));
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    peer.receive_end();
}

#[test]
fn row_51_closing_behind_the_servers_close_does_nothing() {
    let (socket, mut peer) = open();
    peer.frame(sansocket_testkit::Frame::close(4001, "server"));
    assert_eq!(peer.receive_close()[..2], 4001_u16.to_be_bytes());
    // The owner may know of it or not.
    for _ in 0..2 {
        socket.close_with(4000, "owner").unwrap();
        assert_eq!(socket.ready_state(), ReadyState::Closing);
        let _ = socket.pump();
    }
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(4001, "server")]);
    peer.receive_end();
}

#[test]
fn row_52_closing_while_it_is_connecting_is_a_failure_that_comes_later() {
    for stage in ["no answer", "half an answer", "an answer", "more than an answer"] {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        let answer = peer.answer_of(&[]);
        match stage {
            "half an answer" => peer.send(&answer[..answer.len() / 2]),
            "an answer" => peer.send(&answer),
            "more than an answer" => {
                peer.send([answer.as_bytes(), b"\x81\x01x\x88\0"].concat());
                assert_eq!(peer.receive_close(), b"");
            }
            _ => {}
        }
        if stage.ends_with("an answer") && !stage.starts_with("half") {
            assert!(socket.wait_timeout(PATIENCE));
        }
        assert_eq!(socket.ready_state(), ReadyState::Connecting);
        socket.close_with(3000, "never mind").unwrap();
        assert_eq!(socket.ready_state(), ReadyState::Closing, "{stage}");
        socket.close();
        socket.send("counts").unwrap();
        assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Closing, 6));
        let _ = peer.stream.shutdown(std::net::Shutdown::Write);
        assert_eq!(rest(&socket), failed(), "{stage}");
        assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
        assert!(!socket.wait());
    }
}

#[test]
fn row_52_closing_right_behind_the_constructor_is_the_same() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(rest(&socket), failed());
    // Whoever else wants to connect there need not wait.
    let other = WebSocket::new(listener.url() + "other").unwrap();
    // The first may have connected, and have sent its request even.
    let is_other = |peer: &Peer| {
        let mut start = [0; 10];
        peer.stream.peek(&mut start).is_ok() && start == *b"GET /other"
    };
    let mut peer = listener.accept_silently();
    while !is_other(&peer) {
        peer = listener.accept_silently();
    }
    peer.read_head();
    peer.answer(&[]);
    assert_eq!(next(&other), Event::Open);
}

#[test]
fn row_53_the_close_goes_out_behind_all_that_was_sent() {
    let (socket, mut peer) = open();
    for number in 0..1000 {
        socket.send(number.to_string()).unwrap();
    }
    let long = "é".repeat(1024 * 1024);
    socket.send(&long).unwrap();
    socket.send("").unwrap();
    socket.close_with(1000, "done").unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    for number in 0..1000 {
        assert_eq!(peer.receive_message(), (TEXT, number.to_string().into_bytes()));
    }
    assert!(peer.receive_message() == (TEXT, long.into_bytes()));
    assert_eq!(peer.receive_message(), (TEXT, Vec::new()));
    assert_eq!(peer.receive_close(), close_body(1000, "done"));
    drop(peer);
    assert_eq!(rest(&socket), [lost()]);
}

#[test]
fn row_54_the_body_of_the_close_has_what_was_given() {
    let table: [(Option<u16>, &str, Vec<u8>); 7] = [
        (None, "", vec![]),
        (Some(1000), "", close_body(1000, "")),
        (Some(3000), "", close_body(3000, "")),
        (Some(4999), "bye", close_body(4999, "bye")),
        (Some(1000), "\u{FEFF}é\0", close_body(1000, "\u{FEFF}é\0")),
        // The texts leave this open; the draft for streams has it so.
        (None, "bye", close_body(1000, "bye")),
        (None, "\0", close_body(1000, "\0")),
    ];
    for (code, reason, body) in table {
        let (socket, mut peer) = open();
        socket.close_with(code, reason).unwrap();
        assert_eq!(peer.receive_close(), body, "{code:?} {reason:?}");
    }
}

#[test]
fn row_54_without_arguments_the_body_of_the_close_is_empty() {
    let (socket, mut peer) = open();
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    peer.send([0x88, 0]);
    drop(peer);
    assert_eq!(rest(&socket), [clean(1005, "")]);
}

#[test]
fn row_52_a_machine_that_was_closed_while_connecting_never_opens() {
    let mut machine = Machine::new("ws://example.com");
    assert_eq!(machine.close(None, ""), Ok(Some(Command::Fail)));
    // What the network had under way.
    machine.queue(Task::Open { protocol: String::from("chat"), extensions: String::new() });
    machine.queue(Task::Message(OwnedMessage::Text(String::from("x"))));
    assert_eq!(machine.pump(), Pumped::Quiet);
    assert_eq!((machine.ready_state(), machine.protocol()), (ReadyState::Closing, ""));
    machine.queue(Task::Closed(sansocket_whatwg::machine::End::Lost(None)));
    assert_eq!(machine.pump(), Pumped::Fired(Event::Error));
    assert_eq!(machine.pump(), Pumped::Fired(lost()));
    assert_eq!(machine.pump(), Pumped::Idle);
}
