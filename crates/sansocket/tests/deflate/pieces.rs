//! Compressing and inflating by hand, for those who hold the connection under a lock (RFC 7692, section 7.2).

use sansocket::deflate::{Compress, Compressor, Decompressor, Pool};
use sansocket::{Event, Kind, Limits, ProtocolError, SendError};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, PING, Side, TEXT};

use super::oracle::packed;
use super::{FRESH, RSV1, Sender, TAKEOVER, all_of, connection, fragments, noise, wire};

#[test]
fn the_last_piece_can_be_had_again_out_of_the_same_scratch() {
    let text = "ab€cd𝄞ef, ".repeat(20);
    for (opcode, bytes) in [(TEXT, text.as_bytes()), (BINARY, &noise(300, 1)[..]), (TEXT, b"")] {
        for size in [1, 2, 3, 7, 100, 1000] {
            let mut connection = connection(Side::Client, Some(FRESH), Limits::DEFAULT);
            let mut decompressor = Decompressor::new(FRESH, false, &Pool::default());
            let mut received = wire(Side::Client, &fragments(opcode, &[packed(bytes)]));
            let (mut scratch, mut out) = (vec![0; size], Vec::new());
            assert!(decompressor.piece(&scratch).is_none(), "none was given yet");
            let Some(Event::Compressed(mut piece)) = connection.receive(&mut &mut received[..], &mut out) else {
                panic!("a compressed piece")
            };
            let mut joined = Vec::new();
            loop {
                let copy = {
                    let inflated = decompressor.inflate_within(u64::MAX, &mut piece, &mut scratch).unwrap();
                    inflated.map(|piece| (piece.kind(), piece.is_first(), piece.is_last(), piece.as_bytes().to_vec()))
                };
                let again = decompressor.piece(&scratch);
                let Some((kind, first, last, bytes)) = copy else {
                    assert!(again.is_none(), "the last call gave none");
                    break;
                };
                let again = again.expect("what the last call gave");
                assert_eq!((again.kind(), again.is_first(), again.is_last()), (kind, first, last));
                assert_eq!(again.as_bytes(), bytes);
                joined.extend(bytes);
                // Without room nothing is given, and nothing can be had again.
                assert!(decompressor.inflate_within(u64::MAX, &mut piece, &mut []).unwrap().is_none());
                assert!(decompressor.piece(&scratch).is_none());
            }
            assert_eq!(joined, bytes);
        }
    }
}

#[test]
fn behind_a_failure_no_piece_can_be_had_again() {
    for (opcode, payload, most, error) in [
        (TEXT, packed(b"ab\xFFcd"), 100, ProtocolError::InvalidUtf8),
        (TEXT, packed(b"ab\xE2\x82"), 100, ProtocolError::InvalidUtf8),
        (BINARY, packed(b"abcd"), 3, ProtocolError::MessageTooBig),
        (BINARY, b"\x06".to_vec(), 100, ProtocolError::InvalidCompression),
        (BINARY, b"\x00\x00".to_vec(), 100, ProtocolError::InvalidCompression),
    ] {
        let mut connection = connection(Side::Client, Some(TAKEOVER), Limits::DEFAULT);
        let mut decompressor = Decompressor::new(TAKEOVER, false, &Pool::default());
        let mut received = wire(Side::Client, &fragments(opcode, &[payload]));
        let (mut scratch, mut out) = ([0; 100], Vec::new());
        let Some(Event::Compressed(mut piece)) = connection.receive(&mut &mut received[..], &mut out) else {
            panic!("a compressed piece")
        };
        let inflated = decompressor.inflate_within(most, &mut piece, &mut scratch).map(drop);
        assert_eq!(inflated, Err(error));
        assert!(decompressor.piece(&scratch).is_none() && decompressor.is_idle());
        let mut room = [0; 100];
        assert!(decompressor.inflate_within(most, &mut piece, &mut room).unwrap().is_none());
        assert_eq!(connection.failure(), None, "to fail it is the caller's");
    }
}

#[test]
fn what_is_compressed_by_hand_is_what_send_sends() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let [mut by_hand, mut other] = [(); 2].map(|()| Sender::new(side, parameters, &all_of(3, 8)));
        for message in [&b"Hello, Hello"[..], b"", &noise(40_000, 3), &noise(100, 3), b"Hello, Hello"] {
            for choice in [Compress::Always, Compress::Auto, Compress::Never] {
                let Sender { connection, compressor, out, .. } = &mut by_hand;
                let mut rest = message;
                if compressor.begin(message.len(), choice, connection).unwrap() {
                    while let Some(fragment) = compressor.compress(&mut rest, true) {
                        assert_eq!(fragment.is_last(), rest.is_empty() && fragment.as_bytes().len() < 16_380);
                        fragment.send(Kind::Binary, connection, out).unwrap();
                    }
                    assert_eq!(compressor.is_idle(), parameters == FRESH);
                } else {
                    connection.send(message, out).unwrap();
                }
                assert_eq!(by_hand.wire(), other.send(message, choice).wire());
                let Sender { connection, compressor, out, .. } = &mut by_hand;
                for (mut part, last) in [(message, false), (b"", false), (message, true)] {
                    if compressor.begin_part(Kind::Binary, part, last, choice, connection).unwrap() {
                        while let Some(fragment) = compressor.compress(&mut part, last) {
                            fragment.send(Kind::Binary, connection, out).unwrap();
                        }
                    } else {
                        connection.send_part(Kind::Binary, part, last, out).unwrap();
                    }
                }
                other.part(Kind::Binary, message, false, choice).part(Kind::Binary, b"", false, choice);
                assert_eq!(by_hand.wire(), other.part(Kind::Binary, message, true, choice).wire());
            }
        }
    }
}

#[test]
fn what_is_not_begun_is_not_compressed() {
    for parameters in [FRESH, TAKEOVER] {
        let pool = Pool::default();
        let mut connection = connection(Side::Server, Some(parameters), Limits::DEFAULT);
        let mut compressor = Compressor::new(parameters, true, &all_of(3, 8), &pool);
        let mut part = &b"Hello"[..];
        assert!(compressor.compress(&mut part, true).is_none());
        assert_eq!(part, b"Hello");
        // Nor behind a message's end.
        assert_eq!(compressor.begin(5, Compress::Always, &connection), Ok(true));
        assert!(compressor.compress(&mut part, true).unwrap().is_last());
        let mut more = &b"more"[..];
        assert!(compressor.compress(&mut more, true).is_none());
        assert_eq!((more, pool.lent()), (&b"more"[..], (0, 0)));
        // A message that a connection cannot take is not begun.
        connection.close(None, "", &mut Vec::new()).unwrap();
        let mut compressor = Compressor::new(parameters, true, &all_of(3, 8), &pool);
        assert_eq!(compressor.begin(5, Compress::Always, &connection), Err(SendError::Closing));
        let begun = compressor.begin_part(Kind::Text, b"a", false, Compress::Always, &connection);
        assert_eq!((begun, pool.lent()), (Err(SendError::Closing), (0, 0)));
        assert!(compressor.compress(&mut more, true).is_none());
    }
}

#[test]
fn rfc7692_6_2_of_a_compressed_message_no_piece_lies_ready_in_the_input() {
    let message = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    for side in Side::BOTH {
        for (frames, completes, continues) in [
            (vec![Frame::new(TEXT, message).reserved(RSV1)], false, false),
            (vec![Frame::new(TEXT, message)], true, true),
            (vec![Frame::new(TEXT, message).fin(false)], false, true),
        ] {
            let mut bytes = wire(side, &frames);
            let mut connection = connection(side, Some(FRESH), Limits::DEFAULT);
            let mut out = Vec::new();
            assert_eq!(connection.completes_message(&bytes), completes);
            assert_eq!(connection.continues_message(&bytes), continues);
            // In the middle of its payload too, and with its header cut.
            let header = bytes.len() - message.len();
            for cut in [1, header, header + 1] {
                let mut connection = super::connection(side, Some(FRESH), Limits::DEFAULT);
                let (mut head, tail) = (bytes[..cut].to_vec(), &bytes[cut..]);
                let mut input = &mut head[..];
                while connection.receive(&mut input, &mut out).is_some() {}
                assert_eq!(connection.completes_message(tail), completes, "cut at {cut}");
                assert_eq!(connection.continues_message(tail), continues, "cut at {cut}");
            }
            let mut input = &mut bytes[..];
            connection.receive(&mut input, &mut out).unwrap();
        }
        // A continuation is compressed as its message is; a ping is not a piece of it.
        for compressed in [true, false] {
            let first = Frame::new(BINARY, message).reserved(if compressed { RSV1 } else { 0 }).fin(false);
            let mut connection = connection(side, Some(FRESH), Limits::DEFAULT);
            let mut bytes = wire(side, &[first]);
            let mut input = &mut bytes[..];
            while connection.receive(&mut input, &mut Vec::new()).is_some() {}
            let rest = wire(side, &[Frame::new(CONTINUATION, "")]);
            assert_eq!(connection.completes_message(&rest), !compressed);
            assert_eq!(connection.continues_message(&rest), !compressed);
            assert!(!connection.continues_message(&wire(side, &[Frame::new(PING, "")])));
        }
    }
}
