//! What this side sends (RFC 6455, sections 5 and 6.1), and what it refuses to send.

use std::cell::RefCell;
use std::rc::Rc;

use sansocket::{
    BoundedOutput, Client, CloseCode, Connection, Either, Kind, Limits, Message, Negotiated, Output, Prepared,
    SendError, Server, SliceOutput,
};
use sansocket_testkit::{
    BINARY, CLOSE, CONTINUATION, Frame, Keys, PING, PONG, Peer, Side, TEXT, close_body, split_frames,
};

type Sides = Connection<Either<Keys>>;
type Call = fn(&mut Sides, &mut dyn Output) -> Result<(), SendError>;

/// Every call that writes a frame, and the size of the frame without a mask.
const CALLS: &[(&str, Call, usize)] = &[
    ("send_text", |connection, out| connection.send_text("häl", out), 2 + 4),
    ("send_text, empty", |connection, out| connection.send_text("", out), 2),
    ("send_binary", |connection, out| connection.send_binary(&[7; 126], out), 4 + 126),
    ("send_binary, long", |connection, out| connection.send_binary(&[7; 65536], out), 10 + 65536),
    ("send_part", |connection, out| connection.send_part(Kind::Binary, &[1, 2, 3], false, out), 2 + 3),
    ("send_part, cut", |connection, out| connection.send_part(Kind::Text, b"a\xE2\x82", false, out), 2 + 3),
    ("ping", |connection, out| connection.ping(&[9; 125], out), 2 + 125),
    ("pong", |connection, out| connection.pong(b"p", out), 2 + 1),
    ("close", |connection, out| connection.close(Some(CloseCode::NORMAL), "bye", out), 2 + 2 + 3),
    ("close, empty", |connection, out| connection.close(None, "", out), 2),
];

fn frame_len(side: Side, unmasked: usize) -> usize {
    unmasked + if side == Side::Client { 4 } else { 0 }
}

/// What a side does from here on, as frames without their keys: two that do the same are in the same state.
fn behaviour(peer: &mut Peer<Either<Keys>>) -> Vec<String> {
    let side = peer.side();
    let connection = &mut peer.connection;
    let mut all = vec![format!("{:?} {:?}", connection.next_step(), connection.ending())];
    let probes: [Call; 8] = [
        |connection, out| connection.send_text("t", out),
        |connection, out| connection.send_part(Kind::Text, b"\xAC", false, out),
        |connection, out| connection.send_part(Kind::Text, b"", true, out),
        |connection, out| connection.send_part(Kind::Binary, b"b", true, out),
        |connection, out| connection.send_part(Kind::Text, b"\xC3", false, out),
        |connection, out| connection.send_part(Kind::Text, b"\xB6", true, out),
        |connection, out| connection.ping(b"p", out),
        |connection, out| connection.close(None, "", out),
    ];
    for probe in probes {
        let mut out = Vec::new();
        let result = probe(connection, &mut out);
        let frames = split_frames(side, &out);
        let frames: Vec<_> = frames.iter().map(|frame| (frame.is_fin(), frame.opcode(), frame.payload())).collect();
        all.push(format!("{result:?} {frames:?}"));
    }
    all
}

// 6.1 and 5.6: messages.

#[test]
fn rfc6455_6_1_a_message_goes_out_in_one_frame_of_its_kind() {
    for side in Side::BOTH {
        Peer::either(side)
            .send(|connection, out| connection.send_text("grüß", out))
            .send(|connection, out| connection.send_binary(&[0xFF, 0], out))
            .send(|connection, out| connection.send_text("", out))
            .send(|connection, out| connection.send_binary(&[], out))
            .expect_frames(&[(TEXT, "grüß".as_bytes()), (BINARY, &[0xFF, 0]), (TEXT, b""), (BINARY, b"")])
            .expect_open();
    }
}

#[test]
fn rfc6455_6_1_a_message_of_either_kind_goes_out_as_what_it_is() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.send(|connection, out| connection.send("grüß", out))
            .send(|connection, out| connection.send(b"\xFF\0", out))
            .send(|connection, out| connection.send(Message::Text(""), out))
            .expect_frames(&[(TEXT, "grüß".as_bytes()), (BINARY, &[0xFF, 0]), (TEXT, b"")])
            .send(|connection, out| connection.send_part(Kind::Text, b"a", false, out))
            .send_fails(SendError::MessageUnderWay, |connection, out| connection.send("b", out))
            .send_fails(SendError::MessageUnderWay, |connection, out| connection.send(b"b", out));
    }
}

#[test]
fn rfc6455_6_1_a_prepared_message_is_the_frame_that_send_writes() {
    for length in [0, 1, 125, 126, 65535, 65536] {
        let text = "x".repeat(length);
        for message in [Message::Text(&text), Message::Binary(text.as_bytes())] {
            let mut out = Vec::new();
            Peer::server().connection.send(message, &mut out).unwrap();
            let prepared = Prepared::new(message);
            assert_eq!((prepared.kind(), prepared.frame()), (message.kind(), &out[..]));
            let mut peer = Peer::server();
            for _ in 0..2 {
                peer.send(|connection, out| connection.send_prepared(&prepared, out)).expect_wire(&out);
            }
            // It needs room for the whole frame, and for no more.
            for (room, sent) in [(0, false), (out.len() - 1, false), (out.len(), true), (out.len() + 1, true)] {
                let mut memory = vec![0; room];
                let mut short = SliceOutput::new(&mut memory);
                let result = peer.connection.send_prepared(&prepared, &mut short);
                assert_eq!(result, if sent { Ok(()) } else { Err(SendError::NoRoom) }, "{length} in {room}");
                assert_eq!(short.bytes(), if sent { &out[..] } else { &[] });
            }
        }
    }
}

#[test]
fn rfc6455_5_4_a_prepared_message_is_a_message_like_any_other() {
    let prepared = Prepared::new("news");
    let mut peer = Peer::server();
    peer.send(|connection, out| connection.send_part(Kind::Text, b"a", false, out))
        .send_fails(SendError::MessageUnderWay, |connection, out| connection.send_prepared(&prepared, out))
        .send(|connection, out| connection.send_part(Kind::Text, b"b", true, out))
        .send(|connection, out| connection.send_prepared(&prepared, out))
        .close(1000, "")
        .send_fails(SendError::Closing, |connection, out| connection.send_prepared(&prepared, out));
}

#[test]
fn rfc6455_5_2_frames_are_sent_in_their_shortest_form_at_every_border() {
    for length in [0, 1, 125, 126, 127, 65535, 65536, 65537, 100_000] {
        let payload = vec![0x5A; length];
        for side in Side::BOTH {
            let mut peer = Peer::either(side);
            peer.send(|connection, out| connection.send_binary(&payload, out));
            // `split_frames` holds the length against its shortest form.
            peer.expect_frames(&[(BINARY, &payload)]);
        }
    }
}

#[test]
fn rfc6455_5_4_parts_are_fragments_of_one_message() {
    for side in Side::BOTH {
        for (kind, opcode) in [(Kind::Text, TEXT), (Kind::Binary, BINARY)] {
            let mut peer = Peer::either(side);
            for (part, last) in [("a", false), ("", false), ("bc", false), ("", true)] {
                peer.send(|connection, out| connection.send_part(kind, part.as_bytes(), last, out));
            }
            let frames = split_frames(side, &peer.out);
            let found: Vec<_> = frames.iter().map(|frame| (frame.is_fin(), frame.opcode(), frame.payload())).collect();
            let expected: [(bool, u8, &[u8]); 4] = [
                (false, opcode, b"a"),
                (false, CONTINUATION, b""),
                (false, CONTINUATION, b"bc"),
                (true, CONTINUATION, b""),
            ];
            assert_eq!(found, expected);
            // The message has ended: another may begin.
            peer.out.clear();
            peer.send(|connection, out| connection.send_part(kind, b"x", true, out)).expect_frames(&[(opcode, b"x")]);
        }
    }
}

#[test]
fn rfc6455_5_4_a_message_is_being_sent_from_its_first_part_to_its_last() {
    for side in Side::BOTH {
        for kind in [Kind::Text, Kind::Binary] {
            let mut peer = Peer::either(side);
            assert!(!peer.connection.is_sending());
            peer.send(|connection, out| connection.send_part(kind, b"a", true, out))
                .send(|connection, out| connection.send(b"b", out));
            assert!(!peer.connection.is_sending(), "one part is a whole message");
            for part in ["a", ""] {
                peer.send(|connection, out| connection.send_part(kind, part.as_bytes(), false, out))
                    .send(|connection, out| connection.ping(b"p", out));
                assert!(peer.connection.is_sending());
            }
            peer.send(|connection, out| connection.send_part(kind, b"", true, out));
            assert!(!peer.connection.is_sending());
        }
    }
    let mut peer = Peer::server();
    for last in [false, true] {
        peer.send(|connection, out| connection.send_header(Kind::Binary, 0, last, out));
        assert_eq!(peer.connection.is_sending(), !last);
    }
}

#[test]
fn rfc6455_5_4_messages_are_not_interleaved() {
    for side in Side::BOTH {
        for (kind, other) in [(Kind::Text, Kind::Binary), (Kind::Binary, Kind::Text)] {
            let mut peer = Peer::either(side);
            let under_way = SendError::MessageUnderWay;
            peer.send(|connection, out| connection.send_part(kind, b"a", false, out))
                .send_fails(under_way, |connection, out| connection.send_text("b", out))
                .send_fails(under_way, |connection, out| connection.send_binary(b"b", out))
                .send_fails(under_way, |connection, out| connection.send_part(other, b"b", false, out))
                .send_fails(under_way, |connection, out| connection.send_part(other, b"", true, out))
                .send(|connection, out| connection.send_part(kind, b"c", true, out))
                .send(|connection, out| connection.send_part(other, b"d", true, out))
                .expect_open();
            let opcodes: Vec<_> = split_frames(side, &peer.out).iter().map(Frame::opcode).collect();
            let [first, second] = if kind == Kind::Text { [TEXT, BINARY] } else { [BINARY, TEXT] };
            assert_eq!(opcodes, [first, CONTINUATION, second]);
        }
    }
}

#[test]
fn rfc6455_5_4_control_frames_go_between_parts() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.send(|connection, out| connection.send_part(Kind::Text, b"\xE2", false, out));
        peer.out.clear();
        peer.send(|connection, out| connection.ping(b"1", out))
            .send(|connection, out| connection.pong(b"2", out))
            .feed_frames(&[Frame::new(PING, "3")])
            .expect_frames(&[(PING, b"1"), (PONG, b"2"), (PONG, b"3")])
            .send(|connection, out| connection.send_part(Kind::Text, b"\x82\xAC", true, out))
            .expect_frames(&[(CONTINUATION, b"\x82\xAC")]);
    }
}

#[test]
fn rfc6455_5_6_parts_of_text_may_cut_characters() {
    let text = "aß€𝄞";
    for side in Side::BOTH {
        for a in 0..=text.len() {
            for b in a..=text.len() {
                let mut peer = Peer::either(side);
                let bytes = text.as_bytes();
                peer.send(|connection, out| connection.send_part(Kind::Text, &bytes[..a], false, out))
                    .send(|connection, out| connection.send_part(Kind::Text, &bytes[a..b], false, out))
                    .send(|connection, out| connection.send_part(Kind::Text, &bytes[b..], true, out));
                let sent = std::mem::take(&mut peer.out);
                let mut reader = Peer::either(side.other());
                reader.feed(&sent).expect_text(text).expect_open();
            }
        }
    }
}

#[test]
fn rfc6455_5_6_parts_that_are_not_utf8_are_refused_and_the_right_one_may_follow() {
    let invalid = SendError::InvalidUtf8;
    for side in Side::BOTH {
        // Wrong from the first part on.
        let mut peer = Peer::either(side);
        for bad in [&b"\xFF"[..], b"ok\xC0", b"\xED\xA0\x80", b"\xF4\x90", b"\xE2(", b"\x80"] {
            peer.send_fails(invalid, |connection, out| connection.send_part(Kind::Text, bad, false, out))
                .send_fails(invalid, |connection, out| connection.send_part(Kind::Text, bad, true, out));
        }
        // No message has begun.
        peer.send(|connection, out| connection.send_binary(b"b", out)).expect_frames(&[(BINARY, b"b")]);

        // Wrong in the middle of a character, or at an end inside of one.
        peer.send(|connection, out| connection.send_part(Kind::Text, b"x\xE2\x82", false, out));
        peer.out.clear();
        for (bad, last) in [
            (&b"("[..], false),
            (b"\x82\x82", false),
            (b"\xAC\xFF", false),
            (b"", true),
            (b"\xAC\xC3", true),
            (b"\xE2\x82\xAC", true),
        ] {
            peer.send_fails(invalid, |connection, out| connection.send_part(Kind::Text, bad, last, out));
        }
        peer.send(|connection, out| connection.send_part(Kind::Text, b"\xAC!", true, out))
            .expect_frames(&[(CONTINUATION, b"\xAC!")])
            .expect_open();
    }
}

#[test]
fn rfc6455_5_6_a_cut_character_of_one_message_does_not_reach_into_the_next() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.send(|connection, out| connection.send_part(Kind::Text, b"\xC3", false, out))
            .send(|connection, out| connection.send_part(Kind::Text, b"\x9F", true, out))
            .send_fails(SendError::InvalidUtf8, |connection, out| connection.send_part(Kind::Text, b"\x9F", true, out))
            .send(|connection, out| connection.send_part(Kind::Binary, b"\x9F", false, out))
            .send(|connection, out| connection.send_part(Kind::Binary, b"\xC3", true, out))
            .send(|connection, out| connection.send_part(Kind::Text, b"t", true, out));
    }
}

#[test]
fn rfc6455_5_5_pings_and_pongs_have_at_most_125_bytes() {
    for side in Side::BOTH {
        Peer::either(side)
            .send(|connection, out| connection.ping(&[1; 125], out))
            .send(|connection, out| connection.pong(&[2; 125], out))
            .send_fails(SendError::ControlTooLong, |connection, out| connection.ping(&[0; 126], out))
            .send_fails(SendError::ControlTooLong, |connection, out| connection.pong(&[0; 126], out))
            .expect_frames(&[(PING, &[1; 125]), (PONG, &[2; 125])])
            .expect_open();
    }
}

// No room.

#[test]
fn no_room_writes_nothing_and_changes_nothing() {
    for side in Side::BOTH {
        for &(name, call, unmasked) in CALLS {
            let needed = frame_len(side, unmasked);
            let expected = behaviour(&mut Peer::either(side));
            for room in [0, 1, needed - 1] {
                let mut peer = Peer::either(side);
                let mut memory = vec![0xEE; room];
                let mut out = SliceOutput::new(&mut memory);
                assert_eq!(call(&mut peer.connection, &mut out), Err(SendError::NoRoom), "{name} in {room}");
                assert_eq!(out.bytes(), b"", "{name} in {room}");
                assert!(memory.iter().all(|byte| *byte == 0xEE), "{name} in {room}");
                assert_eq!(behaviour(&mut peer), expected, "{name} in {room}");
            }
        }
    }
}

#[test]
fn no_room_inside_a_message_changes_nothing() {
    for side in Side::BOTH {
        let begun = || {
            let mut peer = Peer::either(side);
            peer.send(|connection, out| connection.send_part(Kind::Text, b"\xE2\x82", false, out));
            peer
        };
        let expected = behaviour(&mut begun());
        for (part, last) in [(&b"\xAC"[..], false), (b"\xAC", true), (b"\xAC\xC3", false)] {
            let mut peer = begun();
            let result = peer.connection.send_part(Kind::Text, part, last, &mut SliceOutput::new(&mut [0; 2]));
            assert_eq!(result, Err(SendError::NoRoom));
            assert_eq!(behaviour(&mut peer), expected);
        }
    }
}

#[test]
fn a_frame_fits_into_an_output_of_its_own_size() {
    for side in Side::BOTH {
        for &(name, call, unmasked) in CALLS {
            let needed = frame_len(side, unmasked);
            let mut reference = Vec::new();
            assert_eq!(call(&mut Peer::either(side).connection, &mut reference), Ok(()));
            assert_eq!(reference.len(), needed, "{name}");

            for room in [needed, needed + 1] {
                let mut memory = vec![0; room];
                let mut out = SliceOutput::new(&mut memory);
                assert_eq!(call(&mut Peer::either(side).connection, &mut out), Ok(()), "{name} in {room}");
                assert_eq!(out.bytes(), reference);
                assert_eq!(out.room(), room - needed);
                out.clear();
                assert_eq!((out.bytes(), out.room()), (&b""[..], room));

                let mut queue = Vec::new();
                let mut out = BoundedOutput::new(&mut queue, room);
                assert_eq!(call(&mut Peer::either(side).connection, &mut out), Ok(()), "{name} in {room}");
                assert_eq!(queue, reference);
            }
            let mut queue = Vec::new();
            let mut out = BoundedOutput::new(&mut queue, needed - 1);
            assert_eq!(call(&mut Peer::either(side).connection, &mut out), Err(SendError::NoRoom), "{name}");
            assert_eq!(queue, b"");
        }
    }
}

#[test]
fn a_bounded_output_counts_what_the_queue_held_before() {
    let mut queue = vec![1; 10];
    let mut peer = Peer::server();
    // "abc" is 5 bytes as a frame.
    for limit in [0, 9, 10, 14] {
        let mut out = BoundedOutput::new(&mut queue, limit);
        assert_eq!(out.room(), limit.saturating_sub(10));
        assert_eq!(peer.connection.send_text("abc", &mut out), Err(SendError::NoRoom));
    }
    assert_eq!(peer.connection.send_text("abc", &mut BoundedOutput::new(&mut queue, 15)), Ok(()));
    assert_eq!(queue[10..], *b"\x81\x03abc");
}

#[test]
fn an_output_may_be_used_behind_a_trait_object_and_a_reference() {
    let mut vec = Vec::new();
    let out: &mut dyn Output = &mut vec;
    let mut peer = Peer::server();
    assert_eq!(peer.connection.send_text("a", out), Ok(()));
    let mut again = &mut *out;
    assert_eq!(peer.connection.send_text("b", &mut again), Ok(()));
    assert_eq!(vec, b"\x81\x01a\x81\x01b");
}

// 5.1 and 5.3: masks.

#[test]
fn rfc6455_5_1_a_server_never_masks() {
    for &(name, call, _) in CALLS {
        let mut out = Vec::new();
        assert_eq!(call(&mut Peer::either(Side::Server).connection, &mut out), Ok(()));
        assert_eq!(out[1] & 0x80, 0, "{name}");
    }
}

#[test]
fn rfc6455_5_3_a_client_masks_every_frame_with_a_fresh_key_in_the_order_drawn() {
    let drawn = Rc::new(RefCell::new(Vec::new()));
    let source = Rc::clone(&drawn);
    let mut count = 0u32;
    let keys = move || {
        count += 1;
        let key = count.wrapping_mul(0x0101_4201).to_le_bytes();
        source.borrow_mut().push(key);
        key
    };
    let mut connection = Connection::new(Client::new(keys), Negotiated::default(), Limits::DEFAULT);
    let mut out = Vec::new();
    assert!(drawn.borrow().is_empty(), "a key is drawn once its payload is fixed");
    connection.send_text("a", &mut out).unwrap();
    connection.send_part(Kind::Binary, b"b", false, &mut out).unwrap();
    connection.ping(b"c", &mut out).unwrap();
    connection.pong(b"d", &mut out).unwrap();
    connection.receive(&mut &mut [0x89, 1, b'e'][..], &mut out).unwrap();
    connection.send_part(Kind::Binary, b"", true, &mut out).unwrap();
    connection.close(None, "", &mut out).unwrap();
    let frames = split_frames(Side::Client, &out);
    let keys: Vec<_> = frames.iter().map(|frame| frame.key().unwrap()).collect();
    assert_eq!(keys, *drawn.borrow());
    assert_eq!(keys.len(), 7);
    let payloads: Vec<_> = frames.iter().map(|frame| (frame.opcode(), frame.payload())).collect();
    let expected: [(u8, &[u8]); 7] =
        [(TEXT, b"a"), (BINARY, b"b"), (PING, b"c"), (PONG, b"d"), (PONG, b"e"), (CONTINUATION, b""), (CLOSE, b"")];
    assert_eq!(payloads, expected);
}

#[test]
fn rfc6455_5_3_a_call_without_room_draws_no_key() {
    for &(name, call, _) in CALLS {
        let mut first = Peer::either(Side::Client);
        let mut expected = Vec::new();
        first.connection.ping(b"x", &mut expected).unwrap();

        let mut second = Peer::either(Side::Client);
        assert_eq!(call(&mut second.connection, &mut SliceOutput::new(&mut [])), Err(SendError::NoRoom));
        let mut found = Vec::new();
        second.connection.ping(b"x", &mut found).unwrap();
        assert_eq!(found, expected, "{name} has drawn a key for a frame that was not sent");
    }
}

#[test]
fn rfc6455_5_3_the_unmasked_wire_of_a_client_is_a_servers() {
    for length in [0, 1, 2, 3, 4, 5, 7, 8, 9, 125, 126, 1000, 8191, 8192, 8193, 8195, 20_001, 65536] {
        let payload: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
        let wire = |side| {
            let mut peer = Peer::either(side);
            peer.send(|connection, out| connection.send_binary(&payload, out))
                .send(|connection, out| connection.send_part(Kind::Binary, &payload, false, out))
                .send(|connection, out| connection.ping(b"p", out))
                .send(|connection, out| connection.send_part(Kind::Binary, &payload, true, out))
                .close(1000, "bye");
            split_frames(side, &peer.out)
                .into_iter()
                .flat_map(|frame| frame.for_reader(Side::Client, [0; 4]).bytes())
                .collect::<Vec<_>>()
        };
        let mut server = Peer::server();
        server
            .send(|connection, out| connection.send_binary(&payload, out))
            .send(|connection, out| connection.send_part(Kind::Binary, &payload, false, out))
            .send(|connection, out| connection.ping(b"p", out))
            .send(|connection, out| connection.send_part(Kind::Binary, &payload, true, out))
            .close(1000, "bye");
        assert_eq!(wire(Side::Client), server.out);
        assert_eq!(wire(Side::Server), server.out);
    }
}

// Headers alone.

#[test]
fn rfc6455_5_2_a_header_and_its_payload_are_a_part() {
    for length in [0, 1, 125, 126, 65535, 65536] {
        let payload = vec![b'x'; length];
        for kind in [Kind::Text, Kind::Binary] {
            for lasts in [&[true][..], &[false, true], &[false, false, true]] {
                let mut parts = Peer::server();
                let mut headers = Peer::server();
                for &last in lasts {
                    parts.send(|connection, out| connection.send_part(kind, &payload, last, out));
                    headers.send(|connection, out| connection.send_header(kind, length as u64, last, out));
                    headers.out.extend(&payload);
                }
                headers.send(|connection, out| connection.send_text("next", out));
                parts.send(|connection, out| connection.send_text("next", out)).expect_wire(&headers.out);
            }
        }
    }
}

#[test]
fn rfc6455_5_2_headers_and_parts_make_one_message() {
    let mut peer = Peer::server();
    peer.send(|connection, out| connection.send_part(Kind::Text, b"a", false, out))
        .send(|connection, out| connection.send_header(Kind::Text, 1, false, out));
    peer.out.push(b'b');
    peer.send_fails(SendError::MessageUnderWay, |connection, out| connection.send_header(Kind::Binary, 1, true, out))
        .send(|connection, out| connection.send_part(Kind::Text, b"c", true, out));
    let sent = std::mem::take(&mut peer.out);
    Peer::client().feed(&sent).expect_text("abc");
}

#[test]
fn rfc6455_5_6_no_header_inside_a_character() {
    let mut peer = Peer::server();
    peer.send(|connection, out| connection.send_part(Kind::Text, b"\xC3", false, out))
        .send_fails(SendError::InvalidUtf8, |connection, out| connection.send_header(Kind::Text, 1, true, out))
        .send(|connection, out| connection.send_part(Kind::Text, b"\x9F", false, out))
        .send(|connection, out| connection.send_header(Kind::Text, 0, true, out));
}

#[test]
fn rfc6455_5_2_a_header_needs_room_for_itself_alone() {
    for (len, header) in [(125, 2), (126, 4), (65536, 10), ((1 << 63) - 1, 10)] {
        let mut peer = Peer::server();
        let mut memory = [0; 16];
        let mut short = SliceOutput::new(&mut memory[..header - 1]);
        assert_eq!(peer.connection.send_header(Kind::Text, len, false, &mut short), Err(SendError::NoRoom));
        let mut out = SliceOutput::new(&mut memory[..header]);
        assert_eq!(peer.connection.send_header(Kind::Binary, len, false, &mut out), Ok(()), "no message has begun");
        assert_eq!(out.bytes().len(), header);
    }
}

#[test]
#[should_panic(expected = "2^63")]
fn rfc6455_5_2_a_header_of_2_to_the_63_bytes_does_not_exist() {
    let _ = Peer::server().connection.send_header(Kind::Binary, 1 << 63, true, &mut Vec::new());
}

#[test]
fn rfc6455_5_1_a_client_sends_no_prepared_message() {
    let prepared = Prepared::new(b"unmasked");
    for (side, result) in [(Side::Server, Ok(())), (Side::Client, Err(SendError::MustMask))] {
        let mut peer = Peer::either(side);
        assert_eq!(peer.connection.is_server(), side == Side::Server);
        assert_eq!(peer.connection.send_prepared(&prepared, &mut peer.out), result);
        assert_eq!(peer.out, if result.is_ok() { prepared.frame() } else { &[] });
        peer.expect_open();
    }
}

#[test]
fn rfc6455_5_1_a_client_sends_no_header_alone() {
    let mut peer = Peer::client();
    peer.send_fails(SendError::MustMask, |connection, out| connection.send_header(Kind::Binary, 1, true, out))
        .expect_open()
        .send(|connection, out| connection.send_text("a", out))
        .expect_frames(&[(TEXT, b"a")]);
}

// 5.5.1: Closes.

#[test]
fn rfc6455_7_4_every_code_that_may_travel_can_be_sent() {
    for code in 0..=u16::MAX {
        let Some(close_code) = CloseCode::new(code) else { continue };
        let mut connection = Connection::new(Server, Negotiated::default(), Limits::DEFAULT);
        let mut out = Vec::new();
        assert_eq!(connection.close(Some(close_code), "ß", &mut out), Ok(()));
        assert_eq!(out, Frame::new(CLOSE, close_body(code, "ß")).bytes());
    }
}
