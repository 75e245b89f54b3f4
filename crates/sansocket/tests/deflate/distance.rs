//! The window of 32 KiB that a decompressor has (RFC 7692, section 7.2.2).

use sansocket_testkit::{BINARY, Side};

use super::{FRESH, Receiver, TAKEOVER, fragments, noise};

/// As far back as DEFLATE can refer, in bytes (RFC 1951, section 2).
const FARTHEST: u16 = 32_768;

/// A block without compression.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
}

/// A block that repeats the 258 bytes that begin [`FARTHEST`] bytes back, and the beginning of the empty one behind it
/// (RFC 1951, section 3.2.6).
fn farthest() -> Vec<u8> {
    let mut bits = Vec::new();
    // Codes are packed from their most significant bit on, and numbers from their least significant one.
    let code = |bits: &mut Vec<bool>, code: u32, len: u32| bits.extend((0..len).rev().map(|bit| code >> bit & 1 == 1));
    let number = |bits: &mut Vec<bool>, number: u32, len: u32| bits.extend((0..len).map(|bit| number >> bit & 1 == 1));
    // Not the last block, fixed codes.
    number(&mut bits, 0b01 << 1, 3);
    // Length 258 is symbol 285; distances from 24,577 on are symbol 29, with 13 bits more.
    code(&mut bits, 0b1100_0000 + (285 - 280), 8);
    code(&mut bits, 29, 5);
    number(&mut bits, u32::from(FARTHEST) - 24_577, 13);
    // The block's end, and an empty one without compression.
    code(&mut bits, 0, 7);
    number(&mut bits, 0, 3);
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
}

#[test]
fn rfc7692_7_2_2_a_message_may_refer_32_768_bytes_back() {
    let window = noise(usize::from(FARTHEST), 1);
    let message = [&window[..], &window[..258]].concat();
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let payload = [stored(&window), farthest()].concat();
        Receiver::new(side, parameters)
            .feed_frames(&fragments(BINARY, &[&payload]))
            .expect_binary(&message)
            .expect_open();
    }
}

#[test]
fn rfc7692_7_2_2_with_takeover_a_message_may_refer_32_768_bytes_back_into_the_last_one() {
    let window = noise(usize::from(FARTHEST), 1);
    // A block that was stored, and the first byte of the empty one.
    let first = [stored(&window), vec![0]].concat();
    for side in Side::BOTH {
        let mut receiver = Receiver::new(side, TAKEOVER);
        receiver.feed_frames(&fragments(BINARY, &[&first])).expect_binary(&window);
        receiver.feed_frames(&fragments(BINARY, &[&farthest()])).expect_binary(&window[..258]).expect_open();
    }
}
