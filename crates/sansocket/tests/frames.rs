//! RFC 6455, section 5: what frames are, and what happens to those that are none.

use sansocket::{EndedBy, Event, NextStep, ProtocolError};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, LengthForm, PING, PONG, Peer, Side, TEXT};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Both sides, however the bytes are cut in two and byte for byte, refuse with `error`, once and for good, and tell the peer.
#[track_caller]
fn both_refuse(frames: &[Frame], error: ProtocolError) {
    for side in Side::BOTH {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.clone().for_reader(side, KEY).bytes()).collect();
        refuses(side, &bytes, error);
    }
}

#[track_caller]
fn refuses(side: Side, bytes: &[u8], error: ProtocolError) {
    for cut in 0..bytes.len().min(200) {
        let mut peer = Peer::either(side);
        peer.feed(&bytes[..cut]).feed(&bytes[cut..]);
        is_refused(&mut peer, error);
    }
    let mut peer = Peer::either(side);
    bytes.iter().for_each(|byte| _ = peer.feed(&[*byte]));
    is_refused(&mut peer, error);
}

#[track_caller]
fn is_refused<R: sansocket::Role>(peer: &mut Peer<R>, error: ProtocolError) {
    peer.expect_failed(error)
        .expect_fail_close(error)
        .expect_next_step(NextStep::DrainAfterFlush)
        .feed(&Frame::new(PING, "behind").masked(KEY).bytes())
        .expect_nothing()
        .expect_wire(&[]);
    assert_eq!(peer.connection.ending().unwrap().by(), EndedBy::Failure(error));
}

/// With all but the last byte nothing is known yet, with the last the connection fails.
#[track_caller]
fn fails_with_the_last_byte(side: Side, bytes: &[u8], error: ProtocolError) {
    let (last, before) = bytes.split_last().unwrap();
    let mut peer = Peer::either(side);
    before.iter().for_each(|byte| _ = peer.feed(&[*byte]));
    assert_eq!(peer.connection.failure(), None, "{before:02x?}");
    peer.feed(&[*last]);
    assert_eq!(peer.connection.failure(), Some(error), "{bytes:02x?}");
}

// 5.1: masks by role.

#[test]
fn rfc6455_5_1_a_server_takes_masked_frames() {
    Peer::server()
        .feed(&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        .expect_text("Hello")
        .expect_nothing()
        .expect_wire(&[])
        .expect_open();
}

#[test]
fn rfc6455_5_1_a_client_takes_unmasked_frames() {
    Peer::client().feed(b"\x81\x05Hello").expect_text("Hello").expect_nothing().expect_wire(&[]).expect_open();
}

#[test]
fn rfc6455_5_1_a_server_closes_upon_an_unmasked_frame_with_1002() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        for payload in ["", "Hello"] {
            refuses(Side::Server, &Frame::new(opcode, payload).bytes(), ProtocolError::UnmaskedFrame);
        }
    }
    let mut peer = Peer::server();
    peer.feed(b"\x81\x05Hello");
    assert_eq!(peer.out[..4], [0x88, u8::try_from(peer.out.len() - 2).unwrap(), 0x03, 0xEA]);
}

#[test]
fn rfc6455_5_1_a_client_closes_upon_a_masked_frame_with_1002() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        for payload in ["", "Hello"] {
            let bytes = Frame::new(opcode, payload).masked(KEY).bytes();
            refuses(Side::Client, &bytes, ProtocolError::MaskedFrame);
        }
    }
}

#[test]
fn rfc6455_5_1_a_mask_of_zeros_is_a_mask() {
    Peer::server().feed(&Frame::new(TEXT, "Hello").masked([0; 4]).bytes()).expect_text("Hello");
    let bytes = Frame::new(TEXT, "Hello").masked([0; 4]).bytes();
    refuses(Side::Client, &bytes, ProtocolError::MaskedFrame);
}

#[test]
fn rfc6455_5_1_the_mask_is_refused_from_the_header_alone() {
    fails_with_the_last_byte(Side::Server, &[0x81, 0x05], ProtocolError::UnmaskedFrame);
    let header = [0x81, 0x85, 1, 2, 3, 4];
    fails_with_the_last_byte(Side::Client, &header, ProtocolError::MaskedFrame);
}

// 5.2: the header.

#[test]
fn rfc6455_5_2_reserved_bits_must_be_zero_in_frames_of_every_kind() {
    for reserved in 1..8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let frame = Frame::new(opcode, "abcdef").reserved(reserved);
            both_refuse(&[frame], ProtocolError::ReservedBits);
        }
        both_refuse(
            &[Frame::new(TEXT, "a").fin(false), Frame::new(CONTINUATION, "b").reserved(reserved)],
            ProtocolError::ReservedBits,
        );
    }
}

#[test]
fn rfc6455_5_2_reserved_opcodes_are_refused_with_their_first_byte() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for fin in [true, false] {
            both_refuse(&[Frame::new(opcode, "").fin(fin)], ProtocolError::ReservedOpcode);
        }
        for side in Side::BOTH {
            fails_with_the_last_byte(side, &[0x80 | opcode], ProtocolError::ReservedOpcode);
        }
    }
}

#[test]
fn rfc6455_5_2_payloads_at_the_borders_of_the_length_forms() {
    for length in [0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 100_000] {
        let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        for side in Side::BOTH {
            let bytes = Frame::new(BINARY, &payload).for_reader(side, KEY).bytes();
            Peer::either(side).feed(&bytes).expect_binary(&payload).expect_open();
            // A header cut anywhere, and a payload cut at its ends.
            for cut in (1..20).chain([bytes.len().saturating_sub(1)]) {
                let cut = cut.min(bytes.len());
                Peer::either(side)
                    .feed(&bytes[..cut])
                    .feed(&bytes[cut..])
                    .expect_binary(&payload)
                    .expect_nothing()
                    .expect_open();
            }
        }
    }
}

#[test]
fn rfc6455_5_2_a_length_must_be_in_its_shortest_form() {
    for length in [0, 1, 125] {
        let frame = Frame::new(BINARY, vec![7; length]).length_form(LengthForm::Bits16);
        both_refuse(&[frame], ProtocolError::NonMinimalLength);
    }
    for length in [0, 125, 126, 65535] {
        let frame = Frame::new(TEXT, vec![b'x'; length]).length_form(LengthForm::Bits64);
        both_refuse(&[frame], ProtocolError::NonMinimalLength);
    }
    for opcode in [TEXT, BINARY] {
        let first = 0x80 | opcode;
        for side in Side::BOTH {
            let mask = if side == Side::Server { 0x80 } else { 0 };
            let short = [first, mask | 126, 0, 125];
            fails_with_the_last_byte(side, &short, ProtocolError::NonMinimalLength);
            let long = [first, mask | 127, 0, 0, 0, 0, 0, 0, 255, 255];
            fails_with_the_last_byte(side, &long, ProtocolError::NonMinimalLength);
        }
    }
}

#[test]
fn rfc6455_5_2_the_top_bit_of_a_length_must_be_zero() {
    for length in [1 << 63, (1 << 63) + 1, u64::MAX] {
        both_refuse(&[Frame::new(BINARY, "").declared(length)], ProtocolError::LengthTopBit);
    }
    fails_with_the_last_byte(Side::Client, &[0x82, 127, 0x80], ProtocolError::LengthTopBit);
    fails_with_the_last_byte(Side::Server, &[0x82, 255, 0xFF], ProtocolError::LengthTopBit);
}

#[test]
fn rfc6455_10_4_a_huge_length_is_refused_from_the_header_alone_with_1009() {
    for length in [(64 << 20) + 1, u64::from(u32::MAX), 1 << 32, (1 << 53) + 1, (1 << 63) - 1] {
        for opcode in [TEXT, BINARY] {
            let frame = Frame::new(opcode, "").declared(length);
            both_refuse(std::slice::from_ref(&frame), ProtocolError::MessageTooBig);
            for side in Side::BOTH {
                let bytes = frame.clone().for_reader(side, KEY).bytes();
                fails_with_the_last_byte(side, &bytes, ProtocolError::MessageTooBig);
            }
        }
    }
    assert_eq!(ProtocolError::MessageTooBig.close_code().get(), 1009);
}

// 5.3: masking.

#[test]
fn rfc6455_5_3_the_key_goes_on_over_every_cut_of_a_payload() {
    let payload: Vec<u8> = (0..=255).chain(0..77).collect();
    let bytes = Frame::new(BINARY, &payload).masked(KEY).bytes();
    for a in 0..bytes.len() {
        for b in [a + 1, a + 2, a + 3, a + 5, a + 8, a + 64] {
            let b = b.min(bytes.len());
            Peer::server().feed(&bytes[..a]).feed(&bytes[a..b]).feed(&bytes[b..]).expect_binary(&payload);
        }
    }
}

#[test]
fn rfc6455_5_3_each_frame_has_a_key_of_its_own() {
    let frames = [
        Frame::new(BINARY, "abcde").fin(false).masked([1, 2, 3, 4]),
        Frame::new(PING, "p").masked([5, 6, 7, 8]),
        Frame::new(CONTINUATION, "fghij").masked([0xFF, 0, 0xFF, 0]),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
    Peer::server().feed(&bytes).expect_ping(b"p").expect_binary(b"abcdefghij");
}

// 5.4: fragmentation.

#[test]
fn rfc6455_5_4_fragments_of_any_number_and_size_are_one_message() {
    for side in Side::BOTH {
        for fragments in [&["Hel", "lo"][..], &["", "", ""], &["", "a", ""], &["a", "", "b"], &[""]] {
            let last = fragments.len() - 1;
            for opcode in [TEXT, BINARY] {
                let frames: Vec<_> = (0..=last)
                    .map(|i| {
                        let opcode = if i == 0 { opcode } else { CONTINUATION };
                        Frame::new(opcode, fragments[i]).fin(i == last)
                    })
                    .collect();
                let mut peer = Peer::either(side);
                peer.feed_frames(&frames);
                let whole = fragments.concat();
                match opcode {
                    TEXT => peer.expect_text(&whole),
                    _ => peer.expect_binary(whole.as_bytes()),
                };
                peer.expect_nothing().expect_wire(&[]).expect_open();
            }
        }
    }
}

#[test]
fn rfc6455_5_4_a_continuation_has_to_continue_a_message() {
    for fin in [true, false] {
        for payload in ["", "abc"] {
            let stray = Frame::new(CONTINUATION, payload).fin(fin);
            both_refuse(std::slice::from_ref(&stray), ProtocolError::UnexpectedContinuation);
        }
    }
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[
                Frame::new(TEXT, "a").fin(false),
                Frame::new(CONTINUATION, "b"),
                Frame::new(CONTINUATION, "c"),
            ])
            .expect_text("ab")
            .expect_failed(ProtocolError::UnexpectedContinuation);
    }
}

#[test]
fn rfc6455_5_4_a_message_must_not_begin_inside_another() {
    for first in [TEXT, BINARY] {
        for second in [TEXT, BINARY] {
            for fin in [true, false] {
                both_refuse(
                    &[Frame::new(first, "a").fin(false), Frame::new(second, "b").fin(fin)],
                    ProtocolError::ExpectedContinuation,
                );
            }
        }
    }
}

#[test]
fn rfc6455_5_4_control_frames_come_between_the_fragments_of_a_message() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        peer.feed_frames(&[
            Frame::new(TEXT, "a").fin(false),
            Frame::new(PING, "1"),
            Frame::new(CONTINUATION, "b").fin(false),
            Frame::new(PONG, "2"),
            Frame::new(PING, "3"),
            Frame::new(CONTINUATION, "c"),
        ]);
        peer.expect_ping(b"1").expect_pong(b"2").expect_ping(b"3").expect_text("abc");
        peer.expect_frames(&[(PONG, b"1"), (PONG, b"3")]).expect_open();
    }
}

#[test]
fn rfc6455_5_4_a_close_comes_between_the_fragments_of_a_message() {
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[
                Frame::new(TEXT, "a").fin(false),
                Frame::close(1000, "enough"),
                Frame::new(CONTINUATION, "b"),
            ])
            .expect_close(Some(1000), "enough")
            .expect_ending(EndedBy::Peer, 1000);
    }
}

#[test]
fn rfc6455_5_4_a_fragment_is_handed_out_before_its_message_has_ended() {
    let mut peer = Peer::client();
    let mut bytes = Frame::new(TEXT, "early").fin(false).bytes();
    let mut input = &mut bytes[..];
    let event = peer.connection.receive(&mut input, &mut peer.out);
    assert!(matches!(event, Some(Event::Text(text)) if text.as_str() == "early"
        && text.is_first() && !text.is_last()));
}

// 5.5: control frames.

#[test]
fn rfc6455_5_5_control_frames_must_not_be_fragmented() {
    for opcode in [CLOSE, PING, PONG] {
        both_refuse(&[Frame::new(opcode, "").fin(false)], ProtocolError::FragmentedControl);
        for side in Side::BOTH {
            fails_with_the_last_byte(side, &[opcode], ProtocolError::FragmentedControl);
        }
    }
}

#[test]
fn rfc6455_5_5_control_frames_have_at_most_125_bytes() {
    for opcode in [CLOSE, PING, PONG] {
        for length in [126, 127, 65535, 65536] {
            let frame = Frame::new(opcode, vec![0; length]);
            both_refuse(&[frame], ProtocolError::ControlTooLong);
        }
        let frame = Frame::new(opcode, "").length_form(LengthForm::Bits16);
        both_refuse(&[frame], ProtocolError::ControlTooLong);
        fails_with_the_last_byte(Side::Server, &[0x80 | opcode, 0xFE], ProtocolError::ControlTooLong);
    }
}

#[test]
fn rfc6455_5_5_2_a_ping_is_answered_with_its_own_payload_of_0_to_125_bytes() {
    for side in Side::BOTH {
        for length in 0..=125u8 {
            let payload: Vec<u8> = (0..length).map(|i| i.wrapping_mul(7) ^ 0xC3).collect();
            let bytes = Frame::new(PING, &payload).for_reader(side, KEY).bytes();
            for cut in [0, 1, 2, 5, 6, 7, bytes.len() - 1] {
                let cut = cut.min(bytes.len() - 1);
                let mut peer = Peer::either(side);
                peer.feed(&bytes[..cut]).expect_wire(&[]).feed(&bytes[cut..]);
                assert_eq!(peer.connection.control(), payload);
                peer.expect_ping(&payload).expect_frames(&[(PONG, &payload)]).expect_open();
            }
        }
    }
}

#[test]
fn rfc6455_5_5_2_ten_pings_are_ten_pongs_in_order() {
    for side in Side::BOTH {
        let payloads: Vec<[u8; 1]> = (b'0'..=b'9').map(|digit| [digit]).collect();
        let pings: Vec<_> = payloads.iter().map(|payload| Frame::new(PING, payload)).collect();
        let mut peer = Peer::either(side);
        peer.feed_frames(&pings);
        payloads.iter().for_each(|payload| _ = peer.expect_ping(payload));
        let pongs: Vec<_> = payloads.iter().map(|payload| (PONG, &payload[..])).collect();
        peer.expect_nothing().expect_frames(&pongs).expect_open();
    }
}

#[test]
fn rfc6455_5_5_3_an_unsolicited_pong_is_told_and_not_answered() {
    for side in Side::BOTH {
        Peer::either(side)
            .feed_frames(&[Frame::new(PONG, ""), Frame::new(PONG, vec![9; 125])])
            .expect_pong(b"")
            .expect_pong(&[9; 125])
            .expect_nothing()
            .expect_wire(&[])
            .expect_open();
    }
}

#[test]
fn rfc6455_5_5_2_control_lends_the_last_payload_alone() {
    let mut peer = Peer::client();
    peer.feed_frames(&[Frame::new(PING, "long ago")]);
    assert_eq!(peer.connection.control(), b"long ago");
    // Half a header takes its place in memory, but never in `control`.
    peer.feed(&[0x89]);
    assert_eq!(peer.connection.control(), b"");
    peer.feed(&[2, b'h']);
    assert_eq!(peer.connection.control(), b"");
    peer.feed(b"i");
    assert_eq!(peer.connection.control(), b"hi");
}

// 5.6 and 8.1: text.

#[test]
fn rfc6455_5_6_text_is_cut_anywhere_over_frames_and_reads() {
    let text = "κόσμε, ß, €, 𝄞, \u{10FFFF}\u{0}";
    for side in Side::BOTH {
        for frame_cut in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(frame_cut);
            let frames = [Frame::new(TEXT, a).fin(false), Frame::new(PING, ""), Frame::new(CONTINUATION, b)];
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.clone().for_reader(side, KEY).bytes()).collect();
            for read_cut in 0..=bytes.len() {
                Peer::either(side)
                    .feed(&bytes[..read_cut])
                    .feed(&bytes[read_cut..])
                    .expect_ping(b"")
                    .expect_text(text)
                    .expect_nothing()
                    .expect_open();
            }
        }
    }
}

/// Texts that are wrong with their last byte and not before, or with their end (`true`).
const NOT_UTF8: &[(&[u8], bool)] = &[
    (b"\x80", false),
    (b"\xBF", false),
    (b"ok\xC0", false),
    (b"\xC1", false),
    (b"\xC2\x7F", false),
    (b"\xC3(", false),
    (b"\xE0\x9F", false),
    (b"\xE2\x28", false),
    (b"\xE2\x82\x28", false),
    (b"\xED\xA0", false),
    (b"\xED\xBF", false),
    (b"\xF0\x8F", false),
    (b"\xF0\x90\x28", false),
    (b"\xF0\x90\x8D\x28", false),
    (b"\xF4\x90", false),
    (b"\xF5", false),
    (b"\xFE", false),
    (b"\xFF", false),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90", false),
    (b"\xC3", true),
    (b"\xE2\x82", true),
    (b"ab\xF0\x9D\x84", true),
];

#[test]
fn rfc6455_8_1_text_that_is_not_utf8_fails_with_1007() {
    for &(text, _) in NOT_UTF8 {
        both_refuse(&[Frame::new(TEXT, text)], ProtocolError::InvalidUtf8);
        let (a, b) = text.split_at(text.len() - 1);
        let frames = [Frame::new(TEXT, a).fin(false), Frame::new(CONTINUATION, b)];
        both_refuse(&frames, ProtocolError::InvalidUtf8);
        let padded = [text, &b"behind it, more than a short message has".repeat(4)].concat();
        both_refuse(&[Frame::new(TEXT, padded)], ProtocolError::InvalidUtf8);
    }
    assert_eq!(ProtocolError::InvalidUtf8.close_code().get(), 1007);
}

#[test]
fn rfc6455_8_1_text_fails_with_the_first_impossible_byte_of_an_unfinished_frame() {
    for &(text, at_end) in NOT_UTF8.iter().filter(|(_, at_end)| !at_end) {
        assert!(!at_end);
        for side in Side::BOTH {
            let bytes = Frame::new(TEXT, text).declared(1000).for_reader(side, KEY).bytes();
            fails_with_the_last_byte(side, &bytes, ProtocolError::InvalidUtf8);
            // The same in a fragment that no FIN ends.
            let first = Frame::new(TEXT, "ß").fin(false).for_reader(side, KEY).bytes();
            let second = Frame::new(CONTINUATION, text).fin(false).declared(70_000);
            let bytes = [first, second.for_reader(side, KEY).bytes()].concat();
            fails_with_the_last_byte(side, &bytes, ProtocolError::InvalidUtf8);
        }
    }
}

#[test]
fn rfc6455_8_1_a_text_that_ends_inside_a_character_fails_with_its_end() {
    for &(text, _) in NOT_UTF8.iter().filter(|(_, at_end)| *at_end) {
        for side in Side::BOTH {
            let bytes = Frame::new(TEXT, text).for_reader(side, KEY).bytes();
            fails_with_the_last_byte(side, &bytes, ProtocolError::InvalidUtf8);
            let first = Frame::new(TEXT, text).fin(false).for_reader(side, KEY).bytes();
            Peer::either(side).feed(&first).expect_open();
            let empty = Frame::new(CONTINUATION, "").for_reader(side, KEY).bytes();
            let bytes = [first, empty].concat();
            fails_with_the_last_byte(side, &bytes, ProtocolError::InvalidUtf8);
        }
    }
}

#[test]
fn rfc6455_5_6_binary_may_hold_anything() {
    for &(bytes, _) in NOT_UTF8 {
        for side in Side::BOTH {
            Peer::either(side).feed_frames(&[Frame::new(BINARY, bytes)]).expect_binary(bytes).expect_open();
        }
    }
}

#[test]
fn rfc6455_5_6_a_cut_character_does_not_reach_into_the_next_message() {
    // The cut character of the first message is finished; a binary message and a text of its own follow.
    Peer::client()
        .feed(b"\x01\x02\xE2\x82\x80\x01\xAC")
        .feed(b"\x82\x01\xAC\x81\x01a")
        .expect_text("€")
        .expect_binary(b"\xAC")
        .expect_text("a");
}

// 5.7: the examples, byte for byte as they are printed.

#[test]
fn rfc6455_5_7_a_single_frame_unmasked_text_message() {
    Peer::client().feed(&[0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]).expect_text("Hello");
}

#[test]
fn rfc6455_5_7_a_single_frame_masked_text_message() {
    Peer::server().feed(&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]).expect_text("Hello");
}

#[test]
fn rfc6455_5_7_a_fragmented_unmasked_text_message() {
    Peer::client()
        .feed(&[0x01, 0x03, 0x48, 0x65, 0x6C])
        .expect_nothing()
        .feed(&[0x80, 0x02, 0x6C, 0x6F])
        .expect_text("Hello");
}

#[test]
fn rfc6455_5_7_unmasked_ping_and_masked_pong() {
    Peer::client()
        .feed(&[0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        .expect_ping(b"Hello")
        .expect_frames(&[(PONG, b"Hello")]);
    Peer::server()
        .feed(&[0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        .expect_pong(b"Hello")
        .expect_wire(&[]);
}

#[test]
fn rfc6455_5_7_256_bytes_of_binary_in_a_single_unmasked_frame() {
    let bytes = [&[0x82, 0x7E, 0x01, 0x00][..], &[0xAB; 256]].concat();
    Peer::client().feed(&bytes).expect_binary(&[0xAB; 256]);
    Peer::server().send(|connection, out| connection.send_binary(&[0xAB; 256], out)).expect_wire(&bytes);
}

#[test]
fn rfc6455_5_7_64_kib_of_binary_in_a_single_unmasked_frame() {
    let payload = vec![0xCD; 65536];
    let header = [0x82, 0x7F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00];
    let bytes = [&header[..], &payload].concat();
    Peer::client().feed(&bytes).expect_binary(&payload);
    Peer::server().send(|connection, out| connection.send_binary(&payload, out)).expect_wire(&bytes);
}

// What the engine says of a frame under way.

#[test]
fn payload_left_is_what_the_data_frame_under_way_still_lacks() {
    for side in Side::BOTH {
        let mut peer = Peer::either(side);
        let bytes = Frame::new(BINARY, [1; 200]).for_reader(side, KEY).bytes();
        let header = bytes.len() - 200;
        for end in 0..header {
            peer.feed(&bytes[end..end + 1]);
            let left = if end + 1 == header { 200 } else { 0 };
            assert_eq!(peer.connection.payload_left(), left, "behind {end} bytes");
        }
        for (i, byte) in bytes[header..].iter().enumerate() {
            peer.feed(&[*byte]);
            assert_eq!(peer.connection.payload_left(), 199 - i as u64);
        }
        // A control frame's payload is the engine's own business.
        let ping = Frame::new(PING, "ping").for_reader(side, KEY).bytes();
        peer.feed(&ping[..ping.len() - 2]);
        assert_eq!(peer.connection.payload_left(), 0);
    }
}
