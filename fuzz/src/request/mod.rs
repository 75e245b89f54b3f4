//! A server's handshake over any bytes in any chunks.
//!
//! Whatever the bytes are:
//!
//! 1. what comes of them, and what is answered, is the same for all of them at once, for one by one and for any cuts;
//! 2. it comes at the head's last byte and does not depend on anything behind it;
//! 3. a bad request is answered once, whole, with `Connection: close` and the error's status, or not at all where there is no room (`line.rs`);
//! 4. the end is the end: behind a refusal nothing is written and nothing changes (`line.rs`);
//! 5. each call gives its memory back, and passes over each byte a few times (`line.rs`);
//! 6. a request is good if and only if a naive reader says so, and a good one can be answered in any way (`oracle.rs`).
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 1 + 1 | limits of the head: a quarter of its bytes, its headers; 0 is the default |
//! | 1 | the policies: which origins, and how it is answered |
//! | 1 + 2n | n cuts, n modulo 8 |
//! | rest | the bytes, or a program that makes a head, as the module `head` has it |

mod line;
mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::handshake::{HeadLimits, OriginPolicy};

use crate::bytes::{byte, word};
use crate::head::{Head, Kind};
use line::{Progress, drive};

/// Bits of an input's first byte.
pub mod flags {
    /// The bytes are there as they are; otherwise a program makes them.
    pub const RAW: u8 = 1;
    /// Frames follow the head.
    pub const FRAMES: u8 = 2;
    /// The output has too little room for a refusal.
    pub const NO_ROOM: u8 = 4;
}

/// Inputs above this are not fed byte for byte all the way.
const BYTE_FOR_BYTE: usize = 512;

/// What follows a head.
const FRAMES: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\r\n\r\nGET / HTTP/1.1\r\n";

/// A server's handshake and what its peer sends.
#[derive(Debug)]
pub struct Case {
    /// The head's limits.
    limits: HeadLimits,
    /// Which origins are let in.
    origins: OriginPolicy<'static>,
    /// How a good request is answered.
    answer: u8,
    /// Whether a refusal has no room.
    no_room: bool,
    /// Where the bytes are cut.
    cuts: Vec<usize>,
    /// The bytes.
    bytes: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flag = byte(u);
        let limits = limits(u);
        let answer = byte(u);
        let cuts: Vec<_> = (0..byte(u) % 8).map(|_| usize::from(word(u))).collect();
        let mut bytes =
            if flag & flags::RAW != 0 { u.bytes(u.len())?.to_vec() } else { Head::read(Kind::Request, u).bytes() };
        if flag & flags::FRAMES != 0 {
            bytes.extend(FRAMES);
        }
        let cuts = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        Ok(Self { limits, origins: origins(answer), answer, no_room: flag & flags::NO_ROOM != 0, cuts, bytes })
    }
}

/// A head's limits: a quarter of its bytes, its headers.
pub(crate) fn limits(u: &mut Unstructured<'_>) -> HeadLimits {
    let (bytes, headers) = (usize::from(byte(u)), usize::from(byte(u)));
    let HeadLimits { bytes: most_bytes, headers: most_headers } = HeadLimits::DEFAULT;
    HeadLimits {
        bytes: if bytes == 0 { most_bytes } else { bytes * 4 },
        headers: if headers == 0 { most_headers } else { headers - 1 },
    }
}

/// A policy, by two bits.
pub(crate) fn origins(bits: u8) -> OriginPolicy<'static> {
    match bits & 3 {
        0 => OriginPolicy::SameOrigin { scheme: None },
        1 => OriginPolicy::Any,
        2 => OriginPolicy::SameOrigin { scheme: Some("https") },
        _ => OriginPolicy::Only(&["https://example.com", "null"]),
    }
}

/// Holds a server's handshake against everything that is promised of it.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    let bytes = &case.bytes[..];
    let whole = drive(case, bytes, &[]);
    oracle::check(case, &whole);
    let singles: Vec<_> = (1..bytes.len().min(BYTE_FOR_BYTE)).collect();
    let one_by_one = drive(case, bytes, &singles);
    assert_eq!((&one_by_one.progress, &one_by_one.output), (&whole.progress, &whole.output), "byte for byte");
    let cut = drive(case, bytes, &case.cuts);
    assert_eq!((&cut.progress, &cut.output), (&whole.progress, &whole.output), "cut at {:?}", case.cuts);
    if let Progress::Request { head_len, .. } = whole.progress {
        let alone = drive(case, &bytes[..head_len], &[]);
        assert_eq!(alone.progress, whole.progress, "without what is behind the head");
        let cut_off = drive(case, &bytes[..head_len - 1], &[]);
        assert_eq!(cut_off.progress, Progress::Incomplete, "without its last byte");
    }
    if bytes.len() <= BYTE_FOR_BYTE && whole.progress != Progress::Incomplete {
        // It came at this byte, so it must without the rest.
        let there = drive(case, &bytes[..one_by_one.at], &[]);
        assert_eq!((there.progress, there.output), (whole.progress, whole.output), "without what is behind the fault");
    }
}
