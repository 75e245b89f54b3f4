//! How much room sending asks for, and windows that are kept to (RFC 7692, sections 7.1.2 and 7.2.1).

use proptest::prelude::*;
use sansocket::deflate::{Compress, Config};
use sansocket::{Kind, Output, SendError, SliceOutput};
use sansocket_testkit::Side;

use super::oracle::{TAIL, farthest};
use super::{FRESH, Receiver, Sender, TAKEOVER, all_of, noise, same};

/// The room that a message or part of `len` bytes asks for: an eighth more than it has, and headers.
pub(crate) fn most_bytes(len: usize) -> usize {
    let compressed = len + len / 8 + 64;
    compressed + (compressed / (16 * 1024 - 4) + 1) * 14
}

#[test]
fn rfc7692_7_2_1_sending_asks_for_so_much_room_and_no_more() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        for len in [0, 1, 100, 1000, 14_000, 14_600, 16_384, 40_000] {
            let mut sender = Sender::new(side, parameters, &all_of(1, 1));
            let bytes = noise(len, 2);
            for (room, expected) in [(most_bytes(len) - 1, Err(SendError::NoRoom)), (most_bytes(len), Ok(()))] {
                for last in [false, true] {
                    let mut memory = vec![0; room];
                    let mut out = SliceOutput::new(&mut memory);
                    let sent = sender.part_into(Kind::Binary, &bytes, last, Compress::Always, Some(&mut out));
                    assert_eq!(sent, expected, "{len} in {room}");
                }
                let mut memory = vec![0; room];
                let mut out = SliceOutput::new(&mut memory);
                let sent = sender.compressor.send(&bytes, Compress::Always, &mut sender.connection, &mut out);
                assert_eq!(sent, expected, "{len} in {room}");
                assert_eq!(out.bytes().is_empty(), sent.is_err());
            }
        }
    }
}

/// Bytes that are hard on a compressor, each in its way.
pub(crate) fn contents(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..most / 100, 0..most];
    (len, any::<u64>(), 0..7u8).prop_map(|(len, seed, sort)| {
        let noise = noise(len, seed);
        match sort {
            0 => noise,
            // The longest codes of a fixed block.
            1 => noise.iter().map(|byte| byte | 0xC0).collect(),
            2 => noise.iter().map(|byte| b"etaoin shrdlu\n"[usize::from(byte % 14)]).collect(),
            3 => vec![noise.first().copied().unwrap_or(0); len],
            4 => noise.iter().zip(0..).map(|(byte, at)| if at / 300 % 2 == 0 { *byte } else { 7 }).collect(),
            5 => {
                noise.iter().zip(0..).map(|(byte, at)| if byte % 32 == 0 { *byte } else { (at % 251) as u8 }).collect()
            }
            // It repeats itself from afar.
            _ => noise.iter().take(1 + seed as usize % 40_000).copied().cycle().take(len).collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rfc7692_7_2_1_what_is_sent_is_never_longer_than_what_was_asked_for(
        parts in prop::collection::vec(contents(40_000), 1..4),
        (level, memory_level, window_bits) in (0..=9u8, 1..=9u8, 9..=15u8),
        (as_server, takeover, whole) in any::<(bool, bool, bool)>(),
    ) {
        let side = if as_server { Side::Server } else { Side::Client };
        let mut sender = Sender::new(side, same(window_bits, takeover), &all_of(level, memory_level));
        for (at, part) in parts.iter().enumerate() {
            let mut memory = vec![0; most_bytes(part.len())];
            let mut out = SliceOutput::new(&mut memory);
            let sent = if whole {
                sender.compressor.send(part, Compress::Always, &mut sender.connection, &mut out)
            } else {
                sender.part_into(Kind::Binary, part, at + 1 == parts.len(), Compress::Always, Some(&mut out))
            };
            prop_assert_eq!(sent, Ok(()), "{} bytes left of {}", out.room(), most_bytes(part.len()));
        }
    }
}

/// Messages that would like to refer as far back as they are allowed to, and farther.
fn tempting(window_bits: u8) -> Vec<Vec<u8>> {
    let window = 1 << window_bits;
    let spans = [window - 263, window - 262, window - 261, window - 1, window, window + 1, window + 300];
    let mut messages: Vec<_> = spans
        .iter()
        .map(|&span| {
            let unit = noise(span.min(4000), span as u64);
            let between = noise(span - unit.len(), 77);
            [&unit[..], &between, &unit[..unit.len() / 2]].concat()
        })
        .collect();
    messages.push(b"short, ".repeat(20));
    messages.push(b"short, ".repeat(20));
    messages
}

#[test]
fn rfc7692_7_2_1_what_we_send_refers_no_farther_back_than_the_window() {
    for window_bits in 9..=15 {
        let levels: &[u8] = if window_bits < 13 { &[1, 2, 3, 6, 9] } else { &[1, 3, 9] };
        for &level in levels {
            let mut sender = Sender::new(Side::Server, same(window_bits, true), &all_of(level, 8));
            let (mut history, mut distance) = (Vec::new(), 0);
            for message in tempting(window_bits) {
                let payload: Vec<_> = sender
                    .send(&message, Compress::Always)
                    .frames()
                    .iter()
                    .flat_map(|f| f.payload().to_vec())
                    .collect();
                let before = history.len();
                distance = distance.max(farthest(&[&payload[..], &TAIL].concat(), &mut history));
                assert_eq!(history[before..], message, "bits {window_bits}, level {level}");
            }
            assert!(distance <= 1 << window_bits, "{distance} bytes back with {window_bits} bits, level {level}");
            // The window is made use of, and so is what it holds of earlier messages.
            assert!(distance + 300 > 1 << window_bits, "{distance} with {window_bits} bits, level {level}");
        }
    }
}

#[test]
fn rfc7692_7_1_1_without_takeover_nothing_we_send_refers_to_an_earlier_message() {
    for (side, level) in Side::BOTH.into_iter().flat_map(|side| (0..=9).map(move |level| (side, level))) {
        let config = Config { threshold: 0, level, ..Config::DEFAULT };
        let mut sender = Sender::new(side, FRESH, &config);
        for choice in [Compress::Always, Compress::Auto, Compress::Always] {
            for message in tempting(9) {
                let frames = sender.send(&message, choice).frames();
                if frames[0].reserved_bits() == 0 {
                    continue;
                }
                let payload: Vec<_> = frames.iter().flat_map(|frame| frame.payload().to_vec()).collect();
                let mut history = Vec::new();
                farthest(&[&payload[..], &TAIL].concat(), &mut history);
                assert_eq!(history, message, "level {level}");
            }
        }
    }
}

#[test]
fn rfc7692_7_2_1_the_empty_block_is_left_out_at_a_messages_end_alone() {
    for level in 0..=9 {
        for len in [0, 1, 5, 100, 16_379, 16_380, 16_384, 32_768, 50_000] {
            let bytes = noise(len, 4);
            let mut sender = Sender::new(Side::Server, FRESH, &all_of(level, 8));
            let frames = sender.send(&bytes, Compress::Always).frames();
            let payload: Vec<_> = frames.iter().flat_map(|frame| frame.payload().to_vec()).collect();
            let mut history = Vec::new();
            // With it, there are whole blocks; without, the last is not whole.
            farthest(&[&payload[..], &TAIL].concat(), &mut history);
            assert_eq!(history, bytes, "level {level}");
            assert!(!payload.ends_with(&TAIL) && !payload.is_empty(), "level {level}, {len}");
            assert!(frames.iter().all(|frame| frame.payload().len() <= 16 * 1024));
        }
    }
}

#[test]
fn rfc7692_7_2_1_the_empty_block_is_left_out_wherever_frames_are_cut() {
    // What is made of these ends around the end of a frame, and the four bytes that are not sent lie in both.
    for level in [0, 3] {
        for len in 16_360..=16_390 {
            let bytes = noise(len, 6);
            let mut sender = Sender::new(Side::Server, FRESH, &all_of(level, 8));
            let sent = sender.send(&bytes, Compress::Always).wire();
            Receiver::new(Side::Client, FRESH).scratch(64 * 1024).feed(&sent).expect_binary(&bytes).expect_open();
        }
    }
}
