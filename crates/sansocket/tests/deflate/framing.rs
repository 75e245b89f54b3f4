//! Which frames of which messages are compressed (RFC 7692, section 6).

use sansocket::deflate::Compress;
use sansocket::{Event, Kind, Limits, ProtocolError};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Peer, Received, Side, TEXT};

use super::oracle::{Packer, packed};
use super::{FRESH, RSV1, Receiver, Sender, TAKEOVER, all_of, fragments, noise};

const HELLO: &[u8] = b"\xF2\x48\xCD\xC9\xC9\x07\x00";

#[test]
fn rfc7692_6_rsv1_that_was_not_negotiated_is_1002() {
    let mut server = Peer::server();
    server.feed(b"\xC1\x87\0\0\0\0\xF2\x48\xCD\xC9\xC9\x07\x00").expect_failed(ProtocolError::ReservedBits);
    server.expect_fail_close(ProtocolError::ReservedBits);
    assert_eq!(ProtocolError::ReservedBits.close_code().get(), 1002);
    let mut client = Peer::client();
    client.feed(b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00").expect_failed(ProtocolError::ReservedBits);
    client.expect_fail_close(ProtocolError::ReservedBits);
}

#[test]
fn rfc7692_6_rsv2_and_rsv3_mean_nothing() {
    for side in Side::BOTH {
        for reserved in [1, 2, 3, RSV1 | 1, RSV1 | 2, 7] {
            for opcode in [TEXT, BINARY, PING] {
                let mut receiver = Receiver::new(side, FRESH);
                receiver.feed_frames(&[Frame::new(opcode, HELLO).reserved(reserved)]);
                receiver.expect_failed(ProtocolError::ReservedBits);
            }
        }
    }
}

#[test]
fn rfc7692_6_1_rsv1_on_a_control_frame_is_1002() {
    for side in Side::BOTH {
        for (opcode, payload) in [(PING, HELLO), (PONG, b""), (CLOSE, b"\x03\xE8"), (CLOSE, b"")] {
            let control = Frame::new(opcode, payload).reserved(RSV1);
            Receiver::new(side, FRESH)
                .feed_frames(std::slice::from_ref(&control))
                .expect_failed(ProtocolError::ReservedBits);
            // Inside of a compressed message too.
            let [first, _] = &fragments(TEXT, &[HELLO, b""])[..] else { panic!() };
            let mut receiver = Receiver::new(side, FRESH);
            receiver.feed_frames(&[first.clone(), control]).expect_failed(ProtocolError::ReservedBits);
        }
    }
}

#[test]
fn rfc7692_6_2_rsv1_on_a_continuation_is_1002() {
    for side in Side::BOTH {
        for first in [Frame::new(TEXT, "He").fin(false), Frame::new(TEXT, HELLO).fin(false).reserved(RSV1)] {
            for fin in [false, true] {
                let continuation = Frame::new(CONTINUATION, b"").reserved(RSV1).fin(fin);
                let mut receiver = Receiver::new(side, TAKEOVER);
                receiver.feed_frames(&[first.clone(), continuation]).expect_failed(ProtocolError::ReservedBits);
            }
        }
    }
}

#[test]
fn rfc7692_6_1_each_message_may_be_compressed_or_not() {
    let mut packer = Packer::new(6);
    let (first, second) = (packer.message(b"Hello, Hello"), packer.message(b"Hello, Hello"));
    assert!(second.len() < first.len(), "the second refers to the first");
    for side in Side::BOTH {
        let frames = [
            fragments(TEXT, &[&first]),
            // It passes untouched, whatever it looks like, and no later message refers to it.
            vec![Frame::new(BINARY, HELLO), Frame::new(BINARY, b"\0").fin(false), Frame::new(CONTINUATION, HELLO)],
            fragments(TEXT, &[&second]),
        ];
        let mut receiver = Receiver::new(side, TAKEOVER);
        receiver.feed_frames(&frames.concat());
        receiver.expect_text("Hello, Hello").expect_binary(HELLO).expect_binary(&[b"\0", HELLO].concat());
        receiver.expect_text("Hello, Hello").expect_open();
    }
}

#[test]
fn rfc7692_6_1_what_goes_uncompressed_leaves_our_window_alone() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, TAKEOVER, &all_of(6, 8));
        let text = "Hello, Hello, and so on";
        sender.send(text, Compress::Always).send("something else", Compress::Never).send(text, Compress::Always);
        let frames = sender.frames();
        let sizes: Vec<_> = frames.iter().map(|frame| (frame.reserved_bits(), frame.payload().len())).collect();
        assert_eq!((sizes[0].0, sizes[1], sizes[2].0), (RSV1, (0, 14), RSV1));
        assert!(sizes[2].1 < 8, "the third refers to the first: {sizes:?}");
        let mut receiver = Receiver::new(side.other(), TAKEOVER);
        receiver.feed_frames(&frames).expect_text(text).expect_text("something else").expect_text(text);
    }
}

#[test]
fn rfc7692_6_1_rsv1_is_set_on_the_first_frame_we_send_and_on_no_other() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(1, 8));
        // Long enough for several frames, in parts and as a whole.
        let bytes = noise(50_000, 1);
        for part in [&bytes[..], b"", &bytes] {
            sender.part(Kind::Binary, part, false, Compress::Always);
        }
        sender.part(Kind::Binary, b"end", true, Compress::Always).send(&bytes, Compress::Always);
        sender.send("short", Compress::Always).send("plain", Compress::Never);
        let frames = sender.frames();
        assert!(frames.len() > 12, "{}", frames.len());
        for frame in &frames[..frames.len() - 1] {
            assert_eq!(frame.reserved_bits(), if frame.opcode() == CONTINUATION { 0 } else { RSV1 });
        }
        assert_eq!(frames.iter().filter(|frame| frame.is_fin()).count(), 4);
        assert_eq!(frames.last().unwrap().reserved_bits(), 0);
        let mut receiver = Receiver::new(side.other(), FRESH);
        receiver.feed_frames(&frames).expect_binary(&[&bytes[..], &bytes, b"end"].concat()).expect_binary(&bytes);
        receiver.expect_text("short").expect_text("plain").expect_open();
    }
}

#[test]
fn rfc7692_6_1_control_frames_come_between_compressed_fragments() {
    for side in Side::BOTH {
        let mut frames = fragments(TEXT, &[&HELLO[..2], &HELLO[2..3], &HELLO[3..]]);
        frames.insert(1, Frame::new(PING, HELLO));
        frames.insert(3, Frame::new(PONG, "pong"));
        let mut receiver = Receiver::new(side, FRESH);
        receiver.feed_frames(&frames).expect(Received::Ping(HELLO.into())).expect(Received::Pong(b"pong".to_vec()));
        receiver.expect_text("Hello").expect_open();
        assert_eq!(receiver.out.len(), 2 + 7 + if side == Side::Client { 4 } else { 0 }, "one pong");
    }
}

#[test]
fn rfc7692_6_1_a_close_inside_of_a_compressed_message_ends_it() {
    for side in Side::BOTH {
        let mut frames = fragments(TEXT, &[&HELLO[..3], &HELLO[3..]]);
        frames.insert(1, Frame::close(1000, "bye"));
        let mut receiver = Receiver::new(side, FRESH);
        receiver.feed_frames(&frames).expect_nothing();
        assert!(receiver.connection.peer_close().is_some());
    }
}

#[test]
fn rfc7692_6_2_what_comes_compressed_behind_our_close_is_still_inflated() {
    for side in Side::BOTH {
        let mut receiver = Receiver::new(side, TAKEOVER);
        receiver.connection.close(None, "", &mut receiver.out).unwrap();
        receiver.feed_frames(&fragments(TEXT, &[HELLO])).expect_text("Hello");
        assert_eq!(receiver.connection.failure(), None);
    }
}

#[test]
fn rfc7692_6_2_behind_a_failure_a_piece_in_hand_is_not_inflated() {
    for side in Side::BOTH {
        let mut receiver = Receiver::new(side, FRESH);
        let mut bytes = super::wire(side, &fragments(TEXT, &[packed(&[b'x'; 5000])]));
        let Some(Event::Compressed(mut piece)) = receiver.connection.receive(&mut &mut bytes[..], &mut receiver.out)
        else {
            panic!("a compressed piece")
        };
        let mut scratch = [0; 100];
        let (connection, out) = (&mut receiver.connection, &mut receiver.out);
        assert!(receiver.decompressor.inflate(&mut piece, &mut scratch, connection, out).is_some());
        assert!(!receiver.decompressor.is_idle());
        connection.fail(ProtocolError::PolicyViolation, out);
        assert!(receiver.decompressor.inflate(&mut piece, &mut scratch, connection, out).is_none());
        assert!(receiver.decompressor.is_idle(), "a decompressor is held behind a failure");
    }
}

#[test]
fn rfc7692_6_a_compressed_message_may_have_no_more_fragments_than_another() {
    for side in Side::BOTH {
        let limits = Limits { fragments: 3, ..Limits::DEFAULT };
        let pool = sansocket::deflate::Pool::default();
        let mut receiver = Receiver::with(side, FRESH, limits, &pool);
        receiver.feed_frames(&fragments(TEXT, &[HELLO, b"", b""])).expect_text("Hello").expect_open();
        receiver.feed_frames(&fragments(TEXT, &[HELLO, b"", b"", b""]));
        receiver.recorder.received().clear();
        receiver.expect_failed(ProtocolError::TooManyFragments);
    }
}
