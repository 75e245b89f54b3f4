//! What comes: rows 41 to 46.

use std::fmt::Write as _;

use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};
use sansocket_whatwg::{BinaryType, Blob, Data, Event, EventPhase, EventType, Pumped, ReadyState};

use crate::peer::{PATIENCE, clean, message, next, open, rest, step};

#[test]
fn row_41_messages_that_have_come_before_close_was_called_are_dropped() {
    let (socket, mut peer) = open();
    peer.send([Frame::new(TEXT, "one").bytes(), Frame::new(TEXT, "two").bytes()].concat());
    assert_eq!(message(&socket), Data::from("one"));
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    peer.frame(Frame::new(TEXT, "three"));
    peer.send([0x88, 0]);
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1005, "")]);
}

#[test]
fn row_41_a_listener_that_closes_is_the_last_to_hear_of_a_message() {
    let (socket, mut peer) = open();
    socket.add_event_listener(EventType::Message, |socket, _| socket.close());
    peer.send(Frame::new(TEXT, "once").bytes().repeat(1000));
    assert_eq!(message(&socket), Data::from("once"));
    peer.finish();
    assert_eq!(rest(&socket), [clean(1005, "")]);
}

#[test]
fn row_42_a_message_event_has_data_and_an_origin_and_nothing_else() {
    let (socket, mut peer) = open();
    let port = peer.stream.local_addr().unwrap().port();
    peer.frame(Frame::new(TEXT, "text"));
    let Event::Message(event) = next(&socket) else { unreachable!() };
    assert_eq!(event.data().as_text(), Some("text"));
    assert_eq!((event.origin(), event.last_event_id()), (&format!("ws://127.0.0.1:{port}")[..], ""));
    assert_eq!(Event::Message(event).event_phase(), EventPhase::AtTarget);
}

#[test]
fn row_42_what_a_binary_message_is_given_as_is_settled_when_the_event_is_fired() {
    let (socket, mut peer) = open();
    peer.send([Frame::new(BINARY, [1, 0xFF]).bytes(), Frame::new(BINARY, [2]).bytes()].concat());
    assert!(socket.wait_timeout(PATIENCE));
    // They are here already.
    socket.set_binary_type(BinaryType::ArrayBuffer);
    assert_eq!(message(&socket), Data::ArrayBuffer(vec![1, 0xFF]));
    socket.set_binary_type(BinaryType::Blob);
    assert_eq!(message(&socket), Data::Blob(Blob::new(vec![2])));
    peer.frame(Frame::new(TEXT, "a text is a text"));
    assert_eq!(message(&socket), Data::from("a text is a text"));
}

#[test]
fn row_43_binary_types_are_blob_and_arraybuffer_and_no_other() {
    let (socket, peer) = open();
    assert_eq!(socket.binary_type(), BinaryType::Blob);
    for (name, is_one) in [("blob", true), ("arraybuffer", true), ("Blob", false), ("", false), ("text", false)] {
        let before = socket.binary_type();
        // As a binding assigns it.
        if let Ok(binary_type) = name.parse() {
            socket.set_binary_type(binary_type);
        }
        let after = if is_one { name } else { before.as_str() };
        assert_eq!(socket.binary_type().as_str(), after);
    }
    assert_eq!(socket.binary_type(), BinaryType::ArrayBuffer);
    socket.close();
    peer.finish();
    assert_eq!(rest(&socket), [clean(1005, "")]);
    // It can be set for ever.
    socket.set_binary_type(BinaryType::Blob);
    assert_eq!(socket.binary_type(), BinaryType::Blob);
}

#[test]
fn row_44_text_is_as_it_was_sent() {
    let (socket, mut peer) = open();
    let texts = [
        "",
        "\0",
        "a\0b",
        "\u{FEFF}",
        "\u{FEFF}\u{FEFF}behind two marks",
        "\r\n",
        "\u{FFFD}\u{FFFE}\u{FFFF}",
        "\u{D7FF}\u{E000}\u{10FFFF}",
        "é€\u{1F600}",
    ];
    for text in texts {
        peer.frame(Frame::new(TEXT, text));
        assert_eq!(message(&socket), Data::from(text));
    }
}

#[test]
fn row_44_messages_are_the_same_in_single_bytes() {
    let (socket, mut peer) = open();
    peer.send_bytewise(Frame::new(TEXT, "\u{FEFF}é€\u{1F600}\0").bytes());
    assert_eq!(message(&socket), Data::from("\u{FEFF}é€\u{1F600}\0"));
    peer.send_bytewise(Frame::new(BINARY, [3; 200]).bytes());
    assert_eq!(message(&socket).as_bytes(), [3; 200]);
}

#[test]
fn row_45_thousands_of_fragments_make_one_message() {
    let (socket, mut peer) = open();
    for compressed in [false, true] {
        let mut text = String::new();
        for number in 0..2000 {
            write!(text, "é€\u{1F600}{number}").unwrap();
        }
        let mut frames = Vec::new();
        // Single bytes, so that every character is split, and empty ones between them.
        for (at, byte) in text.bytes().enumerate() {
            frames.extend(Frame::new(if at == 0 { TEXT } else { CONTINUATION }, [byte]).fin(false).bytes());
            if compressed {
                frames.extend(Frame::new(CONTINUATION, "").fin(false).bytes());
            }
        }
        frames.extend(Frame::new(CONTINUATION, "").bytes());
        peer.send(frames);
        assert!(message(&socket).as_text() == Some(&text));
    }
}

#[test]
fn row_45_a_message_may_consist_of_empty_fragments_only() {
    let (socket, mut peer) = open();
    for (opcode, data) in [(TEXT, Data::from("")), (BINARY, Data::Blob(Blob::default()))] {
        peer.frame(Frame::new(opcode, "").fin(false));
        (0..5000).for_each(|_| peer.frame(Frame::new(CONTINUATION, "").fin(false)));
        assert!(!socket.has_tasks());
        peer.frame(Frame::new(CONTINUATION, ""));
        assert_eq!(message(&socket), data);
    }
}

#[test]
fn row_46_pings_are_answered_also_inside_a_message() {
    let (socket, mut peer) = open();
    let longest = [0xA5; 125];
    let payloads: [&[u8]; 4] = [b"", b"ping", &[0xFF, 0, 0xC0], &longest];
    for payload in payloads {
        peer.frame(Frame::new(PING, payload));
        let pong = peer.receive();
        assert_eq!((pong.opcode(), pong.payload(), pong.is_fin()), (PONG, payload, true));
    }
    peer.frame(Frame::new(TEXT, "in").fin(false));
    for payload in payloads {
        peer.frame(Frame::new(PING, payload));
        let pong = peer.receive();
        assert_eq!((pong.opcode(), pong.payload()), (PONG, payload));
        peer.frame(Frame::new(CONTINUATION, " parts").fin(false));
    }
    // Nobody can see any of this.
    assert!(!socket.has_tasks());
    peer.frame(Frame::new(CONTINUATION, "."));
    assert_eq!(message(&socket), Data::from("in parts parts parts parts."));
    assert_eq!(socket.buffered_amount(), 0);
}

#[test]
fn row_46_pongs_that_nobody_has_asked_for_are_ignored() {
    let (socket, mut peer) = open();
    for payload in [&b""[..], b"pong", &[1; 125]] {
        peer.frame(Frame::new(PONG, payload));
    }
    peer.frame(Frame::new(TEXT, "one ").fin(false));
    peer.frame(Frame::new(PONG, "inside"));
    peer.frame(Frame::new(CONTINUATION, "message"));
    assert_eq!(message(&socket), Data::from("one message"));
    socket.send("and no answer").unwrap();
    assert_eq!(peer.receive_message().1, b"and no answer");
}

#[test]
fn row_46_the_owner_need_not_pump_for_a_pong() {
    let (socket, mut peer) = open();
    peer.frame(Frame::new(TEXT, "unread"));
    peer.frame(Frame::new(PING, "there?"));
    assert_eq!(peer.receive().payload(), b"there?");
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    // Between the two Closes, too.
    peer.frame(Frame::new(PING, "still there?"));
    let pong = peer.receive();
    assert_eq!((pong.opcode(), pong.payload()), (PONG, &b"still there?"[..]));
    peer.frame(Frame::new(CLOSE, ""));
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1005, "")]);
}

#[test]
fn row_46_pings_behind_the_servers_close_change_nothing() {
    let (socket, mut peer) = open();
    peer.send([Frame::close(1000, "").bytes(), Frame::new(PING, "late").bytes()].concat());
    assert_eq!(peer.receive_close(), 1000_u16.to_be_bytes());
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Quiet, ReadyState::Closing));
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1000, "")]);
    peer.receive_end();
}
