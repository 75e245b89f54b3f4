//! One connection that has agreed on permessage-deflate, any bytes in any chunks, inflated into scratch of any size.
//!
//! For any stream, any cuts and any scratch:
//!
//! 1. the outcome is the same: messages, control frames, output, failure, how it ended (`line.rs`);
//! 2. it is what RFC 6455 and RFC 7692 read bit by bit say; miniz_oxide has nothing against that but what is listed (`oracle.rs`);
//! 3. no call gives nothing without taking the piece, nothing is written behind the scratch, no message has more bytes than its limit,
//!    no call takes memory but for a codec, all of them work no more than their bytes are worth, and an end stays an end (`line.rs`).
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 2 | [`Limits::message`], modulo 2001 |
//! | 1 | [`Limits::fragments`], modulo 21 |
//! | 1 | window bits, 8 and this modulo 8 |
//! | 2 | bytes of scratch, 1 and this modulo 5000 |
//! | 1 + 2n | n cuts of the stream, n modulo 8 |
//! | rest | the stream, or the program that makes it (`program.rs`) |

pub(crate) mod line;
mod oracle;
mod program;

pub(crate) use program::op;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::Limits;
use sansocket::deflate::{Parameters, Window, WindowBits};
use sansocket_testkit::Side;

use crate::bytes::{byte, word};
use crate::connection::line::Outcome;
use crate::connection::oracle::hold;

/// Bits of an input's first byte.
pub mod flags {
    /// The connection is a client.
    pub const CLIENT: u8 = 1;
    /// Messages refer to earlier ones.
    pub const TAKEOVER: u8 = 2;
    /// The stream is there as it is; otherwise a program makes it.
    pub const RAW: u8 = 4;
    /// No limit on a message's bytes but what the fuzzer has time for.
    pub const ANY_LENGTH: u8 = 16;
    /// No limit on a message's frames.
    pub const ANY_FRAGMENTS: u8 = 32;
}

/// The largest limit: what is above it takes longer and shows nothing else.
pub const ENOUGH: u64 = 80_000;

/// In how many pieces, at most, a message without a limit comes of its scratch: of more, the fuzzer gets slow, and sees nothing else.
pub(crate) const PIECES: usize = 500;

/// Streams above this are not fed byte for byte, and their messages not inflated byte for byte: the invariant would be the same, the fuzzer
/// slow.
const BYTE_FOR_BYTE: usize = 512;

/// A connection and what its peer sends.
#[derive(Debug)]
pub struct Case {
    /// The connection's role.
    pub(crate) reader: Side,
    /// What was agreed on.
    pub(crate) parameters: Parameters,
    /// The connection's limits.
    pub(crate) limits: Limits,
    /// Bytes of scratch.
    pub(crate) scratch: usize,
    /// Where the stream is cut.
    pub(crate) cuts: Vec<usize>,
    /// The stream.
    pub(crate) bytes: Vec<u8>,
}

impl Case {
    /// Whether messages refer to earlier ones.
    fn takeover(&self) -> bool {
        self.parameters.of(self.reader == Side::Client).takeover
    }
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flag = byte(u);
        let has = |bit| flag & bit != 0;
        let reader = if has(flags::CLIENT) { Side::Client } else { Side::Server };
        let (message, fragments) = (u64::from(word(u) % 2001), u32::from(byte(u) % 21));
        let bits = WindowBits::new(8 + byte(u) % 8).expect("8 to 15");
        let window = Window { bits, takeover: has(flags::TAKEOVER) };
        let scratch = 1 + word(u) % 5000;
        let limits = Limits {
            message: if has(flags::ANY_LENGTH) { ENOUGH.min(PIECES as u64 * u64::from(scratch)) } else { message },
            fragments: if has(flags::ANY_FRAGMENTS) { u32::MAX } else { fragments },
            undefined_close_codes: false,
        };
        let cuts: Vec<_> = (0..byte(u) % 8).map(|_| usize::from(word(u))).collect();
        let bytes = if has(flags::RAW) { u.bytes(u.len())?.to_vec() } else { program::run(reader, window, u) };
        let cuts = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        let (parameters, scratch) = (Parameters { server: window, client: window }, usize::from(scratch));
        Ok(Self { reader, parameters, limits, scratch, cuts, bytes })
    }
}

/// What comes of the stream, which must not depend on how it is cut nor on how much scratch there is.
pub(crate) fn outcome(case: &Case) -> Outcome {
    let whole = line::drive(case, &[], case.scratch);
    assert_eq!(line::drive(case, &case.cuts, case.scratch), whole, "cut at {:?}", case.cuts);
    assert_eq!(line::drive(case, &case.cuts, 16 * 1024), whole, "much scratch");
    let received: usize = whole.transcript.messages().iter().map(|message| message.bytes.len()).sum();
    if case.bytes.len() <= BYTE_FOR_BYTE && received <= 4 * BYTE_FOR_BYTE {
        let singles: Vec<_> = (1..case.bytes.len()).collect();
        assert_eq!(line::drive(case, &singles, 1), whole, "byte for byte");
    }
    whole
}

/// Holds a connection and its decompressor against everything that is promised of them.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    hold(case.reader, false, &oracle::decode(case), &outcome(case));
}
