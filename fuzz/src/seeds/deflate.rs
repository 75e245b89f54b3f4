//! Seeds of the target `deflate`: for each operation and each setting at least one.

use super::{Seed, counted};
use crate::bytes::FIRST_LONG;
use crate::deflate::flags::{CLIENT, NONE_TO_LEND, TAKEOVER};
use crate::deflate::op::{
    AGAIN, ALWAYS, BOUNDED, EMPTY_PART, IS_TEXT, LAST_PART, NEVER, NOISE, PART, PING, PREPARED, SEND,
};

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let hello = counted(b"Hello, Hello, Hello");
    // Characters of two to four bytes.
    let wide = counted(&[b'a', 0x81, 0x84, 0x88, 0x89]);
    let send = [&[SEND | IS_TEXT | ALWAYS], &hello[..]].concat();
    vec![
        ("always", input(0, 7, 6, 8, 0, &[&send, &[AGAIN | ALWAYS, 0], &send])),
        ("takeover", input(TAKEOVER | CLIENT, 7, 6, 8, 0, &[&send, &[AGAIN | ALWAYS, 0], &send, &[AGAIN | ALWAYS, 1]])),
        ("never", input(TAKEOVER, 7, 6, 8, 0, &[&send, &[SEND | NEVER], &hello, &send])),
        ("auto", input(0, 7, 6, 8, 100, &[&[SEND], &hello, &[SEND, FIRST_LONG + 9, b'x', NOISE, 4, 0]])),
        ("auto-forgets-what-was-not-sent", input(TAKEOVER, 7, 6, 8, 8, &[&[NOISE, 1, 0, NOISE, 1, 0], &send])),
        ("long-noise", input(0, 7, 1, 9, 0, &[&[NOISE | ALWAYS, 0xFF, 0xFF, NOISE, 0x40, 0, NOISE | ALWAYS, 0x40, 1]])),
        ("stored", input(TAKEOVER, 7, 0, 1, 0, &[&send, &[NOISE | ALWAYS, 0x80, 0], &send])),
        (
            "window-of-9-bits",
            input(TAKEOVER, 1, 9, 9, 0, &[&[NOISE | ALWAYS, 2, 88, AGAIN | ALWAYS, 0, AGAIN | ALWAYS, 0]]),
        ),
        ("window-of-8-bits", input(TAKEOVER, 0, 9, 9, 0, &[&send, &[PART | ALWAYS], &hello, &[LAST_PART, 0]])),
        ("nobody-lends", input(NONE_TO_LEND, 7, 6, 8, 0, &[&send, &send])),
        (
            "parts",
            input(
                0,
                7,
                6,
                8,
                0,
                &[
                    &[PART | IS_TEXT | ALWAYS],
                    &wide,
                    &[PING, 1, b'p', EMPTY_PART, PART | IS_TEXT],
                    &wide,
                    &[LAST_PART | IS_TEXT],
                    &hello,
                    &send,
                ],
            ),
        ),
        (
            "empty-parts",
            input(TAKEOVER, 7, 6, 8, 0, &[&[PART | ALWAYS, 0, EMPTY_PART, LAST_PART, 0, SEND | ALWAYS, 0], &send]),
        ),
        ("part-under-way", input(CLIENT, 7, 6, 8, 0, &[&[PART | ALWAYS], &hello, &send, &[PART | IS_TEXT], &wide])),
        (
            "no-room",
            input(
                TAKEOVER,
                7,
                6,
                8,
                0,
                &[
                    &[SEND | ALWAYS | BOUNDED],
                    &hello,
                    &[0, 90, SEND | BOUNDED],
                    &hello,
                    &[0, 25, PART | ALWAYS | BOUNDED],
                    &hello,
                    &[0, 1, PART | ALWAYS],
                    &hello,
                    &[LAST_PART | BOUNDED],
                    &hello,
                    &[0, 3, LAST_PART, 0],
                ],
            ),
        ),
        (
            "prepared",
            input(0, 7, 6, 8, 0, &[&[PREPARED | IS_TEXT | ALWAYS], &hello, &[PREPARED, FIRST_LONG + 14, 7], &send]),
        ),
        (
            "prepared-beside-takeover",
            input(TAKEOVER, 7, 6, 8, 0, &[&send, &[PREPARED | IS_TEXT | ALWAYS], &hello, &send]),
        ),
    ]
}

/// An input: its head, and the program.
fn input(flags: u8, bits: u8, level: u8, memory_level: u8, threshold: u16, program: &[&[u8]]) -> Vec<u8> {
    let [high, low] = threshold.to_be_bytes();
    [&[flags, bits, level, memory_level, high, low, 0, 99, 2], &program.concat()[..]].concat()
}
