//! Messages that end too early, and bytes that are no DEFLATE data (RFC 7692, section 7.2.2; RFC 1951).

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use sansocket::ProtocolError;
use sansocket::deflate::Pool;
use sansocket_testkit::{BINARY, Side, TEXT};

use super::oracle::{Packer, TAIL, Unpacker, farthest, packed};
use super::{FRESH, Parameters, Receiver, TAKEOVER, fragments, limit};

const INVALID: ProtocolError = ProtocolError::InvalidCompression;

#[track_caller]
fn fails(parameters: Parameters, before: &[&[u8]], message: &[u8], error: ProtocolError) {
    for side in Side::BOTH {
        for scratch in [1, 3, 4096] {
            let mut receiver = Receiver::new(side, parameters).scratch(scratch);
            before.iter().for_each(|bytes| _ = receiver.feed_frames(&fragments(BINARY, &[bytes])));
            receiver.expect_open().recorder.received().clear();
            receiver.feed_frames(&fragments(BINARY, &[message])).expect_failed(error);
            assert!(receiver.decompressor.is_idle(), "a decompressor is held behind a failure");
            // Nothing is inflated any more.
            receiver.feed_frames(&fragments(BINARY, &[packed(b"more")])).expect_nothing();
            assert_eq!(receiver.out, b"");
        }
    }
}

/// Streams of every kind of block, each as one message.
fn streams() -> Vec<(&'static str, Vec<u8>)> {
    let text: Vec<u8> = (0..300u32).flat_map(|i| (i * i).to_string().into_bytes()).collect();
    let mut two_blocks = Packer::new(6);
    let first = two_blocks.pack(b"Hello, ", miniz_oxide::MZFlush::Sync);
    vec![
        ("fixed", b"\xF2\x48\xCD\xC9\xC9\x07\x00".to_vec()),
        ("stored", b"\x00\x05\x00\xFA\xFFHello\x00".to_vec()),
        ("stored zeros", [b"\x00\x08\x00\xF7\xFF", &[0; 8][..], b"\x00"].concat()),
        ("stored tails", [b"\x00\x08\x00\xF7\xFF", &TAIL[..], &TAIL, b"\x00"].concat()),
        ("dynamic", Packer::new(9).message(&text)),
        ("two blocks", [first, two_blocks.message(b"Hello, Hello")].concat()),
        ("repeated", packed(&[0; 1000])),
    ]
}

/// Whether these bytes are whole blocks once the four are there again that a sender leaves out, the last block an empty one.
fn is_whole(data: &[u8]) -> bool {
    let (unpacked, mut history) = (Unpacker::new().unpack(data), Vec::new());
    let with_tail = [data, &TAIL].concat();
    let parsed = catch_unwind(AssertUnwindSafe(|| farthest(&with_tail, &mut history)));
    parsed.is_ok() && history == unpacked
}

#[test]
fn rfc7692_7_2_2_a_message_cut_at_any_byte_but_a_border_cannot_be_inflated() {
    for (name, stream) in streams() {
        let whole = Unpacker::new().message(&stream);
        for (end, parameters) in (1..=stream.len()).flat_map(|end| [(end, FRESH), (end, TAKEOVER)]) {
            let mut receiver = Receiver::new(Side::Client, parameters);
            receiver.feed_frames(&fragments(BINARY, &[&stream[..end]]));
            let failure = receiver.connection.failure();
            assert_eq!(failure.is_none(), is_whole(&stream[..end]), "{name}, cut at {end}: {failure:?}");
            assert!(failure.is_none_or(|error| error == INVALID));
            if end == stream.len() {
                receiver.expect_binary(&whole);
            }
        }
    }
}

#[test]
fn rfc7692_7_2_1_a_message_without_an_empty_block_at_its_end_is_none() {
    // Whole blocks, but nothing of the empty one behind them; and one that was not left out.
    fails(FRESH, &[], b"\x00\x05\x00\xFA\xFFHello", INVALID);
    fails(TAKEOVER, &[b"\0"], b"\x00\x05\x00\xFA\xFFHello", INVALID);
    fails(FRESH, &[], &[&packed(b"Hello")[..], &TAIL].concat(), INVALID);
    fails(TAKEOVER, &[b"\0"], &[&packed(b"Hello")[..], &TAIL].concat(), INVALID);
    // A block of which the bytes that are left out would be the end.
    fails(FRESH, &[], b"\x00\x05\x00\xFA\xFFH", INVALID);
    fails(FRESH, &[], b"\x00\x04\x00\xFB\xFF", INVALID);
    fails(FRESH, &[], b"\x00\x00", INVALID);
}

#[test]
fn rfc1951_3_2_what_is_no_deflate_data_cannot_be_inflated() {
    for bad in [
        &b"\x06\x00"[..],                            // a block of type 3
        b"\xFF",                                     // and one that is final
        b"\x00\x05\x00\x00\x00Hello\x00",            // a length without its complement
        b"\xF2\x00\x11\x00\x00",                     // a distance to where nothing is
        b"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00", // codes without symbols
        b"\xFC\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", // more lengths than there are
        b"\xF2\x48\xCD\xC9\xC9\x07\x06",             // good data, and a block of type 3 behind it
    ] {
        for parameters in [FRESH, TAKEOVER] {
            fails(parameters, &[], bad, INVALID);
            fails(parameters, &[&packed(b"a"), b"\0"], bad, INVALID);
        }
    }
    assert_eq!(INVALID.close_code().get(), 1007);
}

#[test]
fn rfc7692_7_1_1_without_takeover_a_message_refers_to_no_earlier_one() {
    let mut packer = Packer::new(9);
    let (first, second) = (packer.message(b"Hello, Hello, Hello"), packer.message(b"Hello, Hello, Hello"));
    fails(FRESH, &[&first], &second, INVALID);
    for side in Side::BOTH {
        let mut receiver = Receiver::new(side, TAKEOVER);
        receiver.feed_frames(&fragments(BINARY, &[&first])).feed_frames(&fragments(BINARY, &[&second]));
        receiver.expect_binary(b"Hello, Hello, Hello").expect_binary(b"Hello, Hello, Hello").expect_open();
    }
}

#[test]
fn rfc7692_6_a_zero_length_payload_with_rsv1_is_an_empty_message() {
    // Section 7.2.3.6 has a byte for it, but nothing is gained by failing without.
    for parameters in [FRESH, TAKEOVER] {
        for side in Side::BOTH {
            let mut packer = Packer::new(6);
            let mut receiver = Receiver::new(side, parameters);
            for message in [b"", b"", &b"Hello"[..], b"", b"Hello", b"", b""] {
                let payload = if message.is_empty() { Vec::new() } else { packer.message(message) };
                packer = if parameters == FRESH { Packer::new(6) } else { packer };
                receiver.feed_frames(&fragments(BINARY, &[payload])).expect_binary(message).expect_open();
            }
            // In fragments, all of them empty.
            receiver.feed_frames(&fragments(TEXT, &[b"", b"", b""])).expect_text("").expect_open();
        }
    }
}

const BFINAL: &[u8] = b"\xF3\x48\xCD\xC9\xC9\x07\x00";

#[test]
fn rfc7692_7_2_3_4_behind_bfinal_a_message_may_go_on_or_end() {
    let more = packed(b", Hello");
    for side in Side::BOTH {
        for parameters in [FRESH, TAKEOVER] {
            for scratch in [1, 2, 5, 6, 4096] {
                let mut receiver = Receiver::new(side, parameters).scratch(scratch);
                for (payload, text) in [
                    ([BFINAL, &more].concat(), "Hello, Hello"),
                    ([BFINAL, BFINAL, BFINAL, b"\0"].concat(), "HelloHelloHello"),
                    // The byte that section 7.2.3.4 demands is left out.
                    (BFINAL.to_vec(), "Hello"),
                    ([BFINAL, BFINAL].concat(), "HelloHello"),
                    // An empty block that is final itself.
                    ([BFINAL, b"\x01"].concat(), "Hello"),
                    (b"\x01".to_vec(), ""),
                    (b"\0".to_vec(), ""),
                    (Vec::new(), ""),
                    ([b"\x01\0\0\xFF\xFF", &more[..]].concat(), ", Hello"),
                ] {
                    receiver.feed_frames(&fragments(TEXT, &[&payload])).expect_text(text).expect_open();
                    let (a, b) = payload.split_at(payload.len() / 2);
                    receiver.feed_frames(&fragments(TEXT, &[a, b])).expect_text(text).expect_open();
                }
            }
        }
    }
}

#[test]
fn rfc7692_7_2_3_4_behind_bfinal_nothing_refers_to_what_was_before() {
    fails(TAKEOVER, &[&packed(b"Hello")], &[BFINAL, b"\xF2\x00\x11\x00\x00"].concat(), INVALID);
    fails(TAKEOVER, &[BFINAL], b"\xF2\x00\x11\x00\x00", INVALID);
    fails(TAKEOVER, &[b"\x01"], b"\xF2\x00\x11\x00\x00", INVALID);
}

#[test]
fn rfc7692_7_2_3_4_garbage_behind_bfinal_cannot_be_inflated() {
    for garbage in [&b"\xFF"[..], b"\x06", b"\0\0", b"garbage", &TAIL] {
        fails(FRESH, &[], &[BFINAL, garbage].concat(), INVALID);
        fails(TAKEOVER, &[BFINAL], &[BFINAL, garbage].concat(), INVALID);
    }
}

#[test]
fn rfc7692_7_2_2_of_two_faults_the_first_is_told_however_they_are_cut() {
    let text = |bytes: &[u8], broken: &[u8]| [&packed(bytes)[..], &TAIL, broken].concat();
    let utf8 = ProtocolError::InvalidUtf8;
    for (payload, most, error) in [
        // No text, and behind it no DEFLATE data.
        (text(b"ab\xFFcd", b"\x06"), 100, utf8),
        (text(b"abcd", b"\x06"), 100, INVALID),
        // A character that is cut by what is no DEFLATE data.
        (text(b"abc\xE2", b"\x06"), 100, INVALID),
        // No text, and a message that ends inside of a block.
        (text(b"ab\xFFcd", b"\0\0"), 100, utf8),
        (text(b"ab\xE2", b"\0\0"), 100, INVALID),
        // No text, and too much of it.
        (packed(b"ab\xFFcd"), 3, utf8),
        (packed(b"ab\xFFcd"), 2, ProtocolError::MessageTooBig),
        (packed(b"abc\xE2a"), 4, ProtocolError::MessageTooBig),
        // Too much, and no DEFLATE data.
        (text(b"abcd", b"\x06"), 3, ProtocolError::MessageTooBig),
        (text(b"abcd", b"\x06"), 4, INVALID),
    ] {
        for scratch in 1..12 {
            for side in Side::BOTH {
                let mut receiver = Receiver::with(side, TAKEOVER, limit(most), &Pool::default()).scratch(scratch);
                receiver.feed_frames(&fragments(TEXT, &[&payload])).expect_failed(error);
                let mut receiver = Receiver::with(side, TAKEOVER, limit(most), &Pool::default()).scratch(scratch);
                let bytes = super::wire(side, &fragments(TEXT, &[&payload]));
                let each: Vec<_> = (0..bytes.len()).collect();
                receiver.feed_cut(&bytes, &each).expect_failed(error);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a peer sends, nothing panics, nothing runs on without end, and no more comes out than the limit allows.
    #[test]
    fn rfc7692_7_2_2_random_bytes_do_no_harm(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6),
        (text, takeover) in any::<(bool, bool)>(), scratch in 1..100usize, most in 0..2000u64,
    ) {
        let parameters = if takeover { TAKEOVER } else { FRESH };
        let mut receiver = Receiver::with(Side::Server, parameters, limit(most), &Pool::default()).scratch(scratch);
        for payload in payloads {
            receiver.feed_frames(&fragments(if text { TEXT } else { BINARY }, &[payload]));
        }
        for received in receiver.recorder.received() {
            let sansocket_testkit::Received::Message(message) = received else { panic!("{received:?}") };
            prop_assert!(message.bytes.len() as u64 <= most);
        }
    }
}
