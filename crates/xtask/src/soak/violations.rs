//! What a client must not send, and the close code that answers it.

/// What the server is told to take at most of a message.
pub(super) const MESSAGE_LIMIT: u64 = 4 << 20;

/// How many frames a message may have, by the engine's default.
const FRAGMENT_LIMIT: usize = 131_072;

/// A violation of the protocol, or of a limit.
pub(super) struct Violation {
    pub(super) name: &'static str,
    pub(super) code: u16,
    /// Whether it takes a connection that has agreed on compression.
    pub(super) deflate: bool,
    bytes: fn() -> Vec<u8>,
}

const fn violation(name: &'static str, code: u16, bytes: fn() -> Vec<u8>) -> Violation {
    Violation { name, code, deflate: false, bytes }
}

const fn deflated(name: &'static str, code: u16, bytes: fn() -> Vec<u8>) -> Violation {
    Violation { name, code, deflate: true, bytes }
}

/// One of every kind that bytes can make.
pub(super) const ALL: &[Violation] = &[
    violation("RSV1 without compression", 1002, || frame(0xc2, b"x")),
    violation("RSV2", 1002, || frame(0xa2, b"x")),
    violation("RSV3", 1002, || frame(0x92, b"x")),
    violation("reserved opcode 3", 1002, || frame(0x83, b"x")),
    violation("reserved opcode 11", 1002, || frame(0x8b, b"x")),
    violation("unmasked frame", 1002, || vec![0x81, 1, b'x']),
    violation("16-bit length not minimal", 1002, || vec![0x82, 0xfe, 0, 125, 1, 2, 3, 4]),
    violation("64-bit length not minimal", 1002, || vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4]),
    violation("length of 2⁶³", 1002, || vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    violation("fragmented ping", 1002, || frame(0x09, b"x")),
    violation("ping of 126 bytes", 1002, || frame(0x89, &[b'x'; 126])),
    violation("continuation of nothing", 1002, || frame(0x80, b"x")),
    violation("message within a message", 1002, || [frame(0x01, b"x"), frame(0x81, b"y")].concat()),
    violation("close body of one byte", 1002, || frame(0x88, &[3])),
    violation("close code 999", 1002, || frame(0x88, &[3, 0xe7])),
    violation("close code 1005", 1002, || frame(0x88, &[3, 0xed])),
    violation("close code 5000", 1002, || frame(0x88, &[0x13, 0x88])),
    violation("close reason not UTF-8", 1007, || frame(0x88, &[3, 0xe8, 0xff])),
    violation("text not UTF-8", 1007, || frame(0x81, b"abc\xc0\x80")),
    violation("surrogate in a text", 1007, || frame(0x81, b"\xed\xa0\x80")),
    violation("text cut in a character", 1007, || [frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat()),
    // Its text never ends: the first byte that cannot be right is enough.
    violation("text not UTF-8, frame unfinished", 1007, || vec![0x81, 0xfe, 1, 0, 0, 0, 0, 0, 0xff]),
    violation("message over the limit", 1009, || {
        [&[0x82, 0xff][..], &(MESSAGE_LIMIT + 1).to_be_bytes(), &[0; 9]].concat()
    }),
    violation("fragments over the limit", 1008, || {
        [frame(0x02, b""), frame(0x00, b"").repeat(FRAGMENT_LIMIT)].concat()
    }),
    deflated("RSV1 on a continuation", 1002, || [frame(0x02, b"x"), frame(0xc0, b"x")].concat()),
    deflated("RSV1 on a ping", 1002, || frame(0xc9, b"x")),
    deflated("what cannot be inflated", 1007, || frame(0xc2, &[0xff; 20])),
    deflated("bomb", 1009, || frame(0xc2, &zeros())),
];

/// What a client is answered with that is silent in spite of a ping.
pub(super) const SILENCE: u16 = 1008;

impl Violation {
    pub(super) fn bytes(&self) -> Vec<u8> {
        (self.bytes)()
    }
}

/// A frame with this first byte, masked.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        size @ 0..126 => frame.push(0x80 | size as u8),
        size => {
            let size = u16::try_from(size).expect("violations are short");
            frame.push(0xfe);
            frame.extend_from_slice(&size.to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// More zeros than a message may have, deflated: one, and then again and again 258 times the one before (RFC 1951, 3.2.6).
fn zeros() -> Vec<u8> {
    let mut bits = vec![false, true, false]; // not the last block, fixed codes
    bits.extend([false, false, true, true, false, false, false, false]); // the byte 0
    for _ in 0..=MESSAGE_LIMIT / 258 {
        bits.extend([true, true, false, false, false, true, false, true]); // length 258
        bits.extend([false; 5]); // distance 1
    }
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

#[cfg(test)]
mod tests {
    use sansocket::{Connection, Event, Limits, Negotiated, Server};

    use super::*;

    #[test]
    fn each_has_the_code_that_the_engine_gives_it() {
        for violation in ALL.iter().filter(|violation| !violation.deflate) {
            let limits = Limits { message: MESSAGE_LIMIT, ..Limits::DEFAULT };
            let mut server = Connection::new(Server, Negotiated::default(), limits);
            let (mut bytes, mut out) = (violation.bytes(), Vec::new());
            let mut input = &mut bytes[..];
            let mut codes = Vec::new();
            while let Some(event) = server.receive(&mut input, &mut out) {
                if let Event::Failed(error) = event {
                    codes.push(error.close_code().get());
                }
            }
            assert_eq!(codes, [violation.code], "{}", violation.name);
        }
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<_> = ALL.iter().map(|violation| violation.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
