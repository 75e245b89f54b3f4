//! How the server closes, and what ends a connection otherwise: rows 55 to 62.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sansocket_testkit::{BINARY, CLOSE, Frame, TEXT, close_body};
use sansocket_whatwg::{Data, Event, EventType, Failure, Pumped, ReadyState, TimeLimits};

use crate::peer::{Peer, clean, failed, lost, message, next, open, open_with, rest, step};

/// No limits but these.
fn limits(close: Option<u64>, end: Option<u64>) -> TimeLimits {
    TimeLimits { open: None, close: close.map(Duration::from_millis), end: end.map(Duration::from_millis) }
}

/// That for a while, nothing comes from the client, neither bytes nor the end.
fn expect_silence(peer: &mut Peer, duration: Duration) {
    peer.stream.set_read_timeout(Some(duration)).unwrap();
    let error = peer.stream.read(&mut [0]).expect_err("neither bytes nor the end");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    peer.stream.set_read_timeout(Some(crate::peer::PATIENCE)).unwrap();
}

#[test]
fn row_55_the_servers_close_is_answered_and_over_is_it_with_tcp() {
    for (body, event) in [
        (close_body(1000, ""), clean(1000, "")),
        (close_body(1001, "going"), clean(1001, "going")),
        (close_body(4999, "é"), clean(4999, "é")),
        (vec![], clean(1005, "")),
    ] {
        let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(None, None)));
        peer.frame(Frame::new(CLOSE, &body));
        let answer = peer.receive_close();
        assert_eq!(answer.get(..2), body.get(..2), "the code is echoed");
        assert_eq!(socket.ready_state(), ReadyState::Open, "the owner does not know yet");
        assert_eq!((step(&socket), socket.ready_state()), (Pumped::Quiet, ReadyState::Closing));
        // TCP is the server's to end.
        expect_silence(&mut peer, Duration::from_millis(50));
        assert_eq!((socket.pump(), socket.ready_state()), (Pumped::Idle, ReadyState::Closing));
        peer.shut_down();
        assert_eq!(rest(&socket), [event]);
        assert_eq!(socket.ready_state(), ReadyState::Closed);
        peer.receive_end();
    }
}

#[test]
fn row_56_what_the_server_sends_behind_its_close_is_never_delivered() {
    let data = [Frame::new(TEXT, "late").bytes(), Frame::new(BINARY, "late").bytes()].concat();
    for with_the_close in [true, false] {
        let (socket, mut peer) = open();
        peer.frame(Frame::new(TEXT, "in time"));
        let close = Frame::close(1000, "done").bytes();
        if with_the_close {
            peer.send([close, data.clone()].concat());
        } else {
            peer.send(close);
            assert_eq!(peer.receive_close()[..2], 1000_u16.to_be_bytes());
            peer.send(&data);
        }
        peer.shut_down();
        assert_eq!(message(&socket), Data::from("in time"));
        assert_eq!(rest(&socket), [clean(1000, "done")], "{with_the_close}");
    }
}

#[test]
fn row_57_every_code_but_those_that_must_not_be_sent_is_passed_on() {
    let codes = [0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1016, 1100];
    for code in codes.into_iter().chain([1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65_535]) {
        let (socket, mut peer) = open();
        peer.frame(Frame::close(code, "why"));
        assert_eq!(peer.receive_close()[..2], code.to_be_bytes(), "{code}");
        peer.shut_down();
        assert_eq!(rest(&socket), [clean(code, "why")]);
    }
}

#[test]
fn row_57_the_event_has_the_servers_code_and_not_ours() {
    let table = [
        (close_body(4001, "server's"), clean(4001, "server's")),
        (close_body(0, ""), clean(0, "")),
        (close_body(3000, "owner's"), clean(3000, "owner's")),
        (vec![], clean(1005, "")),
    ];
    for (body, event) in table {
        let (socket, mut peer) = open();
        socket.close_with(3000, "owner's").unwrap();
        assert_eq!(peer.receive_close(), close_body(3000, "owner's"));
        peer.frame(Frame::new(CLOSE, body));
        peer.shut_down();
        assert_eq!(rest(&socket), [event]);
        peer.receive_end();
    }
}

#[test]
fn row_58_a_connection_that_ends_without_a_close_is_lost_and_has_not_failed() {
    for closes in [false, true] {
        for how in ["in order", "inside a header", "inside a frame", "inside a message"] {
            let (socket, mut peer) = open();
            if closes {
                socket.close_with(1000, "").unwrap();
                assert_eq!(peer.receive_close(), 1000_u16.to_be_bytes());
            }
            match how {
                "inside a header" => peer.send([0x81]),
                "inside a frame" => peer.send([0x81, 5, b'x']),
                "inside a message" => peer.frame(Frame::new(TEXT, "begun").fin(false)),
                _ => {}
            }
            peer.shut_down();
            assert_eq!(rest(&socket), [lost()], "{closes}, {how}");
            assert_eq!(socket.ready_state(), ReadyState::Closed);
        }
    }
}

#[test]
fn row_58_a_reset_is_no_failure_either() {
    let (socket, peer) = open();
    socket.send("unread").unwrap();
    // With that unread, the system resets the connection.
    peer.stream.peek(&mut [0]).unwrap();
    drop(peer);
    assert_eq!(rest(&socket), [lost()]);
    assert!(matches!(socket.failure(), None | Some(Failure::Lost(_))), "{:?}", socket.failure());
}

#[test]
fn row_58_messages_before_the_end_are_delivered() {
    let (socket, mut peer) = open();
    peer.send([Frame::new(TEXT, "one").bytes(), Frame::new(TEXT, "two").bytes()].concat());
    drop(peer);
    assert_eq!(message(&socket), Data::from("one"));
    assert_eq!(message(&socket), Data::from("two"));
    assert_eq!(rest(&socket), [lost()]);
}

#[test]
fn row_59_error_comes_right_before_close_both_when_it_is_closed_and_each_once() {
    let (socket, mut peer) = open();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for event_type in [EventType::Message, EventType::Error, EventType::Close] {
        let heard = Arc::clone(&heard);
        socket.add_event_listener(event_type, move |socket, event| {
            heard.lock().unwrap().push((event.event_type(), socket.ready_state()));
        });
    }
    peer.send([Frame::new(TEXT, "x").bytes(), Frame::new(3, "").bytes(), Frame::new(TEXT, "y").bytes()].concat());
    peer.shut_down();
    socket.run();
    let closed = ReadyState::Closed;
    let expected = [(EventType::Message, ReadyState::Open), (EventType::Error, closed), (EventType::Close, closed)];
    assert_eq!(*heard.lock().unwrap(), expected);
    // The error is an event of its own kind: there is nothing in it.
    assert_eq!(Event::Error.event_type(), EventType::Error);
}

#[test]
fn row_60_a_reason_keeps_its_byte_order_mark() {
    for reason in ["\u{FEFF}", "\u{FEFF}bye", "\0é\u{1F600}", &"\u{FEFF}".repeat(41)] {
        let (socket, mut peer) = open();
        peer.frame(Frame::close(1000, reason));
        peer.shut_down();
        assert_eq!(rest(&socket), [clean(1000, reason)]);
    }
}

#[test]
fn row_61_a_close_that_is_not_answered_in_time_is_a_lost_connection() {
    let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(Some(50), None)));
    let began = Instant::now();
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    peer.frame(Frame::new(TEXT, "anything but a Close"));
    assert_eq!(rest(&socket), [lost()]);
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert!(matches!(socket.failure(), Some(Failure::NoClose(limit)) if limit == Duration::from_millis(50)));
    peer.receive_end();
}

#[test]
fn row_61_a_server_that_takes_nothing_of_what_is_before_the_close_is_not_waited_for() {
    let (socket, peer) = open_with(|builder| builder.time_limits(limits(Some(50), None)));
    socket.send(vec![0; 24 * 1024 * 1024]).unwrap();
    socket.close();
    assert_eq!(rest(&socket), [lost()]);
    assert!(socket.buffered_amount() > 0);
    drop(peer);
}

#[test]
fn row_61_a_server_that_takes_what_is_before_the_close_slowly_is_waited_for() {
    let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(Some(1000), None)));
    socket.send(vec![0; 40 * 1024 * 1024]).unwrap();
    socket.close();
    let began = Instant::now();
    // Each step is short, and all together are three times the limit; they are not enough for all that was sent.
    let (_never, pause) = mpsc::channel::<()>();
    let mut buffer = [0; 64 * 1024];
    while began.elapsed() < Duration::from_millis(3000) {
        assert!(peer.stream.read(&mut buffer).unwrap() > 0);
        let _ = pause.recv_timeout(Duration::from_millis(8));
    }
    while socket.has_tasks() {
        assert_eq!(socket.pump(), Pumped::Quiet);
    }
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    drop(peer);
    assert_eq!(rest(&socket), [lost()]);
}

#[test]
fn row_61_a_server_that_does_not_end_tcp_is_not_waited_for_and_all_is_as_it_should_be() {
    for server_first in [false, true] {
        let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(None, Some(50))));
        if !server_first {
            socket.close_with(4000, "").unwrap();
            assert_eq!(peer.receive_close(), 4000_u16.to_be_bytes());
        }
        let began = Instant::now();
        peer.frame(Frame::close(4001, "why"));
        assert_eq!(rest(&socket), [clean(4001, "why")]);
        assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
        if server_first {
            assert_eq!(peer.receive_close()[..2], 4001_u16.to_be_bytes());
        }
        // Now this side ends it.
        peer.receive_end();
    }
}

#[test]
fn row_61_the_server_ends_tcp_first() {
    for server_first in [false, true] {
        let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(None, None)));
        if server_first {
            peer.frame(Frame::close(1000, ""));
            assert_eq!(peer.receive_close(), 1000_u16.to_be_bytes());
        } else {
            socket.close();
            assert_eq!(peer.receive_close(), b"");
            peer.frame(Frame::close(1000, ""));
        }
        expect_silence(&mut peer, Duration::from_millis(100));
        peer.shut_down();
        assert_eq!(rest(&socket), [clean(1000, "")]);
        peer.receive_end();
    }
}

#[test]
fn row_62_an_idle_connection_stays_open_and_nothing_is_sent_over_it() {
    // All limits are over long before, if any of them counted here.
    let limits = TimeLimits { open: Some(Duration::from_secs(1)), ..limits(Some(1), Some(1)) };
    let (socket, mut peer) = open_with(|builder| builder.time_limits(limits));
    expect_silence(&mut peer, Duration::from_millis(1500));
    assert!(!socket.has_tasks());
    assert_eq!(socket.ready_state(), ReadyState::Open);
    socket.send("there").unwrap();
    assert_eq!(peer.receive_message().1, b"there");
    peer.frame(Frame::new(TEXT, "and back"));
    assert_eq!(message(&socket), Data::from("and back"));
}

#[test]
fn row_62_a_failure_waits_for_nobody() {
    let (socket, mut peer) = open_with(|builder| builder.time_limits(limits(None, None)));
    peer.frame(Frame::new(3, ""));
    assert_eq!(next(&socket), Event::Error);
    assert_eq!(rest(&socket), [failed()[1].clone()]);
}
