//! Seeds of the target `pair`: for each operation at least one, and for each way to end.

use super::{Seed, counted};
use crate::bytes::FIRST_LONG;
use crate::pair::op::{
    BINARY, BINARY_PART, BYTES_AS_TEXT, CLIENT, CLOSE, CUT, DELIVER, DELIVER_ALL, HEADER, LAST_BINARY_PART,
    LAST_TEXT_PART, PING, PONG, PREPARED_OR_FAIL, RAISE, TEXT, TEXT_PART,
};

/// No limits, everything is delivered at once, and the wire does not break.
const PLAIN: [u8; 8] = [0; 8];

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let hello = counted(b"hello");
    // Characters of two to four bytes.
    let wide = counted(&[b'a', 0x81, 0x84, 0x88, 0x89]);
    let bye = counted(b"bye");
    vec![
        (
            "hello-both-ways",
            input(
                PLAIN,
                &[&[TEXT | CLIENT], &hello, &[DELIVER, 0, 3, TEXT], &hello, &[CLOSE, 1], &bye, &[DELIVER_ALL | CLIENT]],
            ),
        ),
        (
            "binary-and-prepared",
            input(
                PLAIN,
                &[&[BINARY, 3, 1, 2, 0xFF, PREPARED_OR_FAIL, 0], &hello, &[BINARY | CLIENT, FIRST_LONG + 2, 7]],
            ),
        ),
        // Each part but the last gives some bytes of its last character to the next.
        (
            "text-in-parts",
            input(
                PLAIN,
                &[
                    &[TEXT_PART | CLIENT],
                    &wide,
                    &[3, PING | CLIENT, 1, b'p', DELIVER, 0, 9, TEXT_PART | CLIENT],
                    &wide,
                    &[1, DELIVER_ALL, LAST_TEXT_PART | CLIENT],
                    &wide,
                ],
            ),
        ),
        (
            "binary-in-parts",
            input(
                [0, 0, 0, 0, 1, 0, 0, 0],
                &[&[BINARY_PART, 2, 1, 2, PONG, 1, b'u', LAST_BINARY_PART, 0, TEXT], &hello],
            ),
        ),
        (
            "header-alone",
            input(PLAIN, &[&[HEADER, 0], &hello, &[HEADER, 0x80], &wide, &[HEADER | CLIENT, 0x81], &hello]),
        ),
        // What must be refused: another kind, bytes that are not text, a text that ends inside a character.
        (
            "refused",
            input(
                PLAIN,
                &[
                    &[TEXT_PART],
                    &wide,
                    &[
                        1,
                        BINARY_PART,
                        1,
                        0,
                        TEXT,
                        0,
                        HEADER,
                        0x80,
                        0,
                        BYTES_AS_TEXT,
                        0x80,
                        0,
                        BYTES_AS_TEXT,
                        0,
                        1,
                        b'x',
                    ],
                    &[PING, FIRST_LONG + 2, 0, CLOSE, 0],
                    &bye,
                    &[CLOSE, 1, FIRST_LONG, b'r', CLOSE, 0, 0, PING, 0],
                ],
            ),
        ),
        // An output with room for 5 bytes, then for 11.
        (
            "no-room",
            input(PLAIN, &[&[TEXT | 2 << 4], &hello, &[TEXT | CLIENT | 3 << 4], &hello, &[CLOSE | 1 << 4, 1, 0]]),
        ),
        ("closes-cross", input(PLAIN, &[&[CLOSE, 2], &bye, &[CLOSE | CLIENT, 7, 0, DELIVER, 0, 4]])),
        (
            "messages-behind-a-close",
            input(
                [0, 0, 0, 0, 2, 0, 0, 0],
                &[&[CLOSE | CLIENT, 0, 0, PING, 1, b'p', TEXT], &hello, &[DELIVER_ALL | CLIENT, TEXT], &hello],
            ),
        ),
        ("limit-of-bytes", input([2, 0, 0, 0, 0, 0, 0, 0], &[&[TEXT | CLIENT, 4], b"four", &[TEXT | CLIENT], &hello])),
        (
            "limits-are-raised",
            input(
                [1, 1, 0, 0, 0, 0, 0, 0],
                &[
                    &[TEXT | CLIENT, 0, DELIVER_ALL, RAISE, 0, 9, 1, TEXT_PART | CLIENT],
                    &hello,
                    &[0, LAST_TEXT_PART | CLIENT, 1, b'!'],
                ],
            ),
        ),
        (
            "limit-of-fragments",
            input(
                [0, 0, 0, 2, 0, 0, 0, 0],
                &[&[BINARY_PART, 0, BINARY_PART, 0, DELIVER_ALL | CLIENT, LAST_BINARY_PART, 0]],
            ),
        ),
        ("failed-above", input(PLAIN, &[&[TEXT], &hello, &[PREPARED_OR_FAIL, 19, TEXT | CLIENT], &hello])),
        ("cut-by-hand", input(PLAIN, &[&[TEXT | CLIENT], &hello, &[DELIVER, 0, 8, CUT, TEXT], &hello])),
        (
            "cut-inside-a-message",
            input([0, 0, 0, 0, 4, 1, 0, 9], &[&[TEXT | CLIENT], &hello, &[PING, 1, b'p', CLOSE | CLIENT, 1], &bye]),
        ),
        ("cut-behind-the-closes", input([0, 0, 0, 0, 3, 2, 0, 14], &[&[TEXT], &hello, &[CLOSE, 1], &bye])),
    ]
}

/// An input: its head, and the program.
fn input(head: [u8; 8], program: &[&[u8]]) -> Vec<u8> {
    [&head, &program.concat()[..]].concat()
}
