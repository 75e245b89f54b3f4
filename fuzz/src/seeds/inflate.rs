//! Seeds of the target `inflate`: for each operation at least one, and for each way in which a message cannot be inflated.

use super::{Seed, counted};
use crate::bytes::FIRST_LONG;
use crate::inflate::flags::{ANY_FRAGMENTS, ANY_LENGTH, CLIENT, RAW, TAKEOVER};
use crate::inflate::op;

/// A server without limits.
const OPEN: u8 = ANY_LENGTH | ANY_FRAGMENTS;

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let hello = counted(b"Hello, Hello, Hello");
    // In a text, bytes above ASCII stand for characters of two to four bytes.
    let wide = counted(&[b'a', 0x81, 0x84, 0x88, 0x89, b'z']);
    let message = [&[op::MESSAGE | op::IS_TEXT], &hello[..], &[6]].concat();
    // RFC 7692, 7.2.3.1 and what follows.
    let vectors =
        b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\0\x41\x03\xF2\x48\xCD\x80\x04\xC9\xC9\x07\0\xC1\x0B\0\x05\0\xFA\xFFHello\0\
        \xC1\x08\xF3\x48\xCD\xC9\xC9\x07\0\0\xC1\x0D\xF2\x48\x05\0\0\0\xFF\xFF\xCA\xC9\xC9\x07\0\xC1\x05\xF2\0\x11\0\0";
    vec![
        ("rfc7692-7-2-3-raw", input(OPEN | RAW | CLIENT | TAKEOVER, 0, 64, &[3, 20], &[vectors])),
        ("message", input(OPEN, 0, 4000, &[9], &[&message, &[op::PING_FRAME, 1, b'p'], &message, &[op::END]])),
        (
            "takeover",
            input(OPEN | TAKEOVER | CLIENT, 0, 7, &[12, 30], &[&message, &message, &[op::BYTES, 1, 0], &message]),
        ),
        (
            "ours",
            input(OPEN, 0, 100, &[8], &[&[op::OURS | op::IS_TEXT], &wide, &[36, op::OURS, FIRST_LONG + 14, 7, 9]]),
        ),
        (
            "flushed-in-every-way",
            input(
                OPEN | TAKEOVER,
                0,
                50,
                &[20],
                &[&[op::PARTS, 4, 0], &hello, &[1], &hello, &[2], &hello, &[3], &hello, &message],
            ),
        ),
        (
            "frames-and-pings",
            input(
                OPEN | CLIENT,
                0,
                5,
                &[6, 7],
                &[&[op::FRAMES | op::IS_TEXT], &wide, &[1, 4, 0x82, 0, 0x81, 2], &message],
            ),
        ),
        ("bytes", input(OPEN, 0, 9, &[9], &[&[op::BYTES], &counted(b"\x00\x05\x00\xFA\xFFHello"), &message])),
        ("cut-inside-a-block", input(OPEN, 0, 9, &[], &[&[op::SPOILT], &hello, &[6, 0, 0, 5, 4, 0]])),
        ("a-bit-off", input(OPEN, 0, 9, &[], &[&[op::SPOILT], &hello, &[6, 0, 0, 3, 1, 2]])),
        ("tail-left-in", input(OPEN, 0, 9, &[], &[&[op::SPOILT], &hello, &[6, 0, 0, 0, 5, 0]])),
        ("block-type-3", input(OPEN | CLIENT, 0, 9, &[], &[&[op::BYTES, 2, 6, 0]])),
        ("dynamic", input(OPEN | CLIENT, 0, 300, &[], &[&[op::MESSAGE, 200], &squares(), &[9]])),
        (
            "dynamic-codes-broken",
            input(OPEN | CLIENT, 0, 300, &[], &[&[op::SPOILT, 200], &squares(), &[9, 0, 0, 6, 1, 5]]),
        ),
        ("bomb-within-the-limit", input(OPEN, 0, 4000, &[], &[&[op::BOMB, 0, 70]])),
        ("bomb", input(ANY_FRAGMENTS, 1000, 4000, &[], &[&[op::BOMB, b'x', 60], &message])),
        ("limit-met", input(ANY_FRAGMENTS, 19, 4, &[], &[&message, &message])),
        ("limit-of-fragments", input(ANY_LENGTH, 0, 4, &[], &[&[op::FRAMES], &hello, &[1, 5, 1, 1, 1, 1, 1]])),
        (
            "text-is-not-utf8",
            input(OPEN, 0, 4, &[], &[&[op::BYTES | op::IS_TEXT], &counted(b"\x00\x02\x00\xFD\xFFa\xFF\x00")]),
        ),
        (
            "text-cut-at-its-end",
            input(OPEN, 0, 4, &[], &[&[op::BYTES | op::IS_TEXT], &counted(b"\x00\x01\x00\xFE\xFF\xC3\x00")]),
        ),
        ("plain-between", input(OPEN, 0, 4, &[5], &[&message, &[op::PLAIN | op::IS_TEXT], &wide, &message])),
        ("rsv1-on-a-ping", input(OPEN, 0, 4, &[], &[&message, &[op::ANY, 0xC9, 0]])),
        ("rsv1-on-a-continuation", input(OPEN, 0, 4, &[], &[&[op::ANY, 0x41, 0, op::ANY, 0xC0, 0]])),
        ("spoilt-stream", input(OPEN, 0, 4, &[], &[&message, &message, &[op::SPOIL, 0, 11, 1, 4]])),
    ]
}

/// 200 bytes that are worth codes of their own.
fn squares() -> Vec<u8> {
    let digits: Vec<u8> = (0..100_u32).flat_map(|i| (i * i).to_string().into_bytes()).collect();
    digits[..200].to_vec()
}

/// An input: its head, and the stream or the program.
fn input(flags: u8, message: u16, scratch: u16, cuts: &[u16], rest: &[&[u8]]) -> Vec<u8> {
    let ([high, low], [more, less]) = (message.to_be_bytes(), scratch.to_be_bytes());
    let count = u8::try_from(cuts.len()).expect("few cuts");
    let cuts: Vec<_> = cuts.iter().flat_map(|cut| cut.to_be_bytes()).collect();
    [&[flags, high, low, 3, 7, more, less, count], &cuts[..], &rest.concat()].concat()
}
