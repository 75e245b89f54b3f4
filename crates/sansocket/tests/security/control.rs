//! Pings, pongs, closing, and the end.

use std::time::Duration;

use allocation_counter::measure;
use sansocket::{
    CloseCode, ControlBucket, ControlRate, Deadlines, EndedBy, Event, Expired, Limits, MAX_REASON, NextStep,
    ProtocolError, SendError, Time, Timeouts,
};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Peer, Side, TEXT, close_body};

use super::{hex, receive, server, times};

const SECOND: Duration = Duration::from_secs(1);

/// CVE-2026-45736 (ws): a close reason's length was taken before it was bytes.
#[test]
fn cve_2026_45736_a_close_carries_the_reason_that_was_given_and_no_other_byte() {
    for side in Side::BOTH {
        for reason in ["", "x", &"x".repeat(122), &"x".repeat(MAX_REASON), &"ß".repeat(61)] {
            Peer::either(side).close(1000, reason).expect_frames(&[(CLOSE, &close_body(1000, reason))]);
        }
        for reason in ["x".repeat(124), "ß".repeat(62), format!("{}€", "x".repeat(121))] {
            Peer::either(side).send_fails(SendError::ReasonTooLong, |connection, out| {
                connection.close(Some(CloseCode::NORMAL), &reason, out)
            });
        }
        // The same from the peer, whose reason may be cut inside of a character.
        let cut = [&close_body(1000, &"x".repeat(121))[..], b"\xE2\x82"].concat();
        Peer::either(side).feed_frames(&[Frame::new(CLOSE, cut)]).expect_failed(ProtocolError::InvalidCloseReason);
        let longest = "x".repeat(MAX_REASON);
        Peer::either(side).feed_frames(&[Frame::close(1000, &longest)]).expect_close(Some(1000), &longest);
        let longer = Frame::close(1000, &"x".repeat(124)).for_reader(side, [0; 4]).bytes();
        Peer::either(side).feed(&longer).expect_failed(ProtocolError::ControlTooLong);
    }
}

/// CVE-2024-23672 (Tomcat): a peer that has sent its Close, or ours, and goes on living.
#[test]
fn cve_2024_23672_a_peer_that_does_not_end_is_ended() {
    let timeouts = Timeouts { close: Some(3 * SECOND), end: Some(2 * SECOND), ..Timeouts::DEFAULT };
    let at = |seconds| Time::default().after(seconds * SECOND);
    for side in Side::BOTH {
        for peer_closes in [false, true] {
            let mut peer = Peer::either(side);
            let mut deadlines = Deadlines::new(at(0));
            let limit = if peer_closes { 2 } else { 3 };
            match peer_closes {
                true => _ = peer.feed_frames(&[Frame::close(1000, "")]),
                false => _ = peer.close(1000, ""),
            }
            assert_eq!(deadlines.next(at(0), &timeouts, &peer.connection), Some(at(limit)));
            for second in 1..=limit {
                // It is heard all the time, and that does not help it.
                deadlines.received(at(second));
                peer.feed_frames(&[Frame::new(PING, [0; 125]), Frame::new(TEXT, "still here")]);
                let expired = deadlines.expire(at(second), &timeouts, &mut peer.connection, &mut peer.out);
                assert_eq!(expired, if second < limit { Expired::Nothing } else { Expired::Transport }, "{second}");
            }
            peer.expect_next_step(NextStep::Closed);
        }
    }
}

/// CVE-2017-2670 (Undertow): an end without a Close was read again and again.
#[test]
fn cve_2017_2670_the_end_of_the_transport_is_the_end_in_every_state() {
    let states = [
        ("new", (|_| {}) as fn(&mut Peer<_>)),
        ("in a header", |peer| _ = peer.feed(&[0x81])),
        ("in a payload", |peer| _ = peer.feed_frames(&[Frame::new(TEXT, "a").declared(2)])),
        ("in a control frame", |peer| _ = peer.feed_frames(&[Frame::new(PING, "a").declared(2)])),
        ("between fragments", |peer| _ = peer.feed_frames(&[Frame::new(BINARY, "a").fin(false)])),
        ("close sent", |peer| _ = peer.close(1000, "")),
        ("close received", |peer| _ = peer.feed_frames(&[Frame::close(1000, "")])),
        ("failed", |peer| _ = peer.feed(&[0x83])),
        ("ended", |peer| _ = peer.eof()),
    ];
    for side in Side::BOTH {
        for (name, state) in &states {
            let mut peer = Peer::either(side);
            state(&mut peer);
            peer.eof().expect_next_step(NextStep::Closed);
            let ending = peer.connection.ending();
            assert!(ending.is_some(), "{name}");
            peer.out.clear();
            // Told once, and then nothing is to be done: no deadline, no event, no output, whatever is called.
            let mut deadlines = Deadlines::new(Time::default());
            for _ in 0..3 {
                assert_eq!(receive(&mut peer.connection, &mut hex("8180 0000 0000 8980"), &mut peer.out), 0, "{name}");
                peer.eof();
                assert_eq!(deadlines.next(Time::default(), &Timeouts::DEFAULT, &peer.connection), None, "{name}");
                peer.send_fails(SendError::Closing, |connection, out| connection.ping(b"", out));
            }
            assert_eq!((peer.connection.ending(), &*peer.out), (ending, &[][..]), "{name}");
        }
    }
}

/// CVE-2021-3690 (Undertow): a buffer for each pong.
#[test]
fn cve_2021_3690_a_million_pongs_take_no_memory() {
    let mut pongs = Frame::new(PONG, [0; 125]).masked([0; 4]).bytes().repeat(1000);
    let (mut connection, mut out) = (server(Limits::DEFAULT), Vec::new());
    let taken = measure(|| {
        for _ in 0..1000 {
            assert_eq!(receive(&mut connection, &mut pongs, &mut out), 1000);
        }
    });
    assert_eq!((taken.count_total, connection.failure(), out.len()), (0, None, 0));
}

/// capnproto #2625: one level of the stack for each ping.
#[test]
fn capnproto_2625_a_million_pings_in_one_read_take_no_stack() {
    let flood = || {
        let (mut connection, mut out) = (server(Limits::DEFAULT), Vec::new());
        let mut pings = times(1_000_000, "89 80 00000000");
        assert_eq!(receive(&mut connection, &mut pings, &mut out), 1_000_000);
        assert_eq!(out, hex("8A 00").repeat(1_000_000));
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(flood).unwrap().join().unwrap();
}

/// Pings of 125 bytes for ever: how often they may come is a limit of those who want one.
#[test]
fn control_flood_pings_and_pongs_are_counted_against_a_rate() {
    let rate = ControlRate { burst: 10, interval: SECOND };
    for side in Side::BOTH {
        let (mut peer, mut bucket, mut now) = (Peer::either(side), ControlBucket::new(), Time::default());
        let mut admitted = |peer: &mut Peer<_>, now: Time, opcode: u8| {
            let mut bytes = Frame::new(opcode, [0; 125]).for_reader(side, [0; 4]).bytes();
            let mut input = &mut bytes[..];
            let event = peer.connection.receive(&mut input, &mut peer.out).unwrap();
            assert!(matches!(event, Event::Ping | Event::Pong));
            bucket.admit(now, &rate, &mut peer.connection, &mut peer.out)
        };
        assert!((0..10).all(|at| admitted(&mut peer, now, if at % 2 == 0 { PING } else { PONG })));
        now = now.after(SECOND);
        assert!(admitted(&mut peer, now, PONG), "one was forgotten");
        assert!(!admitted(&mut peer, now, PONG), "and one only");
        assert_eq!(peer.connection.failure(), Some(ProtocolError::TooManyControlFrames));
    }
}

/// Whoever sends a byte a minute makes progress, and is late all the same.
#[test]
fn slowloris_the_opening_handshake_has_one_deadline_whatever_comes() {
    let timeouts = Timeouts { open: Some(10 * SECOND), ..Timeouts::DEFAULT };
    let start = Time::default().after(5 * SECOND);
    // Not of what was received: there is nothing that moves it.
    assert_eq!(timeouts.open_deadline(start), Some(start.after(10 * SECOND)));
    let mut handshake = sansocket::handshake::ServerHandshake::new();
    let (head, mut out) = (super::request(""), Vec::new());
    for end in 1..20 {
        handshake.receive(&head.as_bytes()[..end], &mut out);
    }
    assert_eq!(out, b"");
    handshake.refuse(sansocket::handshake::RequestError::TimedOut, &mut out);
    assert!(out.starts_with(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"), "{}", out.escape_ascii());
}

/// A slow peer behind the handshake: what it has begun does not keep it alive longer than its bytes do.
#[test]
fn slowloris_a_message_that_does_not_go_on_is_noticed() {
    let timeouts = Timeouts { ping: Some(SECOND), pong: Some(SECOND), ..Timeouts::DEFAULT };
    let at = |seconds| Time::default().after(seconds * SECOND);
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        let mut deadlines = Deadlines::new(at(0));
        peer.feed_frames(&[Frame::new(BINARY, "a").fin(false), Frame::new(CONTINUATION, "b").declared(1000)]);
        deadlines.received(at(0));
        let mut expire = |now| deadlines.expire(at(now), &timeouts, &mut peer.connection, &mut peer.out);
        assert_eq!([expire(1), expire(2)], [Expired::Pinged, Expired::Failed(ProtocolError::PongTimeout)]);
        peer.eof().expect_ending(EndedBy::Failure(ProtocolError::PongTimeout), 1006);
    }
}
