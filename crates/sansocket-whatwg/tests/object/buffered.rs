//! Much that is sent, and what is said to wait: rows 37 to 40.

use std::sync::mpsc;
use std::thread;

use sansocket_testkit::{BINARY, CLOSE, Frame, TEXT};
use sansocket_whatwg::{Blob, Data, Event, EventType, Payload, Pumped, ReadyState, WebSocket};

use crate::peer::{Listener, PATIENCE, Peer, clean, lost, message, next, open, rest, step};

const MIB: usize = 1024 * 1024;

/// Bytes that say where they are.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

/// Lets tasks happen until nothing waits any more. None of them is an event.
fn drain(socket: &WebSocket) {
    while socket.buffered_amount() > 0 {
        assert_eq!(step(socket), Pumped::Quiet);
    }
}

#[test]
fn row_37_sixteen_mebibytes_go_to_the_server() {
    let (socket, mut peer) = open();
    let sent = pattern(16 * MIB);
    socket.send(&sent).unwrap();
    assert_eq!(socket.buffered_amount(), 16 * MIB as u64);
    let receiver = thread::spawn(move || (peer.receive_message(), peer));
    let ((opcode, received), peer) = receiver.join().unwrap();
    assert!(opcode == BINARY && received == sent);
    drain(&socket);
    drop(peer);
}

#[test]
fn row_37_sixteen_mebibytes_come_from_the_server() {
    let (socket, mut peer) = open();
    let sent = "sixteen bytes, é".repeat(MIB * 16 / 17);
    let frame = Frame::new(TEXT, &sent);
    let sender = thread::spawn(move || {
        peer.frame(frame);
        peer
    });
    assert!(message(&socket).as_text() == Some(&sent));
    drop(sender.join().unwrap());
}

/// Fifty messages to a server that reads the next when it is told to. `length`: of each.
fn fifty_messages(length: usize) {
    let (socket, mut peer) = open();
    let (go, told) = mpsc::channel::<()>();
    let (done, received) = mpsc::channel();
    let slow = thread::spawn(move || {
        for () in told {
            done.send(peer.receive_message().1).unwrap();
        }
    });
    let payload = |number: u8| vec![number; length];
    for number in 0..50 {
        socket.send(payload(number)).unwrap();
    }
    let all = 50 * length as u64;
    assert_eq!(socket.buffered_amount(), all);
    let mut before = all;
    for number in 0..50 {
        go.send(()).unwrap();
        assert!(received.recv_timeout(PATIENCE).unwrap() == payload(number), "{number}");
        while socket.has_tasks() {
            assert_eq!(socket.pump(), Pumped::Quiet);
        }
        assert!(socket.buffered_amount() <= before);
        before = socket.buffered_amount();
    }
    drain(&socket);
    drop(go);
    slow.join().unwrap();
}

#[test]
fn row_37_fifty_messages_reach_a_slow_reader() {
    fifty_messages(64 * 1024);
}

#[test]
fn row_37_fifty_messages_that_no_buffer_of_the_system_holds_reach_a_slow_reader() {
    fifty_messages(256 * 1024);
}

#[test]
fn row_38_the_amount_grows_at_once_by_the_bytes_of_the_payload() {
    for extensions in [&[][..], &["Sec-WebSocket-Extensions: permessage-deflate"]] {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        listener.accept().answer(extensions);
        assert_eq!(next(&socket), Event::Open);
        let mut amount = 0;
        let table: [(Payload, u64); 7] = [
            ("".into(), 0),
            ("a".into(), 1),
            ("é€\u{1F600}".into(), 9),
            (Payload::from_utf16(&[0xD800]), 3),
            ([0; 10].into(), 10),
            (Blob::new(vec![0; 1000]).slice(1..).into(), 999),
            ("x".repeat(100_000).into(), 100_000),
        ];
        for (payload, grows) in table {
            socket.send(payload).unwrap();
            amount += grows;
            assert_eq!(socket.buffered_amount(), amount);
        }
    }
}

#[test]
fn row_39_nothing_shrinks_while_a_listener_runs_though_the_server_has_got_all() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let (received, is_received) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut peer = listener.accept();
        peer.answer(&[]);
        for _ in 0..3 {
            received.send(peer.receive_message()).unwrap();
        }
        peer
    });
    socket.add_event_listener(EventType::Open, move |socket, _| {
        for round in 1..=3 {
            socket.send([7; 1000]).unwrap();
            let got = is_received.recv_timeout(PATIENCE).unwrap();
            assert_eq!(got, (BINARY, vec![7; 1000]));
            // Waiting and pumping within a listener do nothing.
            assert!(!socket.wait());
            assert_eq!(socket.pump(), Pumped::Idle);
            assert_eq!(socket.buffered_amount(), 1000 * round);
        }
    });
    assert_eq!(next(&socket), Event::Open);
    assert_eq!(socket.buffered_amount(), 3000);
    drain(&socket);
    drop(server.join().unwrap());
}

#[test]
fn row_39_nothing_shrinks_between_two_pumps_however_long_that_is() {
    let (socket, mut peer) = open();
    socket.send("four").unwrap();
    assert_eq!(peer.receive_message().1, b"four");
    assert!(socket.wait_timeout(PATIENCE));
    assert_eq!(socket.buffered_amount(), 4);
    assert_eq!((socket.pump(), socket.buffered_amount()), (Pumped::Quiet, 0));
    assert_eq!(socket.pump(), Pumped::Idle);
}

#[test]
fn row_40_closing_does_not_set_it_back() {
    let (socket, mut peer) = open();
    let sent = pattern(24 * MIB);
    socket.send(&sent).unwrap();
    socket.close();
    let amount = 24 * MIB as u64;
    assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Closing, amount));
    socket.send("more").unwrap();
    assert_eq!(socket.buffered_amount(), amount + 4);
    // What was sent before goes out all the same.
    let server = thread::spawn(move || {
        let (_, received) = peer.receive_message();
        peer.finish();
        received
    });
    assert_eq!(rest(&socket), [clean(1005, "")]);
    assert!(server.join().unwrap() == sent);
    assert_eq!(socket.buffered_amount(), 4);
    socket.send("still more").unwrap();
    assert_eq!(socket.buffered_amount(), 14);
}

#[test]
fn row_40_what_a_lost_connection_has_not_taken_stays_in_it() {
    let (socket, peer) = open();
    socket.send(pattern(24 * MIB)).unwrap();
    let Peer { stream, .. } = peer;
    // Something has come that nobody has read: the end is a reset.
    stream.peek(&mut [0]).unwrap();
    drop(stream);
    assert_eq!(rest(&socket), [lost()]);
    let left = socket.buffered_amount();
    assert!(left > 0);
    socket.send("four").unwrap();
    assert_eq!(socket.buffered_amount(), left + 4);
    assert_eq!((socket.pump(), socket.buffered_amount()), (Pumped::Idle, left + 4));
}

#[test]
fn row_40_what_comes_too_late_stays_in_it_behind_a_message_that_the_servers_close_has_cut() {
    let (socket, mut peer) = open();
    let bystander = open();
    let sent = pattern(24 * MIB);
    socket.send(&sent).unwrap();
    peer.frame(Frame::close(1000, ""));
    let mut taken = 0;
    while let frame = peer.receive()
        && frame.opcode() != CLOSE
    {
        taken += frame.payload().len();
    }
    assert!(taken > 0 && taken < sent.len());
    // The owner does not know yet.
    socket.send("four").unwrap();
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1000, "")]);
    assert_eq!(socket.buffered_amount(), (sent.len() - taken + 4) as u64);
    // It is nobody else's matter.
    let (socket, mut peer) = bystander;
    peer.frame(Frame::new(TEXT, "five"));
    assert_eq!(message(&socket), Data::Text(String::from("five")));
}

#[test]
fn row_40_what_comes_too_late_to_be_sent_stays_in_it() {
    let (socket, mut peer) = open();
    peer.frame(Frame::close(1000, ""));
    assert_eq!(peer.receive_close(), 1000_u16.to_be_bytes());
    // The owner does not know yet.
    assert_eq!(socket.ready_state(), ReadyState::Open);
    socket.send("four").unwrap();
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Quiet, ReadyState::Closing));
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1000, "")]);
    assert_eq!(socket.buffered_amount(), 4);
    peer.receive_end();
}
