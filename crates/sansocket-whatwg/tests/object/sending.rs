//! What is sent: rows 31 to 36.

use std::borrow::Cow;
use std::collections::HashSet;

use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, TEXT};
use sansocket_whatwg::{BinaryType, Blob, Bytes, DomExceptionKind, Event, Failure, Payload, ReadyState, WebSocket};

use crate::peer::{Listener, PATIENCE, clean, failed, next, open, open_with, rest, step};

#[test]
fn row_31_while_it_is_connecting_whatever_is_sent_is_refused() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let mut peer = listener.accept();
    let refuse = || {
        for payload in [Payload::from("text"), Payload::from(b"bytes"), Payload::from(""), Payload::from([0; 0])] {
            let error = socket.send(payload).unwrap_err();
            assert_eq!((error.kind(), error.name()), (DomExceptionKind::InvalidState, "InvalidStateError"));
        }
        assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Connecting, 0));
    };
    refuse();
    peer.answer(&[]);
    assert!(socket.wait_timeout(PATIENCE));
    // The server has accepted, and the owner does not know yet.
    refuse();
    let _ = next(&socket);
    socket.send("the first").unwrap();
    assert_eq!(peer.receive_message(), (TEXT, b"the first".to_vec()));
}

#[test]
fn row_32_behind_close_nothing_is_sent_and_what_is_buffered_grows_all_the_same() {
    let (socket, mut peer) = open();
    socket.close();
    socket.send("four").unwrap();
    socket.send([0; 100]).unwrap();
    assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Closing, 104));
    assert_eq!(peer.receive_close(), b"");
    peer.frame(Frame::new(CLOSE, ""));
    socket.send("é").unwrap();
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1005, "")]);
    socket.send("closed").unwrap();
    assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Closed, 112));
    peer.receive_end();
}

#[test]
fn row_32_an_object_that_was_never_open_counts_too() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    drop(listener.accept());
    assert_eq!(rest(&socket), failed());
    socket.send("four").unwrap();
    assert_eq!(socket.buffered_amount(), 4);
}

#[test]
fn row_33_texts_are_sent_as_text_and_all_else_as_bytes() {
    let (socket, mut peer) = open();
    let bytes = [0, 1, 2, 0xFF];
    let lone = [0x61, 0xD800, 0x62, 0xDC00, 0xD83D, 0xDE00, 0xDBFF];
    let table: Vec<(Payload, u8, &[u8])> = vec![
        ("text \u{0} \u{1F600}".into(), TEXT, "text \u{0} \u{1F600}".as_bytes()),
        (String::from("owned").into(), TEXT, b"owned"),
        ((&String::from("lent")).into(), TEXT, b"lent"),
        (Box::<str>::from("boxed").into(), TEXT, b"boxed"),
        (Cow::Borrowed("either").into(), TEXT, b"either"),
        (Payload::from_utf16(&lone), TEXT, "a\u{FFFD}b\u{FFFD}\u{1F600}\u{FFFD}".as_bytes()),
        (bytes.into(), BINARY, &bytes),
        ((&bytes).into(), BINARY, &bytes),
        ((&bytes[1..3]).into(), BINARY, &[1, 2]),
        (bytes.to_vec().into(), BINARY, &bytes),
        ((&bytes.to_vec()).into(), BINARY, &bytes),
        (Box::<[u8]>::from(bytes).into(), BINARY, &bytes),
        (Bytes::from_static(b"shared").into(), BINARY, b"shared"),
        (Blob::new(bytes.to_vec()).into(), BINARY, &bytes),
        ((&Blob::new(bytes.to_vec()).slice(2..)).into(), BINARY, &[2, 0xFF]),
        ("behind the blobs".into(), TEXT, b"behind the blobs"),
    ];
    for (payload, _, sent) in &table {
        assert_eq!(payload.len(), sent.len());
        socket.send(payload.clone()).unwrap();
    }
    for (payload, opcode, sent) in table {
        assert_eq!(peer.receive_message(), (opcode, sent.to_vec()), "{payload:?}");
    }
}

#[test]
fn row_33_what_is_lent_is_copied_by_the_call() {
    let (socket, mut peer) = open();
    let mut bytes = vec![1; 1000];
    socket.send(&bytes).unwrap();
    bytes.fill(2);
    socket.send(&bytes[..10]).unwrap();
    bytes.fill(3);
    assert_eq!(peer.receive_message(), (BINARY, vec![1; 1000]));
    assert_eq!(peer.receive_message(), (BINARY, vec![2; 10]));
}

#[test]
fn row_34_empty_messages_are_sent_as_such() {
    let (socket, mut peer) = open();
    socket.send("").unwrap();
    socket.send([0; 0]).unwrap();
    socket.send(Blob::default()).unwrap();
    assert_eq!(socket.buffered_amount(), 0);
    for opcode in [TEXT, BINARY, BINARY] {
        let frame = peer.receive();
        assert_eq!((frame.opcode(), frame.is_fin(), frame.payload()), (opcode, true, &[][..]));
    }
}

#[test]
fn row_35_as_many_bytes_as_the_limit_may_wait() {
    let (socket, mut peer) = open_with(|builder| builder.buffer_limit(10));
    for round in 0..3 {
        socket.send("four").unwrap();
        socket.send("or six").unwrap();
        assert_eq!(peer.receive_message().1, b"four");
        assert_eq!(peer.receive_message().1, b"or six", "{round}");
        while socket.buffered_amount() > 0 {
            assert!(socket.wait_timeout(PATIENCE));
            let _ = socket.pump();
        }
    }
    assert_eq!(socket.ready_state(), ReadyState::Open);
}

#[test]
fn row_35_one_byte_more_makes_it_full_and_it_fails() {
    for (before, too_much) in [("", "eleven byte"), ("four", "seven b")] {
        let (socket, mut peer) = open_with(|builder| builder.buffer_limit(10));
        if !before.is_empty() {
            socket.send(before).unwrap();
            assert_eq!(peer.receive_message().1, before.as_bytes());
        }
        socket.send(too_much).unwrap();
        assert_eq!(socket.buffered_amount(), 11);
        // Not even what would fit is sent any more.
        socket.send("1").unwrap();
        assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Open, 12));
        assert_eq!(peer.receive_close(), 1001_u16.to_be_bytes());
        assert_eq!(rest(&socket), failed());
        assert!(matches!(socket.failure(), Some(Failure::BufferFull)), "{:?}", socket.failure());
        assert_eq!(socket.buffered_amount(), 12 - before.len() as u64, "what was not sent");
        peer.receive_end();
    }
}

#[test]
fn row_35_a_message_under_way_is_broken_off() {
    let limit = 24 * 1024 * 1024;
    let (socket, mut peer) = open_with(|builder| builder.buffer_limit(limit));
    socket.send(vec![0; limit as usize]).unwrap();
    let first = peer.receive();
    assert!(!first.is_fin());
    socket.send("1").unwrap();
    let mut received = first.payload().len();
    let close = loop {
        let frame = peer.receive();
        if frame.opcode() == CLOSE {
            break frame;
        }
        assert!(frame.opcode() == CONTINUATION && !frame.is_fin());
        received += frame.payload().len();
    };
    assert_eq!(close.payload(), 1001_u16.to_be_bytes());
    assert!((received as u64) < limit);
    peer.shut_down();
    assert_eq!(rest(&socket), failed());
    let amount = socket.buffered_amount();
    assert!((limit + 1 - received as u64..=limit + 1).contains(&amount), "{amount}");
}

#[test]
fn row_35_closing_a_full_object_does_not_make_its_end_a_clean_one() {
    let (socket, mut peer) = open_with(|builder| builder.buffer_limit(0));
    socket.send("").unwrap();
    assert_eq!(peer.receive_message(), (TEXT, Vec::new()));
    socket.send("1").unwrap();
    socket.close_with(4000, "").unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(peer.receive_close(), 1001_u16.to_be_bytes());
    peer.shut_down();
    assert_eq!(rest(&socket), failed());
}

#[test]
fn row_36_every_frame_has_a_key_of_its_own() {
    let mut keys = HashSet::new();
    let mut steps = HashSet::new();
    for _ in 0..2 {
        let (socket, mut peer) = open();
        let mut before = 0;
        for _ in 0..150 {
            socket.send("the same").unwrap();
            let frame = peer.receive();
            assert_eq!(frame.payload(), b"the same");
            let key = u32::from_be_bytes(frame.key().unwrap());
            steps.insert(key.wrapping_sub(before));
            before = key;
            keys.insert(key);
        }
    }
    // Of 300 numbers of 32 bits, two are equal once in a hundred thousand times.
    assert!(keys.len() >= 299 && steps.len() >= 299, "{} keys, {} steps", keys.len(), steps.len());
}

#[test]
fn row_36_control_frames_are_masked_with_fresh_keys_too() {
    let (socket, mut peer) = open();
    let mut keys = HashSet::new();
    for _ in 0..20 {
        peer.frame(Frame::new(PING, "ping"));
        keys.insert(peer.receive().key().unwrap());
    }
    socket.close();
    keys.insert(peer.receive().key().unwrap());
    assert_eq!(keys.len(), 21);
}

#[test]
fn row_36_lengths_have_their_shortest_form() {
    let (socket, mut peer) = open();
    for length in [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000] {
        socket.send(vec![b'x'; length]).unwrap();
        // The form of the length is looked at by who receives.
        assert_eq!(peer.receive_message(), (BINARY, vec![b'x'; length]));
    }
}

#[test]
fn row_33_what_has_come_can_be_sent_back_as_it_is() {
    let (socket, mut peer) = open();
    for (binary_type, opcode, payload) in [
        (BinaryType::Blob, TEXT, "é".as_bytes()),
        (BinaryType::Blob, TEXT, b""),
        (BinaryType::Blob, BINARY, b"\xFFblob"),
        (BinaryType::ArrayBuffer, BINARY, b"\xFFbytes"),
        (BinaryType::ArrayBuffer, BINARY, b""),
    ] {
        socket.set_binary_type(binary_type);
        peer.frame(Frame::new(opcode, payload));
        let Event::Message(event) = next(&socket) else { panic!("a message was to come") };
        socket.send(event.data()).unwrap();
        socket.send(event.into_data()).unwrap();
        for _ in 0..2 {
            assert_eq!(peer.receive_message(), (opcode, payload.to_vec()));
        }
        while socket.buffered_amount() > 0 {
            let _ = step(&socket);
        }
    }
}
