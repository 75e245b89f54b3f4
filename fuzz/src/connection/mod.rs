//! One connection in either role, fed any bytes in any chunks.
//!
//! Whatever the bytes are:
//!
//! 1. the transcript, the output and the end are the same for the whole stream, for its bytes one by one and for any cuts;
//! 2. they are what the naive codec says, also of a stream that breaks off;
//! 3. each call of `receive` gets on, writes no more than one reply, takes no memory, and works no more than its bytes are worth
//!    (`line.rs`);
//! 4. the end is the end (`line.rs`);
//! 5. an output of bounded room that is emptied whenever it is full changes nothing.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 2 | [`Limits::message`], modulo 1001 |
//! | 1 | [`Limits::fragments`], modulo 21 |
//! | 1 | room of the bounded output beyond [`MAX_REPLY`](sansocket::MAX_REPLY) |
//! | 1 + 2n | n cuts of the stream, n modulo 8 |
//! | rest | the stream, or the program that makes it (`program.rs`) |

pub(crate) mod line;
mod meter;
pub(crate) mod oracle;
pub(crate) mod program;

pub(crate) use program::op;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::Limits;
use sansocket_testkit::Side;

use crate::bytes::{byte, word};

/// Bits of an input's first byte.
pub mod flags {
    /// The connection is a client.
    pub const CLIENT: u8 = 1;
    /// [`Limits::undefined_close_codes`](sansocket::Limits::undefined_close_codes).
    pub const UNDEFINED_CODES: u8 = 2;
    /// The stream is there as it is; otherwise a program makes it.
    pub const RAW: u8 = 4;
    /// The connection sends a Close before it receives anything.
    pub const CLOSES_FIRST: u8 = 8;
    /// No limit on a message's bytes.
    pub const ANY_LENGTH: u8 = 16;
    /// No limit on a message's frames.
    pub const ANY_FRAGMENTS: u8 = 32;
}

/// Streams above this are not fed byte for byte all the way: the invariant would be the same, the fuzzer slow.
const BYTE_FOR_BYTE: usize = 512;

/// A connection and what its peer sends.
#[derive(Debug)]
pub struct Case {
    /// The connection's role.
    reader: Side,
    /// The connection's limits.
    limits: Limits,
    /// Whether it sends a Close before it receives anything.
    closes_first: bool,
    /// Room of the bounded output beyond a reply's.
    spare: usize,
    /// Where the stream is cut.
    cuts: Vec<usize>,
    /// The stream.
    bytes: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flag = byte(u);
        let has = |bit| flag & bit != 0;
        let reader = if has(flags::CLIENT) { Side::Client } else { Side::Server };
        let (message, fragments) = (u64::from(word(u) % 1001), u32::from(byte(u) % 21));
        let limits = Limits {
            message: if has(flags::ANY_LENGTH) { u64::MAX } else { message },
            fragments: if has(flags::ANY_FRAGMENTS) { u32::MAX } else { fragments },
            undefined_close_codes: has(flags::UNDEFINED_CODES),
        };
        let spare = usize::from(byte(u));
        let cuts: Vec<_> = (0..byte(u) % 8).map(|_| usize::from(word(u))).collect();
        let bytes = if has(flags::RAW) { u.bytes(u.len())?.to_vec() } else { program::run(reader, u) };
        let cuts = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        Ok(Self { reader, limits, closes_first: has(flags::CLOSES_FIRST), spare, cuts, bytes })
    }
}

/// Holds a connection against everything that is promised of it.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    let whole = line::drive(case, &case.bytes, &[], None);
    oracle::check(case, &case.bytes, &whole);
    let singles: Vec<_> = (1..case.bytes.len().min(BYTE_FOR_BYTE)).collect();
    assert_eq!(line::drive(case, &case.bytes, &singles, None), whole, "byte for byte");
    assert_eq!(line::drive(case, &case.bytes, &case.cuts, None), whole, "cut at {:?}", case.cuts);
    let bounded = line::drive(case, &case.bytes, &case.cuts, Some(case.spare));
    assert_eq!(bounded, whole, "cut at {:?}, output with room for {} more bytes", case.cuts, case.spare);
    if let Some((&end, cuts)) = case.cuts.split_first() {
        let broken_off = &case.bytes[..end];
        oracle::check(case, broken_off, &line::drive(case, broken_off, cuts, None));
    }
}
