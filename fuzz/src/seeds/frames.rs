//! Seeds of the targets `frames` and `text`.

use super::Seed;

/// Of `frames`.
pub(super) fn frames() -> Vec<Seed> {
    let input = |first: u8, len: u64, bytes: &[u8]| [&[first][..], &len.to_be_bytes(), &[1, 2, 3, 4], bytes].concat();
    vec![
        ("text", input(0x81, 5, &[0x81, 5])),
        ("masked", input(0xC2, 125, &[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D])),
        ("length-16", input(0x42, 126, &[0x82, 0x7E, 0, 126])),
        ("length-16-not-minimal", input(0xC0, 65535, &[0x82, 0x7E, 0, 125])),
        ("length-64", input(0xC1, 65536, &[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9])),
        ("length-64-not-minimal", input(0x81, u64::MAX, &[0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])),
        ("length-top-bit", input(0x82, 0, &[0x82, 0x7F, 0x80])),
        ("ping", input(0xC4, 125, &[0x89, 0x80, 1, 2, 3, 4])),
        ("control-cut", input(3, 7, &[0x08, 0])),
        ("control-too-long", input(5, 126, &[0x8A, 0x7E])),
        ("reserved-opcode", input(0x80, 1, &[0x8B])),
        ("reserved-bits", input(0x80, 1, &[0xF1, 3])),
    ]
}

/// Of `text`.
pub(super) fn texts() -> Vec<Seed> {
    let input = |first: u8, borders: &[u8], cuts: &[u8], repeated: [u8; 3], text: &[u8]| {
        let places = |at: &[u8]| {
            let count = u8::try_from(at.len()).expect("few places");
            [count].into_iter().chain(at.iter().flat_map(|&at| [0, at])).collect::<Vec<_>>()
        };
        [&[first, 0x37, 0xFA, 0x21, 0x3D], &places(borders)[..], &places(cuts), &repeated, text].concat()
    };
    let wide = "aß€\u{10FFFF}z".as_bytes();
    vec![
        ("ascii", input(3, &[], &[9], [0; 3], b"hello")),
        ("ascii-long", input(7, &[200], &[99], [b'a', 100, 5], b"hello")),
        ("wide", input(0, &[2, 4], &[12, 19], [0; 3], wide)),
        ("wide-to-client", input(0x80 | 1, &[5, 7, 8], &[3, 4], [0; 3], wide)),
        ("wide-behind-much", input(63, &[], &[255], [b'a', 255, 7], wide)),
        ("surrogate", input(0, &[], &[], [0; 3], b"a\xED\xA0\x80")),
        ("overlong", input(0, &[1], &[], [0; 3], b"\xC0\x80")),
        ("beyond", input(0x80, &[], &[], [0; 3], b"\xF4\x90\x80\x80")),
        ("cut-off", input(0, &[2], &[], [0; 3], b"a\xE2\x82")),
        ("fault-behind-much", input(5, &[], &[], [b'a', 255, 7], b"\xFF")),
        ("empty", input(0, &[0, 0], &[], [0; 3], b"")),
    ]
}
