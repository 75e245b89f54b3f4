//! What a server must not send: rows 47 and 48.

use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, LengthForm, PING, PONG, TEXT, close_body};
use sansocket_whatwg::{Data, Event, Failure, ReadyState, WebSocket};

use crate::peer::{Listener, Peer, failed, message, next, open, rest};

const INVALID_DATA: u16 = 1007;
const PROTOCOL: u16 = 1002;

/// Every breach: what it is, its bytes, and the code that the server gets for it.
fn breaches() -> Vec<(String, Vec<u8>, u16)> {
    let mut table = Vec::new();
    let mut add = |what: String, frames: &[Frame], code: u16| {
        table.push((what, frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>(), code));
    };
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        add(format!("masked: {opcode}"), &[Frame::new(opcode, "").masked([1, 2, 3, 4])], PROTOCOL);
        for reserved in 1..=7 {
            add(format!("{reserved}, opcode {opcode}"), &[Frame::new(opcode, "").reserved(reserved)], PROTOCOL);
        }
    }
    for opcode in (3..=7).chain(0xB..=0xF) {
        add(format!("opcode {opcode}"), &[Frame::new(opcode, "")], PROTOCOL);
        add(format!("opcode {opcode}, not final"), &[Frame::new(opcode, "").fin(false)], PROTOCOL);
    }
    for opcode in [PING, PONG, CLOSE] {
        add(format!("fragmented: {opcode}"), &[Frame::new(opcode, "").fin(false)], PROTOCOL);
        add(format!("126 bytes: {opcode}"), &[Frame::new(opcode, [3; 126])], PROTOCOL);
        add(format!("65536 bytes: {opcode}"), &[Frame::new(opcode, [3; 65_536])], PROTOCOL);
    }
    for fin in [false, true] {
        add(format!("continues nothing, {fin}"), &[Frame::new(CONTINUATION, "x").fin(fin)], PROTOCOL);
        for opcode in [TEXT, BINARY] {
            let inside = [Frame::new(TEXT, "begun").fin(false), Frame::new(opcode, "new").fin(fin)];
            add(format!("{opcode} inside a message, {fin}"), &inside, PROTOCOL);
        }
    }
    for length in [0_usize, 1, 125] {
        let frame = Frame::new(BINARY, vec![0; length]);
        add(format!("{length} in 16 bits"), &[frame.clone().length_form(LengthForm::Bits16)], PROTOCOL);
        add(format!("{length} in 64 bits"), &[frame.length_form(LengthForm::Bits64)], PROTOCOL);
    }
    for length in [126, 65_535] {
        let frame = Frame::new(BINARY, vec![0; length]).length_form(LengthForm::Bits64);
        add(format!("{length} in 64 bits"), &[frame], PROTOCOL);
    }
    for length in [1 << 63, u64::MAX] {
        add(format!("length {length}"), &[Frame::new(BINARY, "").declared(length)], PROTOCOL);
    }
    add(String::from("Close of one byte"), &[Frame::new(CLOSE, [3])], PROTOCOL);
    for code in [1005, 1006, 1015] {
        add(format!("Close with {code}"), &[Frame::close(code, "")], PROTOCOL);
        add(format!("Close with {code} and a reason"), &[Frame::close(code, "why")], PROTOCOL);
    }
    for (what, bytes) in invalid_texts() {
        add(format!("text: {what}"), &[Frame::new(TEXT, bytes)], INVALID_DATA);
        add(format!("text behind others: {what}"), &[Frame::new(TEXT, [b"valid: ", bytes].concat())], INVALID_DATA);
        let mut fragments = vec![Frame::new(TEXT, "").fin(false)];
        fragments.extend(bytes.iter().map(|&byte| Frame::new(CONTINUATION, [byte]).fin(false)));
        fragments.push(Frame::new(CONTINUATION, ""));
        add(format!("text in single bytes: {what}"), &fragments, INVALID_DATA);
        let close = [&close_body(1000, ""), bytes].concat();
        add(format!("reason: {what}"), &[Frame::new(CLOSE, close)], INVALID_DATA);
    }
    table
}

const fn invalid_texts() -> [(&'static str, &'static [u8]); 10] {
    [
        ("no such byte", b"\xFF"),
        ("a continuation of nothing", b"\x80"),
        ("two bytes for one", b"\xC0\x80"),
        ("three bytes for two", b"\xE0\x80\xAF"),
        ("a high surrogate", b"\xED\xA0\x80"),
        ("a low surrogate", b"\xED\xBF\xBF"),
        ("a pair of surrogates", b"\xED\xA0\xBD\xED\xB8\x80"),
        ("beyond U+10FFFF", b"\xF4\x90\x80\x80"),
        ("cut short", b"\xE2\x82"),
        ("cut short by another", b"\xE2\x82a"),
    ]
}

/// Sends a breach, and looks at what the server gets and at how the object ends.
fn expect_failure(what: &str, bytes: &[u8], code: u16, (socket, mut peer): (WebSocket, Peer)) {
    peer.send(bytes);
    let body = peer.receive_close();
    assert_eq!(body.get(..2), Some(&code.to_be_bytes()[..]), "{what}: {body:?}");
    assert_eq!(rest(&socket), failed(), "{what}");
    assert!(matches!(socket.failure(), Some(Failure::Protocol(_))), "{what}: {:?}", socket.failure());
}

#[test]
fn row_47_every_breach_makes_the_connection_fail_and_the_server_hears_why() {
    for (what, bytes, code) in breaches() {
        expect_failure(&what, &bytes, code, open());
    }
}

#[test]
fn row_47_a_reserved_bit_has_a_meaning_only_where_the_extension_gives_it_one() {
    let compressed = Frame::new(TEXT, [0xF2, 0xC8, 0x04, 0x00]).reserved(4);
    let table = [
        ("RSV2", vec![compressed.clone().reserved(6)], PROTOCOL),
        ("RSV3", vec![Frame::new(TEXT, "").reserved(1)], PROTOCOL),
        ("RSV1 of a ping", vec![Frame::new(PING, "").reserved(4)], PROTOCOL),
        ("RSV1 of a Close", vec![Frame::new(CLOSE, "").reserved(4)], PROTOCOL),
        (
            "RSV1 of a continuation",
            vec![compressed.clone().fin(false), Frame::new(CONTINUATION, "").reserved(4)],
            PROTOCOL,
        ),
    ];
    let opened = || {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        peer.answer(&["Sec-WebSocket-Extensions: permessage-deflate"]);
        assert_eq!(next(&socket), Event::Open);
        (socket, peer)
    };
    for (what, frames, code) in table {
        let bytes: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
        expect_failure(what, &bytes, code, opened());
    }
    let (socket, mut peer) = opened();
    peer.frame(compressed);
    assert_eq!(message(&socket), Data::from("Hi"));
}

#[test]
fn row_47_the_connection_ends_behind_the_close() {
    let (socket, mut peer) = open();
    peer.frame(Frame::new(3, ""));
    let _ = peer.receive_close();
    assert_eq!(rest(&socket), failed());
    peer.shut_down();
    peer.receive_end();
}

#[test]
fn row_47_a_breach_while_it_is_closing_is_one_as_well() {
    let (socket, mut peer) = open();
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    peer.frame(Frame::new(3, ""));
    peer.shut_down();
    assert_eq!(rest(&socket), failed());
}

#[test]
fn row_48_what_came_whole_before_the_breach_is_delivered() {
    let breach = Frame::new(3, "").bytes();
    for with_begun in [false, true] {
        let (socket, mut peer) = open();
        let mut bytes = [Frame::new(TEXT, "one").bytes(), Frame::new(BINARY, "two").bytes()].concat();
        if with_begun {
            bytes.extend(Frame::new(TEXT, "never whole").fin(false).bytes());
        }
        bytes.extend(&breach);
        bytes.extend(Frame::new(TEXT, "behind").bytes());
        peer.send(bytes);
        assert_eq!(message(&socket), Data::from("one"));
        assert_eq!((message(&socket).as_bytes(), socket.ready_state()), (&b"two"[..], ReadyState::Open));
        assert_eq!(rest(&socket), failed());
    }
}

#[test]
fn row_48_thousands_of_messages_before_the_breach_are_delivered() {
    let (socket, mut peer) = open();
    let mut bytes = Vec::new();
    for number in 0..5000 {
        bytes.extend(Frame::new(TEXT, number.to_string()).bytes());
    }
    bytes.extend(Frame::new(TEXT, [0xFF]).bytes());
    peer.send(bytes);
    assert_eq!(peer.receive_close()[..2], INVALID_DATA.to_be_bytes());
    for number in 0..5000 {
        assert_eq!(message(&socket), Data::from(number.to_string()));
    }
    assert_eq!(rest(&socket), failed());
}
