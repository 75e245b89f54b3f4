//! Much that comes: who does not take it holds the server back, and limits of a message's length. Rows 37, 41 and 47 as far as they are about that.

use std::io::{ErrorKind, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sansocket_testkit::{BINARY, CONTINUATION, Frame, TEXT};
use sansocket_whatwg::{Data, Event, Failure, ReadyState, WebSocket};

use crate::peer::{Listener, PATIENCE, Peer, clean, failed, message, next, open, open_with, rest};

const MIB: usize = 1024 * 1024;

/// What the system's buffers and the object together never hold.
const TOO_MUCH: usize = 48 * MIB;

/// A server that writes messages of a length until all have gone, or until nothing has moved for a while: gives how many bytes are left then.
fn write_until_stalled(peer: &mut Peer, bytes: &[u8]) -> usize {
    peer.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut written = 0;
    while written < bytes.len() {
        match peer.stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                break;
            }
        }
    }
    peer.stream.set_write_timeout(None).unwrap();
    bytes.len() - written
}

/// So many messages of a length that together are too much.
fn flood(length: usize) -> (usize, Vec<u8>) {
    let count = TOO_MUCH / length;
    let mut bytes = Vec::with_capacity(TOO_MUCH + 14 * count);
    for number in 0..count {
        bytes.extend(Frame::new(BINARY, vec![number as u8; length]).bytes());
    }
    (count, bytes)
}

#[test]
fn row_37_an_owner_who_takes_nothing_holds_the_server_back_and_loses_nothing() {
    for length in [1000, 64 * 1024, 4 * MIB] {
        let (socket, mut peer) = open();
        let (count, bytes) = flood(length);
        let left = write_until_stalled(&mut peer, &bytes);
        assert!(left > 8 * MIB, "{length}: {left} bytes are left");
        let (sender, done) = mpsc::channel();
        let writer = thread::spawn(move || {
            peer.send(&bytes[bytes.len() - left..]);
            sender.send(()).unwrap();
            peer
        });
        assert!(done.try_recv().is_err(), "nobody has pumped yet");
        for number in 0..count {
            let data = message(&socket);
            assert!(data.as_bytes().len() == length && data.as_bytes()[0] == number as u8, "{length}, {number}");
        }
        done.recv_timeout(PATIENCE).unwrap();
        socket.close();
        writer.join().unwrap().finish();
        assert_eq!(rest(&socket), [clean(1005, "")]);
    }
}

#[test]
fn row_37_an_owner_who_takes_nothing_can_send_all_the_same() {
    let (socket, mut peer) = open();
    let (_, bytes) = flood(64 * 1024);
    assert!(write_until_stalled(&mut peer, &bytes) > 0);
    let sent = "x".repeat(MIB);
    for _ in 0..24 {
        socket.send(&*sent).unwrap();
    }
    for _ in 0..24 {
        assert!(peer.receive_message() == (TEXT, sent.clone().into_bytes()));
    }
}

#[test]
fn row_41_closing_with_thousands_of_messages_unread_drops_them_and_reads_on() {
    let (socket, mut peer) = open();
    let (_, bytes) = flood(1000);
    let left = write_until_stalled(&mut peer, &bytes);
    assert!(left > 0);
    socket.close_with(3000, "enough").unwrap();
    // All that is left is taken, and the server gets to the Close.
    peer.send(&bytes[bytes.len() - left..]);
    peer.finish();
    assert_eq!(rest(&socket), [clean(3000, "enough")]);
}

#[test]
fn row_41_the_servers_end_is_found_behind_thousands_of_messages() {
    let (socket, mut peer) = open();
    let (count, bytes) = flood(64 * 1024);
    let writer = thread::spawn(move || {
        peer.send(bytes);
        peer.frame(Frame::close(1000, "all"));
        peer.shut_down();
        peer
    });
    for number in 0..count {
        assert_eq!(message(&socket).as_bytes()[0], number as u8);
    }
    assert_eq!(rest(&socket), [clean(1000, "all")]);
    drop(writer.join().unwrap());
}

#[test]
fn row_47_a_message_may_have_as_many_bytes_as_its_limit_and_not_one_more() {
    let whole = |length: usize| vec![Frame::new(TEXT, vec![b'x'; length])];
    let parts = |length: usize| {
        let (first, second) = (Frame::new(BINARY, [1; 6]).fin(false), Frame::new(CONTINUATION, vec![2; length - 6]));
        vec![first, second]
    };
    for frames_of in [&whole as &dyn Fn(usize) -> Vec<Frame>, &parts] {
        let bytes = |length| frames_of(length).iter().flat_map(Frame::bytes).collect::<Vec<_>>();
        let (socket, mut peer) = open_with(|builder| builder.message_limit(10));
        for _ in 0..3 {
            peer.send(bytes(10));
            assert_eq!(message(&socket).as_bytes().len(), 10);
        }
        peer.send(bytes(11));
        assert_eq!(peer.receive_close()[..2], 1009_u16.to_be_bytes());
        assert_eq!(rest(&socket), failed());
        assert!(matches!(socket.failure(), Some(Failure::Protocol(_))), "{:?}", socket.failure());
    }
}

#[test]
fn row_47_the_limit_holds_for_a_message_in_the_packet_of_the_answer() {
    for (length, fits) in [(10, true), (11, false)] {
        let listener = Listener::new();
        let socket = WebSocket::builder(listener.url()).message_limit(10).build().unwrap();
        let mut peer = listener.accept();
        let answer = peer.answer_of(&[]);
        peer.send([answer.as_bytes(), &Frame::new(TEXT, vec![b'x'; length]).bytes()].concat());
        assert_eq!((next(&socket), socket.ready_state()), (Event::Open, ReadyState::Open));
        if fits {
            assert_eq!(message(&socket), Data::from("xxxxxxxxxx"));
        } else {
            assert_eq!(rest(&socket), failed());
        }
    }
}

#[test]
fn row_47_a_limit_of_nothing_lets_empty_messages_through() {
    let (socket, mut peer) = open_with(|builder| builder.message_limit(0));
    peer.frame(Frame::new(TEXT, ""));
    assert_eq!(message(&socket), Data::from(""));
    peer.frame(Frame::new(TEXT, "x"));
    assert_eq!(rest(&socket), failed());
}

#[test]
fn row_37_messages_of_next_to_nothing_hold_the_server_back_too() {
    for length in [0, 1] {
        let (socket, mut peer) = open();
        let bytes = Frame::new(TEXT, vec![b'x'; length]).bytes().repeat(16 * MIB / (2 + length));
        let left = write_until_stalled(&mut peer, &bytes);
        assert!(left > 0, "all of {} messages of {length} bytes were taken", bytes.len() / (2 + length));
        assert_eq!(message(&socket).as_bytes().len(), length);
    }
}
