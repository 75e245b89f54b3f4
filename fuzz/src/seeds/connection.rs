//! Seeds of the target `connection`: for each way through `receive` at least one.

use super::{Seed, counted};
use crate::bytes::FIRST_LONG;
use crate::connection::flags::{ANY_FRAGMENTS, ANY_LENGTH, CLIENT, CLOSES_FIRST, RAW, UNDEFINED_CODES};
use crate::connection::op;

/// A server without limits.
const OPEN: u8 = ANY_LENGTH | ANY_FRAGMENTS;

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let hello = [&[op::TEXT], &counted(b"hello")[..]].concat();
    let close = [&[op::CLOSE, 0x03, 0xE8], &counted(b"bye")[..]].concat();
    // In a text, bytes above ASCII stand for characters of two to four bytes.
    let wide = counted(&[b'a', 0x81, 0x84, 0x88, 0x89, b'z']);
    vec![
        ("hello-to-server", input(OPEN, 0, 0, &[4], &[&hello, &close])),
        ("hello-to-client", input(OPEN | CLIENT, 0, 0, &[3], &[&hello, &close])),
        (
            "rfc6455-5-7-raw",
            input(OPEN | RAW, 0, 0, &[1, 7], &[&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]]),
        ),
        (
            "rfc6455-5-7-raw-fragments",
            input(OPEN | RAW | CLIENT, 0, 0, &[6], &[b"\x01\x03Hel\x89\x05Hello\x80\x02lo\x88\x02\x03\xE8"]),
        ),
        // Cut inside characters, pings in between.
        (
            "text-in-parts",
            input(OPEN, 0, 0, &[9, 17, 18], &[&[op::TEXT_IN_PARTS], &wide, &[4, 0x82, 2, 0x81, 3], &close]),
        ),
        (
            "text-in-parts-to-client",
            input(OPEN | CLIENT, 0, 0, &[5, 8], &[&[op::TEXT_IN_PARTS], &wide, &[3, 0x83, 0, 4], &hello]),
        ),
        (
            "binary-in-parts",
            input(
                OPEN,
                0,
                0,
                &[20],
                &[&[op::BINARY_PART, 3, 0, 1, 2, op::BINARY_PART, 0, op::BINARY | op::ZERO_KEY, 2, 0xFE, 0xFF], &hello],
            ),
        ),
        // Lengths of 126, 65535 and 65536.
        (
            "long-forms",
            input(
                OPEN,
                0,
                0,
                &[3, 200, 60000],
                &[&[op::BINARY, FIRST_LONG + 2, 7, op::TEXT, FIRST_LONG + 14, b'x', op::BINARY, FIRST_LONG + 15, 1]],
            ),
        ),
        // As many pongs as an output without spare room does not hold.
        (
            "pings-fill-the-output",
            input(
                OPEN | CLIENT,
                0,
                0,
                &[64],
                &[
                    &[op::PING, FIRST_LONG + 1, b'p', op::PING, 0, op::PONG, 1, 2, op::PING, FIRST_LONG + 1, b'q'],
                    &close,
                ],
            ),
        ),
        ("closes-first", input(OPEN | CLOSES_FIRST, 0, 0, &[6], &[&hello, &[op::PING, 1, 1], &close, &hello])),
        ("close-without-code", input(OPEN | CLIENT, 0, 0, &[1], &[&[op::CLOSE_BODY, 0], &hello])),
        ("close-of-one-byte", input(OPEN, 0, 0, &[7], &[&[op::CLOSE_BODY, 1, 3]])),
        ("close-undefined-code", input(OPEN | UNDEFINED_CODES, 0, 0, &[7], &[&[op::CLOSE, 0x13, 0x88, 0]])),
        ("close-reason-not-utf8", input(OPEN, 0, 0, &[8], &[&[op::CLOSE_BODY, 4, 0x03, 0xE8, b'a', 0xC3]])),
        ("limit-of-bytes", input(ANY_FRAGMENTS, 6, 0, &[12], &[&[op::TEXT_PART, 3, b'a', b'b', b'c'], &hello])),
        (
            "limit-of-fragments",
            input(ANY_LENGTH, 0, 2, &[9], &[&[op::BINARY_PART, 0, op::BINARY_PART, 0, op::BINARY, 0]]),
        ),
        // The last two bytes are left out, and the last frame may be cut off as an empty one.
        ("text-in-parts-cut-at-its-end", input(OPEN, 0, 0, &[9], &[&[op::TEXT_IN_PARTS], &wide, &[0x82, 3, 0x84]])),
        // The end of a message inside a character, and a character that cannot be.
        ("text-cut-at-its-end", input(OPEN, 0, 0, &[7], &[&[op::TEXT_OF_BYTES, 0x80, 3, b'a', 0xE2, 0x82]])),
        (
            "text-surrogate",
            input(OPEN, 0, 0, &[8], &[&[op::TEXT_OF_BYTES, 0, 2, b'a', 0xED, op::TEXT_OF_BYTES, 0x80, 2, 0xA0, 0x80]]),
        ),
        ("reserved-bit", input(OPEN, 0, 0, &[3], &[&[op::ANY, 0xC1, 1, b'r']])),
        ("length-not-minimal", input(OPEN | CLIENT, 0, 0, &[3], &[&[op::FORM, 0x82, 1, 2, 0, 0]])),
        ("length-top-bit", input(OPEN | CLIENT, 0, 0, &[2], &[&[op::DECLARED, 0x82, 8]])),
        ("mask-to-client", input(OPEN | CLIENT, 0, 0, &[5], &[&hello, &[op::MASKED, 0x81, 1, 2, 3, 4, 1, b'm']])),
        ("spoilt", input(OPEN, 0, 0, &[2, 9], &[&hello, &hello, &[op::SPOIL, 0, 11, 1, 4]])),
    ]
}

/// An input: its head, and the stream or the program.
fn input(flags: u8, message: u16, fragments: u8, cuts: &[u16], rest: &[&[u8]]) -> Vec<u8> {
    let [high, low] = message.to_be_bytes();
    let count = u8::try_from(cuts.len()).expect("few cuts");
    let cuts: Vec<_> = cuts.iter().flat_map(|cut| cut.to_be_bytes()).collect();
    [&[flags, high, low, fragments, 0, count], &cuts[..], &rest.concat()].concat()
}
