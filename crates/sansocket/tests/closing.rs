//! RFC 6455, sections 5.5.1 and 7: how a connection ends.

use sansocket::{CloseCode, EndedBy, Kind, Limits, NextStep, Place, ProtocolError, SendError};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Pair, Peer, Side, TEXT, close_body};

/// What a side does with the transport behind a closing handshake that is done.
fn done(side: Side) -> NextStep {
    match side {
        // 7.1.1: "the server MUST close the TCP connection immediately; the client SHOULD wait".
        Side::Server => NextStep::CloseAfterFlush,
        Side::Client => NextStep::AwaitEof,
    }
}

// The rows of the closing table.

#[test]
fn rfc6455_5_5_1_the_peers_close_while_open_is_echoed() {
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[Frame::close(1001, "going")])
            .expect_close(Some(1001), "going")
            .expect_frames(&[(CLOSE, &close_body(1001, ""))])
            .expect_next_step(done(side))
            .expect_ending(EndedBy::Peer, 1001)
            .eof()
            .expect_next_step(NextStep::Closed)
            .expect_ending(EndedBy::Peer, 1001);
    }
}

#[test]
fn rfc6455_5_5_1_a_close_without_a_body_is_echoed_without_one_and_is_1005() {
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[Frame::new(CLOSE, "")])
            .expect_close(None, "")
            .expect_frames(&[(CLOSE, b"")])
            .expect_next_step(done(side))
            .eof()
            .expect_ending(EndedBy::Peer, 1005);
    }
}

#[test]
fn rfc6455_1_4_data_behind_our_close_is_still_received() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.close(1000, "").expect_frames(&[(CLOSE, &close_body(1000, ""))]);
        peer.expect_next_step(NextStep::Open)
            .feed_frames(&[
                Frame::new(TEXT, "still").fin(false),
                Frame::new(CONTINUATION, " here"),
                Frame::new(BINARY, [1, 2]),
                Frame::new(PONG, "late"),
            ])
            .expect_text("still here")
            .expect_binary(&[1, 2])
            .expect_pong(b"late")
            .expect_nothing()
            .expect_wire(&[])
            .expect_next_step(NextStep::Open);
        assert!(peer.connection.ending().is_none());
    }
}

#[test]
fn rfc6455_7_1_3_our_close_then_the_peers_is_done_without_another() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.close(3000, "first");
        peer.out.clear();
        peer.feed_frames(&[Frame::close(3001, "answer")])
            .expect_close(Some(3001), "answer")
            .expect_wire(&[])
            .expect_next_step(done(side))
            .eof()
            .expect_next_step(NextStep::Closed)
            .expect_ending(EndedBy::Local, 3001);
    }
}

#[test]
fn rfc6455_5_5_1_both_close_at_once() {
    let mut pair = Pair::new();
    pair.client.close(1000, "client");
    pair.server.close(1001, "server");
    pair.run();
    pair.client.expect_close(Some(1001), "server").expect_ending(EndedBy::Local, 1001);
    pair.server.expect_close(Some(1000), "client").expect_ending(EndedBy::Local, 1000);
    pair.client.expect_next_step(NextStep::Closed);
    pair.server.expect_next_step(NextStep::Closed);
}

#[test]
fn rfc6455_7_1_1_a_whole_closing_handshake_from_either_side() {
    for chunk in [1, 2, 1000] {
        let mut pair = Pair::new().chunk(chunk);
        pair.client.close(1000, "bye");
        pair.run();
        pair.server.expect_close(Some(1000), "bye").expect_next_step(NextStep::Closed);
        pair.client.expect_close(Some(1000), "").expect_next_step(NextStep::Closed);

        let mut pair = Pair::new().chunk(chunk);
        pair.server.close(1001, "down");
        pair.run();
        pair.client.expect_close(Some(1001), "down").expect_next_step(NextStep::Closed);
        pair.server.expect_close(Some(1001), "").expect_next_step(NextStep::Closed);
    }
}

#[test]
fn rfc6455_5_5_2_a_ping_behind_our_close_is_answered() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.close(1000, "");
        peer.out.clear();
        peer.feed_frames(&[Frame::new(PING, "alive?")])
            .expect_ping(b"alive?")
            .expect_frames(&[(PONG, b"alive?")])
            .expect_next_step(NextStep::Open);
    }
}

#[test]
fn rfc6455_5_5_2_a_ping_behind_the_peers_close_is_not_answered() {
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[Frame::close(1000, ""), Frame::new(PING, "alive?")])
            .expect_close(Some(1000), "")
            .expect_frames(&[(CLOSE, &close_body(1000, ""))]);
    }
}

#[test]
fn rfc6455_7_1_7_a_violation_while_open_is_told_to_both_once() {
    for side in Side::BOTH {
        let error = ProtocolError::UnexpectedContinuation;
        let mut peer = Peer::either(side);
        peer.feed_frames(&[Frame::new(CONTINUATION, "")])
            .expect_failed(error)
            .expect_fail_close(error)
            .expect_next_step(NextStep::DrainAfterFlush)
            .expect_ending(EndedBy::Failure(error), 1006)
            .feed_frames(&[Frame::new(CONTINUATION, ""), Frame::close(1000, "")])
            .expect_failed(error)
            .expect_wire(&[])
            .eof()
            .expect_next_step(NextStep::Closed)
            .expect_ending(EndedBy::Failure(error), 1006);
        assert!(peer.connection.peer_close().is_none(), "a violation is not a Close");
    }
}

#[test]
fn rfc6455_7_1_7_a_violation_behind_our_close_is_told_to_the_caller_alone() {
    for side in Side::BOTH {
        let error = ProtocolError::ReservedBits;
        let mut peer = Peer::either(side);
        peer.close(1000, "");
        peer.out.clear();
        peer.feed_frames(&[Frame::new(TEXT, "").reserved(4)])
            .expect_failed(error)
            .expect_wire(&[])
            .expect_next_step(NextStep::DrainAfterFlush)
            .eof()
            .expect_ending(EndedBy::Failure(error), 1006);
    }
}

#[test]
fn rfc6455_7_1_7_a_failed_connection_ends_on_both_sides() {
    for chunk in [1, 7, 1000] {
        let mut pair = Pair::new().chunk(chunk);
        pair.client.out.extend(Frame::new(TEXT, b"\xFF").masked([1, 2, 3, 4]).bytes());
        pair.run();
        let error = ProtocolError::InvalidUtf8;
        pair.server.expect_failed(error).expect_next_step(NextStep::Closed);
        pair.client.expect_close(Some(1007), error.text()).expect_next_step(NextStep::Closed);
    }
}

#[test]
fn rfc6455_5_5_1_bytes_behind_the_end_are_used_up_and_nothing_is_written() {
    let behind: Vec<u8> = [
        Frame::new(TEXT, "more").masked([1; 4]).bytes(),
        Frame::new(PING, "ping").bytes(),
        Frame::close(1002, "").masked([0; 4]).bytes(),
        vec![0xFF; 100],
    ]
    .concat();
    for side in Side::BOTH {
        for prepare in [
            (|peer| peer.feed_frames(&[Frame::close(1000, "x")])) as fn(&mut Peer<_>) -> &mut Peer<_>,
            |peer| peer.close(1000, "").feed_frames(&[Frame::close(1000, "x")]),
            |peer| peer.feed_frames(&[Frame::new(TEXT, b"\xFF")]),
            |peer| peer.fail(ProtocolError::PolicyViolation),
            |peer| peer.eof(),
            |peer| peer.feed_frames(&[Frame::close(1000, "x")]).eof(),
        ] {
            let mut peer = Peer::either(side);
            prepare(&mut peer).out.clear();
            let before = (peer.connection.next_step(), peer.connection.ending());
            for chunk in [1, 3, 1000] {
                // `feed` sees that the input is used up and that no event comes.
                behind.chunks(chunk).for_each(|chunk| _ = peer.feed(chunk));
            }
            peer.expect_wire(&[]);
            assert_eq!((peer.connection.next_step(), peer.connection.ending()), before);
        }
    }
}

#[test]
fn rfc6455_5_5_1_bytes_behind_the_end_are_used_up_without_room_too() {
    let mut peer = Peer::client();
    peer.feed_frames(&[Frame::close(1000, "")]);
    let mut bytes = [0xFF; 9];
    let mut input = &mut bytes[..];
    let mut out = sansocket::SliceOutput::new(&mut []);
    assert!(peer.connection.receive(&mut input, &mut out).is_none());
    assert!(input.is_empty());
}

// Ends of the transport.

#[test]
fn rfc6455_7_1_5_an_end_in_every_phase_while_open_is_1006_and_says_where() {
    for side in Side::BOTH {
        let key = [1, 2, 3, 4];
        let begun = Frame::new(TEXT, "a").fin(false).for_reader(side, key).bytes();
        let frame = Frame::new(BINARY, vec![5; 300]).for_reader(side, key).bytes();
        let ping = Frame::new(PING, "ping").for_reader(side, key).bytes();
        let close = Frame::close(1000, "").for_reader(side, key).bytes();
        let header = frame.len() - 300;
        for (bytes, place) in [
            (vec![], Place::BetweenMessages),
            (frame.clone(), Place::BetweenMessages),
            (ping.clone(), Place::BetweenMessages),
            (frame[..1].to_vec(), Place::InHeader),
            (frame[..header - 1].to_vec(), Place::InHeader),
            (frame[..header].to_vec(), Place::InPayload),
            (frame[..header + 1].to_vec(), Place::InPayload),
            (frame[..frame.len() - 1].to_vec(), Place::InPayload),
            (begun.clone(), Place::BetweenFragments),
            ([&begun[..], &ping].concat(), Place::BetweenFragments),
            ([&begun[..], &ping[..1]].concat(), Place::InHeader),
            (ping[..ping.len() - 1].to_vec(), Place::InPayload),
            (close[..close.len() - 1].to_vec(), Place::InPayload),
        ] {
            for close_first in [false, true] {
                let mut peer = Peer::either(side);
                if close_first {
                    peer.close(1000, "");
                }
                peer.feed(&bytes);
                assert_eq!(peer.connection.ending(), None);
                peer.out.clear();
                peer.eof()
                    .expect_ending(EndedBy::Loss(place), 1006)
                    .expect_next_step(NextStep::Closed)
                    .expect_wire(&[]);
                assert!(!peer.connection.may_send());
                assert_eq!(peer.connection.failure(), None, "a loss is not a violation");
                assert!(peer.connection.peer_close().is_none());
            }
        }
    }
}

#[test]
fn rfc6455_7_1_4_a_second_end_changes_nothing() {
    let mut peer = Peer::server();
    peer.feed_frames(&[Frame::close(4000, "why")]).eof().eof();
    peer.expect_close(Some(4000), "why").expect_ending(EndedBy::Peer, 4000);
    let close = peer.connection.peer_close().expect("for good");
    assert_eq!((close.code().map(u16::from), close.reason()), (Some(4000), "why"));
}

#[test]
fn rfc6455_7_1_5_a_wire_cut_after_the_close_was_sent_is_not_clean() {
    let mut pair = Pair::new().cut_to_client_after(0);
    pair.server.close(1000, "");
    pair.run();
    pair.server.expect_ending(EndedBy::Loss(Place::BetweenMessages), 1006);
    pair.client.expect_ending(EndedBy::Loss(Place::BetweenMessages), 1006);
}

// 5.5.1: bodies.

#[test]
fn rfc6455_5_5_1_a_close_body_of_one_byte_is_1002() {
    for side in Side::BOTH {
        let error = ProtocolError::CloseBodyOfOneByte;
        Peer::either(side).feed_frames(&[Frame::new(CLOSE, [3])]).expect_failed(error).expect_fail_close(error);
        assert_eq!(error.close_code().get(), 1002);
    }
}

#[test]
fn rfc6455_5_5_1_a_reason_of_123_bytes_comes_and_goes() {
    let reason = "r".repeat(123);
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.close(1000, &reason).expect_frames(&[(CLOSE, &close_body(1000, &reason))]);
        Peer::either(side).feed_frames(&[Frame::close(1000, &reason)]).expect_close(Some(1000), &reason);
    }
}

#[test]
fn rfc6455_5_5_a_reason_of_124_bytes_is_refused() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        let reason = "r".repeat(124);
        peer.send_fails(SendError::ReasonTooLong, |connection, out| {
            connection.close(Some(CloseCode::NORMAL), &reason, out)
        });
        peer.expect_open();
        // "é" is two bytes: the limit counts bytes.
        let reason = "é".repeat(62);
        peer.send_fails(SendError::ReasonTooLong, |connection, out| {
            connection.close(Some(CloseCode::NORMAL), &reason, out)
        });
        peer.feed_frames(&[Frame::close(1000, &reason)]).expect_failed(ProtocolError::ControlTooLong);
    }
}

#[test]
fn rfc6455_5_5_1_a_close_may_have_no_code_but_then_no_reason() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.send_fails(SendError::ReasonWithoutCode, |connection, out| connection.close(None, "why", out))
            .expect_open()
            .send(|connection, out| connection.close(None, "", out))
            .expect_frames(&[(CLOSE, b"")]);
    }
}

#[test]
fn rfc6455_5_5_1_a_reason_that_is_not_utf8_is_1007() {
    for reason in [&b"\xFF"[..], b"ok\xC3", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\x80"] {
        for side in Side::BOTH {
            let error = ProtocolError::InvalidCloseReason;
            Peer::either(side)
                .feed_frames(&[Frame::new(CLOSE, [&[3, 0xE8], reason].concat())])
                .expect_failed(error)
                .expect_fail_close(error);
            assert_eq!(error.close_code().get(), 1007);
        }
    }
}

#[test]
fn rfc6455_7_4_every_code_is_received_or_refused() {
    for code in 0..=u16::MAX {
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let mut peer = Peer::client();
        peer.feed(&Frame::close(code, "").bytes());
        if valid {
            peer.expect_close(Some(code), "").expect_ending(EndedBy::Peer, code);
        } else {
            peer.expect_failed(ProtocolError::InvalidCloseCode);
            peer.expect_fail_close(ProtocolError::InvalidCloseCode);
        }
    }
}

#[test]
fn rfc6455_7_4_2_undefined_codes_pass_where_the_limits_say_so() {
    let limits = Limits { undefined_close_codes: true, ..Limits::DEFAULT };
    for code in [0, 999, 1004, 1016, 1100, 2000, 2999, 5000, 65535] {
        Peer::client().feed(&Frame::close(code, "").bytes()).expect_failed(ProtocolError::InvalidCloseCode);
        for side in Side::BOTH {
            Peer::either_with(side, limits)
                .feed_frames(&[Frame::close(code, "new")])
                .expect_close(Some(code), "new")
                .expect_frames(&[(CLOSE, &close_body(code, ""))])
                .eof()
                .expect_ending(EndedBy::Peer, code);
        }
    }
    for code in [1005, 1006, 1015] {
        Peer::either_with(Side::Client, limits)
            .feed_frames(&[Frame::close(code, "")])
            .expect_failed(ProtocolError::InvalidCloseCode);
    }
}

// What may be sent when.

#[test]
fn rfc6455_5_5_1_nothing_may_be_sent_behind_a_close() {
    for side in Side::BOTH {
        for prepare in [
            (|peer| peer.close(1000, "")) as fn(&mut Peer<_>) -> &mut Peer<_>,
            |peer| peer.feed_frames(&[Frame::close(1000, "")]),
            |peer| peer.feed_frames(&[Frame::new(TEXT, b"\xFF")]),
            |peer| peer.fail(ProtocolError::OutOfMemory),
            |peer| peer.eof(),
        ] {
            let mut peer = Peer::either(side);
            prepare(&mut peer);
            assert!(!peer.connection.may_send());
            let closing = SendError::Closing;
            peer.send_fails(closing, |connection, out| connection.send_text("", out))
                .send_fails(closing, |connection, out| connection.send_binary(&[1], out))
                .send_fails(closing, |connection, out| connection.send_part(Kind::Text, &[], false, out))
                .send_fails(closing, |connection, out| connection.ping(&[], out))
                .send_fails(closing, |connection, out| connection.pong(&[], out))
                .send_fails(closing, |connection, out| connection.close(None, "", out));
            // Closing goes before everything else that is wrong with a call.
            peer.send_fails(closing, |connection, out| connection.ping(&[0; 126], out))
                .send_fails(closing, |connection, out| connection.close(None, "x", out));
        }
    }
}

#[test]
fn rfc6455_5_5_1_no_header_may_be_sent_behind_a_close() {
    let mut peer = Peer::server();
    peer.close(1000, "")
        .send_fails(SendError::Closing, |connection, out| connection.send_header(Kind::Binary, 1, true, out));
}

#[test]
fn rfc6455_5_4_a_close_may_leave_a_message_unfinished() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.send(|connection, out| connection.send_part(Kind::Text, b"\xC3", false, out));
        peer.out.clear();
        peer.close(1001, "").expect_frames(&[(CLOSE, &close_body(1001, ""))]);
    }
}

// Failures found above the connection.

#[test]
fn rfc6455_7_1_7_fail_while_open_writes_the_close_of_every_error() {
    for side in Side::BOTH {
        for &error in ProtocolError::ALL {
            let mut peer = Peer::either(side);
            peer.fail(error)
                .expect_fail_close(error)
                .expect_next_step(NextStep::DrainAfterFlush)
                .fail(ProtocolError::PolicyViolation)
                .expect_wire(&[])
                .expect_ending(EndedBy::Failure(error), 1006);
            assert_eq!(peer.connection.failure(), Some(error), "the first failure stays");
        }
    }
}

#[test]
fn rfc6455_7_1_7_fail_behind_our_close_writes_nothing() {
    for side in Side::BOTH {
        let error = ProtocolError::OutOfMemory;
        let mut peer = Peer::either(side);
        peer.close(1000, "");
        peer.out.clear();
        peer.fail(error).expect_wire(&[]).expect_next_step(NextStep::DrainAfterFlush);
        assert_eq!(peer.connection.failure(), Some(error));
    }
}

#[test]
fn rfc6455_7_1_7_fail_behind_the_end_changes_nothing() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.feed_frames(&[Frame::close(1000, "")]);
        peer.out.clear();
        peer.fail(ProtocolError::OutOfMemory)
            .expect_wire(&[])
            .expect_next_step(done(side))
            .expect_ending(EndedBy::Peer, 1000);
        let mut peer = Peer::either(side);
        peer.eof().fail(ProtocolError::OutOfMemory).expect_ending(EndedBy::Loss(Place::BetweenMessages), 1006);
        peer.expect_wire(&[]).expect_next_step(NextStep::Closed);
    }
}

#[test]
fn rfc6455_7_1_7_fail_without_room_leaves_the_close_out_and_fails_all_the_same() {
    let error = ProtocolError::PolicyViolation;
    let needed = 2 + 2 + error.text().len();
    for room in [0, 1, needed - 1, needed] {
        let mut peer = Peer::server();
        let mut memory = vec![0; room];
        let mut out = sansocket::SliceOutput::new(&mut memory);
        peer.connection.fail(error, &mut out);
        assert_eq!(out.bytes().len(), if room == needed { needed } else { 0 });
        assert_eq!(peer.connection.failure(), Some(error));
        peer.expect_next_step(NextStep::DrainAfterFlush);
    }
}

#[test]
fn rfc6455_7_1_7_fail_inside_a_payload_says_where() {
    let mut peer = Peer::client();
    peer.feed(b"\x82\x05abc")
        .fail(ProtocolError::OutOfMemory)
        .expect_ending(EndedBy::Failure(ProtocolError::OutOfMemory), 1006);
}

#[test]
fn rfc6455_7_1_7_where_a_violation_is_found_does_not_depend_on_the_reads() {
    for bytes in [
        &b"\x81\x06abcde\xFF"[..],
        b"\x81\x01\xFF",
        b"\x83",
        b"\x82\x7E\x00\x01",
        b"\x81\x81abcd",
        b"\xC1\x00",
        b"\x88\x01\x03",
    ] {
        let whole = {
            let mut peer = Peer::client();
            peer.feed(bytes);
            peer.connection.ending().unwrap()
        };
        for cut in 1..bytes.len() {
            let mut peer = Peer::client();
            peer.feed(&bytes[..cut]).feed(&bytes[cut..]);
            assert_eq!(peer.connection.ending(), Some(whole), "{bytes:02x?} cut at {cut}");
        }
    }
}
