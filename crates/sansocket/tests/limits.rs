//! RFC 6455, section 10.4: what a peer may make us hold or do, at the limit and one above it.

use sansocket::{BoundedOutput, Event, Limits, MAX_REPLY, Output, ProtocolError, SliceOutput};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, PING, PONG, Peer, Side, TEXT, split_frames};

const KEY: [u8; 4] = [0xDE, 0xAD, 0xBE, 0xEF];

fn message(limit: u64) -> Limits {
    Limits { message: limit, ..Limits::DEFAULT }
}

fn fragments(limit: u32) -> Limits {
    Limits { fragments: limit, ..Limits::DEFAULT }
}

/// A message in fragments of these sizes.
fn cut(opcode: u8, sizes: &[usize]) -> Vec<Frame> {
    let frame = |(i, size): (usize, &usize)| {
        let opcode = if i == 0 { opcode } else { CONTINUATION };
        Frame::new(opcode, vec![b'x'; *size]).fin(i + 1 == sizes.len())
    };
    sizes.iter().enumerate().map(frame).collect()
}

/// Feeds the frames in one read and byte for byte; both must give the same.
#[track_caller]
fn feed_both_ways(
    side: Side,
    limits: Limits,
    frames: &[Frame],
    check: impl Fn(&mut Peer<sansocket::Either<sansocket_testkit::Keys>>),
) {
    check(Peer::either_with(side, limits).feed_frames(frames));
    let mut peer = Peer::either_with(side, limits);
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.clone().for_reader(side, KEY).bytes()).collect();
    bytes.iter().for_each(|byte| _ = peer.feed(&[*byte]));
    check(&mut peer);
}

#[test]
fn rfc6455_10_4_a_message_in_one_frame_at_the_limit_and_above() {
    for side in Side::BOTH {
        for limit in [0, 1, 125, 126, 1000, 65535, 65536] {
            for opcode in [TEXT, BINARY] {
                let sizes = [usize::try_from(limit).unwrap()];
                feed_both_ways(side, message(limit), &cut(opcode, &sizes), |peer| {
                    let x = "x".repeat(sizes[0]);
                    match opcode {
                        TEXT => peer.expect_text(&x),
                        _ => peer.expect_binary(x.as_bytes()),
                    };
                    peer.expect_open();
                });
                feed_both_ways(side, message(limit), &cut(opcode, &[sizes[0] + 1]), |peer| {
                    peer.expect_failed(ProtocolError::MessageTooBig).expect_fail_close(ProtocolError::MessageTooBig);
                });
            }
        }
    }
}

#[test]
fn rfc6455_10_4_a_message_in_fragments_at_the_limit_and_above() {
    for side in Side::BOTH {
        for sizes in [&[4, 6][..], &[10, 0], &[0, 10], &[0, 0, 10, 0], &[1; 10], &[9, 0, 1]] {
            feed_both_ways(side, message(10), &cut(BINARY, sizes), |peer| {
                peer.expect_binary(&[b'x'; 10]).expect_open();
            });
            feed_both_ways(side, message(9), &cut(BINARY, sizes), |peer| {
                peer.expect_failed(ProtocolError::MessageTooBig).expect_fail_close(ProtocolError::MessageTooBig);
            });
        }
    }
}

#[test]
fn rfc6455_10_4_each_message_has_the_limit_for_itself() {
    for side in Side::BOTH {
        let frames = [cut(BINARY, &[5, 5]), vec![Frame::new(PING, [0; 125])], cut(TEXT, &[10]), cut(BINARY, &[3, 3])];
        feed_both_ways(side, Limits { message: 10, fragments: 2, ..Limits::DEFAULT }, &frames.concat(), |peer| {
            peer.expect_binary(&[b'x'; 10]).expect_ping(&[0; 125]).expect_text("xxxxxxxxxx").expect_binary(b"xxxxxx");
            peer.expect_open();
        });
    }
}

#[test]
fn rfc6455_10_4_a_message_of_as_many_fragments_as_the_limit_and_one_more() {
    for side in Side::BOTH {
        for limit in [1, 2, 3, 50] {
            for size in [0, 1] {
                let n = usize::try_from(limit).unwrap();
                feed_both_ways(side, fragments(limit), &cut(BINARY, &vec![size; n]), |peer| {
                    peer.expect_binary(&vec![b'x'; n * size]).expect_open();
                });
                feed_both_ways(side, fragments(limit), &cut(BINARY, &vec![size; n + 1]), |peer| {
                    let error = ProtocolError::TooManyFragments;
                    peer.expect_failed(error).expect_fail_close(error);
                    assert_eq!(error.close_code().get(), 1008);
                });
            }
        }
    }
}

#[test]
fn rfc6455_10_4_a_limit_of_no_fragments_counts_as_one() {
    for side in Side::BOTH {
        for kind in [TEXT, BINARY] {
            feed_both_ways(side, fragments(0), &cut(kind, &[20]), |peer| {
                if kind == TEXT { peer.expect_text(&"x".repeat(20)) } else { peer.expect_binary(&[b'x'; 20]) }
                    .expect_open();
            });
            feed_both_ways(side, fragments(0), &cut(kind, &[1, 1]), |peer| {
                peer.expect_failed(ProtocolError::TooManyFragments);
            });
        }
    }
}

#[test]
fn rfc6455_10_4_control_frames_are_no_fragments() {
    for side in Side::BOTH {
        let mut frames = cut(BINARY, &[1, 1]);
        frames.splice(1..1, vec![Frame::new(PONG, ""); 20]);
        feed_both_ways(side, fragments(2), &frames, |peer| {
            (0..20).for_each(|_| _ = peer.expect_pong(b""));
            peer.expect_binary(b"xx").expect_open();
        });
    }
}

#[test]
fn rfc6455_10_4_limits_change_between_messages() {
    for side in Side::BOTH {
        let mut peer = Peer::either_with(side, message(3));
        assert_eq!(peer.connection.limits(), message(3));
        peer.feed_frames(&cut(TEXT, &[3])).expect_text("xxx");
        peer.connection.set_limits(message(300));
        assert_eq!(peer.connection.limits(), message(300));
        peer.feed_frames(&cut(TEXT, &[300])).expect_text(&"x".repeat(300));
        peer.connection.set_limits(message(2));
        peer.feed_frames(&cut(TEXT, &[2])).expect_text("xx");
        peer.feed_frames(&cut(TEXT, &[3])).expect_failed(ProtocolError::MessageTooBig);
    }
}

#[test]
fn rfc6455_10_4_limits_change_from_the_next_frame_on() {
    let mut peer = Peer::client_with(message(10));
    // Ten bytes were allowed when the frame began.
    peer.feed(b"\x02\x08abcd");
    peer.connection.set_limits(message(1));
    peer.feed(b"efgh").expect_nothing();
    assert_eq!(peer.connection.failure(), None);
    peer.feed(b"\x80\x00").expect_failed(ProtocolError::MessageTooBig);
}

#[test]
fn rfc6455_10_4_without_limits_a_message_may_be_as_long_as_a_frame_can_declare() {
    for side in Side::BOTH {
        let mut peer = Peer::either_with(side, Limits::UNLIMITED);
        let frame = Frame::new(BINARY, "").declared((1 << 63) - 1).for_reader(side, KEY);
        peer.feed(&frame.bytes()).feed(&[0; 1000]).expect_open();
        assert_eq!(peer.connection.payload_left(), (1 << 63) - 1 - 1000);
        let mut peer = Peer::either_with(side, Limits::UNLIMITED);
        let many = vec![0; 2000];
        peer.feed_frames(&cut(BINARY, &many)).expect_binary(b"").expect_open();
    }
}

#[test]
fn rfc6455_10_4_a_continuation_of_2_to_the_63_does_not_overflow() {
    for side in Side::BOTH {
        let begun = Frame::new(BINARY, vec![1; 200]).fin(false);
        let huge = Frame::new(CONTINUATION, "").declared((1 << 63) - 1);
        for limit in [200, 1 << 40, (1 << 63) - 1, (1 << 63) + 198] {
            feed_both_ways(side, message(limit), &[begun.clone(), huge.clone()], |peer| {
                peer.expect_failed(ProtocolError::MessageTooBig);
            });
        }
        for limit in [(1 << 63) + 199, u64::MAX] {
            feed_both_ways(side, message(limit), &[begun.clone(), huge.clone()], |peer| {
                peer.expect_open();
            });
        }
    }
}

#[test]
fn rfc6455_10_4_a_declared_length_above_the_limit_fails_before_its_payload() {
    for (limits, frame) in [
        (message(9), Frame::new(TEXT, "").declared(10)),
        (message(9), Frame::new(BINARY, "").declared(1 << 40)),
        (message(70_000), Frame::new(BINARY, "").declared(70_001)),
    ] {
        for side in Side::BOTH {
            let mut peer = Peer::either_with(side, limits);
            peer.feed(&frame.clone().for_reader(side, KEY).bytes()).expect_failed(ProtocolError::MessageTooBig);
        }
    }
}

// The output's limit.

#[test]
fn receive_without_room_for_a_reply_leaves_everything_as_it_is() {
    let frames = [Frame::new(PING, [1; 125]), Frame::new(TEXT, "häl"), Frame::close(1000, "")];
    for side in Side::BOTH {
        let original: Vec<u8> = frames.iter().flat_map(|frame| frame.clone().for_reader(side, KEY).bytes()).collect();
        for room in [0, 1, MAX_REPLY - 1] {
            let mut peer = Peer::either(side);
            let mut bytes = original.clone();
            let mut input = &mut bytes[..];
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            for _ in 0..3 {
                assert!(peer.connection.receive(&mut input, &mut out).is_none());
                assert_eq!((&*input, out.bytes()), (&original[..], &b""[..]));
            }
            // With room it goes on as if nothing had been.
            peer.feed(input).expect_ping(&[1; 125]).expect_text("häl").expect_close(Some(1000), "");
        }
    }
}

#[test]
fn receive_goes_on_once_the_output_was_emptied() {
    for side in Side::BOTH {
        let payloads: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; usize::from(i) * 6]).collect();
        let frames = payloads.iter().flat_map(|payload| [Frame::new(PING, payload), Frame::new(TEXT, "t")]);
        let mut bytes: Vec<u8> = frames.flat_map(|frame| frame.for_reader(side, KEY).bytes()).collect();
        // The smallest output with which anything goes on, and larger ones in which several replies gather.
        for size in [MAX_REPLY, MAX_REPLY + 1, 200, 1000] {
            let mut copy = bytes.clone();
            let mut input = &mut copy[..];
            let mut peer = Peer::either(side);
            let mut memory = vec![0; size];
            let mut out = SliceOutput::new(&mut memory);
            let (mut wire, mut texts) = (Vec::new(), 0);
            loop {
                match peer.connection.receive(&mut input, &mut out) {
                    Some(Event::Text(text)) => {
                        assert_eq!((text.as_str(), text.is_whole()), ("t", true));
                        texts += 1;
                    }
                    Some(event) => assert!(matches!(event, Event::Ping), "{event:?}"),
                    None if input.is_empty() => break,
                    None => {
                        assert!(out.room() < MAX_REPLY);
                        wire.extend(out.bytes());
                        out.clear();
                    }
                }
            }
            wire.extend(out.bytes());
            let pongs: Vec<_> = split_frames(side, &wire).iter().map(|frame| frame.payload().to_vec()).collect();
            assert_eq!((pongs, texts), (payloads.clone(), 20));
        }
        bytes.clear();
    }
}

#[test]
fn receive_whole_tells_a_bad_message_and_leaves_the_close_out_without_room() {
    let error = ProtocolError::InvalidUtf8;
    for side in Side::BOTH {
        for room in [0, MAX_REPLY] {
            let mut peer = Peer::either(side);
            let mut bytes = Frame::new(TEXT, b"ab\xFF").for_reader(side, KEY).bytes();
            let mut input = &mut bytes[..];
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            let event = peer.connection.receive_whole(&mut input, &mut out);
            assert!(matches!(event, Some(Event::Failed(found)) if found == error), "{event:?}");
            assert!(input.is_empty());
            assert_eq!(peer.connection.failure(), Some(error));
            peer.out = out.bytes().to_vec();
            match room {
                0 => peer.expect_wire(&[]),
                _ => peer.expect_fail_close(error),
            };
        }
    }
}

#[test]
fn max_reply_is_the_longest_reply_there_is() {
    let mut peer = Peer::client();
    let mut queue = Vec::new();
    let mut bytes = Frame::new(PING, [7; 125]).bytes();
    let mut out = BoundedOutput::new(&mut queue, MAX_REPLY);
    assert!(matches!(peer.connection.receive(&mut &mut bytes[..], &mut out), Some(Event::Ping)));
    assert_eq!(queue.len(), MAX_REPLY);
    for &error in ProtocolError::ALL {
        let mut peer = Peer::client();
        peer.fail(error);
        assert!(peer.out.len() <= MAX_REPLY, "{error:?}");
    }
}
