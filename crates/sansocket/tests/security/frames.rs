//! Frames: lengths above all.

use sansocket::{FrameHeader, Limits, MAX_HEADER, Opcode, ProtocolError};
use sansocket_testkit::{BINARY, Frame, Peer, Side};

use super::{both_ways, hex};

/// The frame whose length has its top bit set, as it was sent to servers that took the length for a signed number.
const TOP_BIT: &str = "82 FF FF FF FF FF FF FF FF FF 00 00 00 00";

#[track_caller]
fn fails(side: Side, limits: Limits, bytes: &[u8], error: ProtocolError) {
    assert_eq!(both_ways(side, limits, bytes).failure, Some(error));
    Peer::either_with(side, limits).feed(bytes).expect_failed(error).expect_fail_close(error);
}

/// CVE-2026-27889 (NATS) and CVE-2020-13935 (Tomcat).
#[test]
fn cve_2026_27889_cve_2020_13935_a_length_with_the_top_bit_is_a_violation() {
    for limits in [Limits::DEFAULT, Limits::UNLIMITED] {
        fails(Side::Server, limits, &hex(TOP_BIT), ProtocolError::LengthTopBit);
        fails(Side::Server, limits, &hex("82 FF 80 00 00 00 00 00 00 00 00 00 00 00"), ProtocolError::LengthTopBit);
    }
    assert_eq!(ProtocolError::LengthTopBit.close_code().get(), 1002);
}

/// CVE-2026-43678 (swift-nio).
#[test]
fn cve_2026_43678_a_length_with_the_top_bit_byte_for_byte_in_both_roles() {
    for limits in [Limits::DEFAULT, Limits::UNLIMITED] {
        fails(Side::Server, limits, &hex(TOP_BIT), ProtocolError::LengthTopBit);
        for bytes in ["82 7F FF FF FF FF FF FF FF FF 00", "81 7F 80 00 00 00 00 00 00 00 00"] {
            fails(Side::Client, limits, &hex(bytes), ProtocolError::LengthTopBit);
        }
    }
}

/// CVE-2017-2921 (Mongoose): with the header's own length, 2⁶⁴ - 14 wraps.
#[test]
fn cve_2017_2921_a_length_that_wraps_with_its_header_is_a_violation() {
    for below in 1..=MAX_HEADER as u64 + 1 {
        for side in Side::BOTH {
            let frame = Frame::new(BINARY, "").declared(0_u64.wrapping_sub(below)).for_reader(side, [0; 4]);
            fails(side, Limits::UNLIMITED, &frame.bytes(), ProtocolError::LengthTopBit);
        }
    }
}

/// CVE-2026-1528 (undici), and CVE-2026-54466 (websocket-driver), whose lengths were floating point numbers.
#[test]
fn cve_2026_1528_a_length_of_64_bits_is_read_exactly() {
    let four_gib = hex("82 7F 00 00 00 01 00 00 00 00");
    let (header, end) = FrameHeader::parse(&four_gib).unwrap().unwrap();
    assert_eq!((header.payload_len(), end), (1 << 32, 10));
    fails(Side::Client, Limits::DEFAULT, &four_gib, ProtocolError::MessageTooBig);
    let around = |bits: u32| [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1];
    let lengths: Vec<u64> =
        [2, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 52, 53, 62].into_iter().flat_map(around).collect();
    assert!(lengths.len() >= 40);
    for length in lengths.into_iter().chain([0, (1 << 63) - 1]) {
        for key in [None, Some([1, 2, 3, 4])] {
            let header = FrameHeader::new(Opcode::Binary, true, length, key);
            let mut buffer = [0; MAX_HEADER];
            let bytes = header.encode(&mut buffer);
            assert_eq!(FrameHeader::parse(bytes), Ok(Some((header, bytes.len()))), "{length}");
        }
    }
}

#[test]
fn cve_2026_54466_a_length_above_2_to_the_53_is_refused_as_itself() {
    let odd = (1 << 53) + 1;
    for side in Side::BOTH {
        let frame = Frame::new(BINARY, "").declared(odd).for_reader(side, [0; 4]).bytes();
        let mut peer = Peer::either_with(side, Limits { message: odd, ..Limits::DEFAULT });
        peer.feed(&frame).expect_open();
        assert_eq!(peer.connection.payload_left(), odd);
        fails(side, Limits { message: odd - 1, ..Limits::DEFAULT }, &frame, ProtocolError::MessageTooBig);
    }
}

/// noPoll #84, ios-webkit-debug-proxy #435, fastws #11: lengths that are negative, or 0, in 32 bits.
#[test]
fn nopoll_84_lengths_at_the_edges_of_32_and_64_bits_are_what_they_are() {
    for length in [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 63) - 1] {
        for side in Side::BOTH {
            let frame = Frame::new(BINARY, "x").declared(length).for_reader(side, [0; 4]).bytes();
            let mut peer = Peer::either_with(side, Limits::UNLIMITED);
            peer.feed(&frame).expect_open();
            assert_eq!(peer.connection.payload_left(), length - 1);
            fails(side, Limits::DEFAULT, &frame, ProtocolError::MessageTooBig);
        }
    }
}

/// CVE-2020-27813 (gorilla/websocket): what was left of the limit was a signed number, and wrapped.
#[test]
fn cve_2020_27813_lengths_of_fragments_do_not_wrap_when_they_are_added() {
    for side in Side::BOTH {
        for (limit, first) in [(1000, 999), (u64::MAX - 1, 5), (u64::MAX, 5)] {
            let limits = Limits { message: limit, ..Limits::DEFAULT };
            let first = Frame::new(BINARY, vec![0; first]).fin(false).for_reader(side, [0; 4]).bytes();
            let huge = Frame::new(0, "").fin(false).declared((1 << 63) - 1).for_reader(side, [0; 4]).bytes();
            let bytes = [first, huge].concat();
            if limit == 1000 {
                fails(side, limits, &bytes, ProtocolError::MessageTooBig);
            } else {
                let mut peer = Peer::either_with(side, limits);
                peer.feed(&bytes);
                assert_eq!((peer.connection.failure(), peer.connection.payload_left()), (None, (1 << 63) - 1));
            }
        }
    }
}

/// CVE-2026-59881 (aiohttp): a compressed frame where no compression was agreed on.
#[test]
fn cve_2026_59881_a_compressed_frame_without_agreement_is_a_violation() {
    fails(Side::Server, Limits::DEFAULT, &hex("C1 87 00000000 f248cdc9c90700"), ProtocolError::ReservedBits);
    fails(Side::Client, Limits::DEFAULT, &hex("C1 07 f248cdc9c90700"), ProtocolError::ReservedBits);
    assert_eq!(ProtocolError::ReservedBits.close_code().get(), 1002);
}

/// CVE-2025-12689 (Mattermost).
#[test]
fn cve_2025_12689_text_that_is_not_utf8_is_a_violation() {
    fails(Side::Server, Limits::DEFAULT, &hex("81 82 00000000 C3 28"), ProtocolError::InvalidUtf8);
    fails(Side::Client, Limits::DEFAULT, &hex("81 02 C3 28"), ProtocolError::InvalidUtf8);
    assert_eq!(ProtocolError::InvalidUtf8.close_code().get(), 1007);
}

/// uWebSockets #1650: what a decoder wrote behind one frame's payload was the next frame's header.
#[test]
fn uws_1650_a_frame_is_taken_without_a_byte_of_the_next_one() {
    for side in Side::BOTH {
        for len in (0..40).chain([125, 126, 127, 128, 1000]) {
            let mut peer = Peer::either(side);
            peer.feed_frames(&[Frame::new(BINARY, vec![0xA5; len]), Frame::new(1, "behind"), Frame::new(9, "!")]);
            peer.expect_binary(&vec![0xA5; len]).expect_text("behind").expect_ping(b"!").expect_open();
        }
    }
}

/// uWebSockets #1164, and all that fuzzers found: garbage in memory of exactly its size, at once and byte for byte.
#[test]
fn uws_1164_garbage_gives_the_same_however_it_is_cut() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    // What begins like a frame gets further.
    let starts =
        ["82 85 01020304 11 22", "01 80 00000000", "88 82 00000000 03", "89 FD 00000000", "82 FE 00 7E", "81 01"];
    for _ in 0..1500 {
        let start = starts[usize::try_from(random() % starts.len() as u64).unwrap()];
        let tail = (0..random() % 30).map(|_| random().to_le_bytes()[3]);
        let bytes: Vec<u8> = hex(start).into_iter().chain(tail).collect();
        for side in Side::BOTH {
            both_ways(side, Limits { message: 40, fragments: 3, ..Limits::DEFAULT }, &bytes);
        }
    }
}
