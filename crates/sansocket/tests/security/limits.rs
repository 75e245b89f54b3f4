//! What a peer can make us hold.

use allocation_counter::measure;
use sansocket::handshake::HeadLimits;
use sansocket::{
    BoundedOutput, Event, Limits, Messages, NextStep, Output, ProtocolError, SendError, SliceOutput, Timeouts,
};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Peer, Side, TEXT};

use super::{hex, piece_len, receive, request, serve, server, times};

/// CVE-2022-35922 (rust-websocket), CVE-2021-21419 (eventlet), gobwas/ws #223: memory for what a header announces.
#[test]
fn cve_2022_35922_an_announced_length_takes_no_memory() {
    // 2³¹ - 1 bytes to come.
    let announced = "82 FF 00 00 00 00 7F FF FF FF 00000000";
    Peer::server()
        .feed(&hex(announced))
        .expect_failed(ProtocolError::MessageTooBig)
        .expect_fail_close(ProtocolError::MessageTooBig);
    for (bytes, there) in [(hex(announced), 0), ([hex(announced), vec![7; 10]].concat(), 10)] {
        let (mut bytes, mut connection) = (bytes, server(Limits::UNLIMITED));
        let mut out = Vec::with_capacity(200);
        let (mut messages, mut given) = (Messages::new(), 0);
        messages.set_limit(u64::MAX);
        let taken = measure(|| {
            let mut input = &mut bytes[..];
            while let Some(event) = connection.receive(&mut input, &mut out) {
                given += piece_len(event);
                messages.append(event.piece().unwrap()).unwrap();
            }
        });
        assert_eq!((given, connection.failure()), (there, None));
        assert!(taken.bytes_max < 1024, "{taken:?}");
    }
}

/// CVE-2016-10542 (ws), CVE-2018-21035 (Qt): no limit, or one of 256 MB and more.
#[test]
fn cve_2016_10542_a_frame_of_one_byte_too_many_is_refused_by_its_header() {
    assert_eq!(Limits::default(), Limits { message: 64 << 20, fragments: 1 << 17, undefined_close_codes: false });
    assert_eq!(HeadLimits::default(), HeadLimits { bytes: 16 << 10, headers: 100 });
    assert_eq!(ProtocolError::MessageTooBig.close_code().get(), 1009);
    for side in Side::BOTH {
        let announce = |length| Frame::new(BINARY, "").declared(length).for_reader(side, [0; 4]).bytes();
        Peer::either(side).feed(&announce(64 << 20)).expect_open();
        let error = ProtocolError::MessageTooBig;
        Peer::either(side).feed(&announce((64 << 20) + 1)).expect_failed(error).expect_fail_close(error);
    }
}

/// CVE-2020-35896 (ws-rs): what is queued for a peer that does not read.
#[test]
fn cve_2020_35896_what_is_queued_stays_below_the_mark() {
    const MARK: usize = 1 << 20;
    let (mut connection, mut queue) = (server(Limits::DEFAULT), Vec::new());
    let message = vec![0; 64 << 10];
    let sent = (0..10_000).filter(|_| {
        let sent = connection.send_binary(&message, &mut BoundedOutput::new(&mut queue, MARK));
        assert!(matches!(sent, Ok(()) | Err(SendError::NoRoom)), "{sent:?}");
        sent.is_ok()
    });
    assert_eq!(sent.count(), MARK / (message.len() + 10));
    assert!(queue.len() <= MARK);
}

/// CVE-2020-35896 again, and OkHttp's queue of pongs: pings of a peer that does not read.
#[test]
fn cve_2020_35896_pings_of_a_peer_that_does_not_read_are_left_where_they_are() {
    const MARK: usize = 64 << 10;
    let mut pings = times(1_000_000, "89 80 00000000");
    let (mut connection, mut queue) = (server(Limits::DEFAULT), Vec::new());
    let mut input = &mut pings[..];
    let mut answered = 0;
    while let Some(event) = connection.receive(&mut input, &mut BoundedOutput::new(&mut queue, MARK)) {
        assert!(matches!(event, Event::Ping));
        answered += 1;
    }
    assert!(queue.len() <= MARK && queue.capacity() <= 2 * MARK, "{}", queue.capacity());
    assert_eq!((answered * 2, input.len()), (queue.len(), (1_000_000 - answered) * 6), "nothing was lost");
    // When the peer reads again, it goes on.
    queue.clear();
    assert!(connection.receive(&mut input, &mut BoundedOutput::new(&mut queue, MARK)).is_some());
}

/// CVE-2026-48779 (ws), CVE-2014-0193 (Netty): fragments without end, empty ones too.
#[test]
fn cve_2026_48779_a_server_counts_fragments_of_no_bytes() {
    for (first, next, size) in [("01 80 00000000", "00 80 00000000", 6), ("02 81 00000000 58", "00 81 00000000 58", 7)]
    {
        let (mut connection, mut out) = (server(Limits::DEFAULT), Vec::with_capacity(200));
        let mut bytes = [hex(first), times(200_000, next)].concat();
        let mut events = 0;
        let taken = measure(|| events = receive(&mut connection, &mut bytes, &mut out));
        assert_eq!(connection.failure(), Some(ProtocolError::TooManyFragments));
        assert_eq!(ProtocolError::TooManyFragments.close_code().get(), 1008);
        assert_eq!((events, taken.bytes_total), (Limits::DEFAULT.fragments as usize + 1, 0), "of {size} bytes");
        // Byte for byte, too.
        let (mut connection, mut count) = (server(Limits { fragments: 1000, ..Limits::DEFAULT }), 0);
        for byte in [hex(first), times(2000, next)].concat().chunks_mut(1) {
            count += receive(&mut connection, byte, &mut out);
        }
        assert_eq!((connection.failure(), count), (Some(ProtocolError::TooManyFragments), 1001));
    }
}

/// CVE-2026-12151 (undici).
#[test]
fn cve_2026_12151_a_client_counts_fragments_of_no_bytes() {
    let mut client = Peer::client();
    let mut bytes = [hex("01 00"), times(200_000, "00 00")].concat();
    let mut messages = Messages::new();
    let mut input = &mut bytes[..];
    while let Some(event) = client.connection.receive(&mut input, &mut client.out) {
        match event.piece() {
            Some(piece) => messages.append(piece).unwrap(),
            None => assert!(matches!(event, Event::Failed(ProtocolError::TooManyFragments)), "{event:?}"),
        }
    }
    assert_eq!((messages.capacity(), client.connection.failure()), (0, Some(ProtocolError::TooManyFragments)));
    client.expect_fail_close(ProtocolError::TooManyFragments);
}

/// CVE-2025-32049 (libsoup), CVE-2026-44545 (daphne), CVE-2016-10544 (uWebSockets), CVE-2014-0193 (Netty): a limit for frames is none for messages.
#[test]
fn cve_2025_32049_a_fragmented_message_has_one_limit_over_all_fragments() {
    let limits = Limits { message: 10 << 10, ..Limits::DEFAULT };
    for side in Side::BOTH {
        let mut peer = Peer::either_with(side, limits);
        let kib = |opcode| [Frame::new(opcode, [b'x'; 1024]).fin(false)];
        peer.feed_frames(&kib(TEXT));
        for _ in 1..10 {
            peer.feed_frames(&kib(CONTINUATION)).expect_open();
        }
        // The one that passes it, and by its header.
        let error = ProtocolError::MessageTooBig;
        let header = Frame::new(CONTINUATION, "").declared(1).fin(false).for_reader(side, [0; 4]).bytes();
        peer.feed(&header).expect_failed(error).expect_fail_close(error);
    }
}

/// CVE-2026-0716 (libsoup): a read beyond memory, where the limit was not set.
#[test]
fn cve_2026_0716_every_limit_can_be_lifted() {
    for side in Side::BOTH {
        let mut peer = Peer::either_with(side, Limits::UNLIMITED);
        peer.feed_frames(&[Frame::new(TEXT, "a").fin(false), Frame::new(CONTINUATION, vec![b'b'; 100_000])]);
        peer.expect_text(&format!("a{}", "b".repeat(100_000))).expect_open();
        let announced = Frame::new(BINARY, "some").declared((1 << 63) - 1).for_reader(side, [0; 4]).bytes();
        peer.feed(&announced).expect_open();
    }
    let no_limits = super::NO_LIMITS;
    assert_eq!(serve(request(&"A: b\r\n".repeat(500)), no_limits).0, Ok(()));
    assert_eq!(serve(request(&format!("A: {}\r\n", "b".repeat(100_000))), no_limits).0, Ok(()));
    assert_eq!(Timeouts::NONE.open_deadline(sansocket::Time::from_nanos(1)), None);
    let (mut connection, mut queue) = (server(Limits::DEFAULT), Vec::new());
    for _ in 0..100 {
        connection.send_binary(&[0; 1000], &mut BoundedOutput::new(&mut queue, usize::MAX)).unwrap();
    }
    assert_eq!(queue.len(), 100 * 1004);
}

/// GHSA-xcgm-r5h9-7989 (aiohttp): a frame that is too long was read before it was refused.
#[test]
fn ghsa_xcgm_r5h9_7989_a_frame_is_refused_before_its_first_byte_of_payload() {
    for side in Side::BOTH {
        let limits = Limits { message: 1000, ..Limits::DEFAULT };
        let header = Frame::new(BINARY, "").declared(1001).for_reader(side, [0; 4]).bytes();
        let mut peer = Peer::either_with(side, limits);
        let (last, all_but_one) = header.split_last().unwrap();
        peer.feed(all_but_one).expect_open();
        peer.feed(&[*last]).expect_failed(ProtocolError::MessageTooBig).expect_next_step(NextStep::DrainAfterFlush);
    }
}

/// aiohttp #13743 and #13749: what comes behind a violation was kept.
#[test]
fn aiohttp_13743_nothing_is_kept_of_what_comes_behind_a_violation() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.feed(&hex("83")).expect_failed(ProtocolError::ReservedOpcode);
        peer.expect_fail_close(ProtocolError::ReservedOpcode);
        let state = format!("{:?}", peer.connection);
        let mut read = vec![0x89; 64 << 10];
        let taken = measure(|| {
            for _ in 0..(100 << 20) / read.len() {
                assert_eq!(receive(&mut peer.connection, &mut read, &mut peer.out), 0);
            }
        });
        assert_eq!((taken.bytes_total, &*peer.out, format!("{:?}", peer.connection)), (0, &[][..], state));
        peer.send_fails(SendError::Closing, |connection, out| connection.send_text("no", out));
    }
}

/// CVE-2026-27571, CVE-2026-33219 (NATS): what a peer may do before it has logged in.
#[test]
fn cve_2026_27571_limits_are_low_before_a_login_and_higher_behind_it() {
    let before = Limits { message: 100, fragments: 1, ..Limits::DEFAULT };
    for side in Side::BOTH {
        let long = [Frame::new(BINARY, [7; 101])];
        Peer::either_with(side, before).feed_frames(&long).expect_failed(ProtocolError::MessageTooBig);
        let mut peer = Peer::either_with(side, before);
        peer.feed_frames(&[Frame::new(TEXT, "password")]).expect_text("password");
        peer.connection.set_limits(Limits::DEFAULT);
        peer.feed_frames(&long).expect_binary(&[7; 101]).expect_open();
    }
}

/// CVE-2026-25541 (the crate `bytes`): a capacity that overflowed. Every limit and every room at the edge of its type.
#[test]
fn cve_2026_25541_sums_of_lengths_and_limits_do_not_overflow() {
    /// Has so much room, and must not be written to.
    struct Endless(usize);
    impl Output for Endless {
        fn room(&self) -> usize {
            self.0
        }
        fn put(&mut self, _: &[u8]) -> &mut [u8] {
            unreachable!("nothing is to be written")
        }
    }
    for message in [u64::MAX, u64::MAX - 1, u64::MAX / 8 * 7, u64::MAX - 1024, 1 << 63, (1 << 63) - 1] {
        for fragments in [0, 1, u32::MAX - 1, u32::MAX] {
            for length in [(1 << 63) - 1, 1 << 62, u64::from(u32::MAX)] {
                let mut connection = server(Limits { message, fragments, ..Limits::DEFAULT });
                let parts = [
                    Frame::new(BINARY, "x").fin(false),
                    Frame::new(CONTINUATION, "").fin(false).declared(length).for_reader(Side::Server, [0; 4]),
                ];
                let mut bytes = parts.map(|frame| frame.for_reader(Side::Server, [0; 4]).bytes()).concat();
                receive(&mut connection, &mut bytes, &mut Vec::new());
                assert!(connection.failure().is_some() || connection.payload_left() == length);
            }
        }
    }
    let mut connection = server(Limits::UNLIMITED);
    for room in [0, 1, 125, 130] {
        let mut none = Endless(room);
        assert_eq!(connection.send_binary(&[0; 129], &mut none), Err(SendError::NoRoom), "{room}");
    }
    let mut memory = [0; 300];
    let mut out = SliceOutput::new(&mut memory);
    connection.send_binary(&[0; 129], &mut out).unwrap();
    let mut queue = vec![0; 10];
    assert_eq!(BoundedOutput::new(&mut queue, 5).room(), 0, "a limit below what is there");
    assert_eq!(BoundedOutput::new(&mut queue, usize::MAX).room(), usize::MAX - 10);
    let limits = HeadLimits { bytes: usize::MAX, headers: usize::MAX };
    assert_eq!(serve(request(""), limits).0, Ok(()));
}
