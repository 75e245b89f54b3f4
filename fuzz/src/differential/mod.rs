//! The same bytes to a connection or a handshake of ours and to tungstenite's.
//!
//! Both take them or neither does, with the same messages in front, but for what [`Difference`] lists: anything else is a finding. How a
//! difference is told from a finding stands in `frames.rs` and `heads.rs`: mostly the input is rewritten until it should not matter any more, and
//! then both have to agree.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | what is read: frames by a server, frames by a client, a request, a response; modulo 4 |
//! | 1 | flags, see [`flags`] |
//! | 2 | of frames: [`Limits::message`](sansocket::Limits::message), modulo 1001 |
//! | rest | frames as the target `connection` has them, or a head (`head.rs`) |

mod difference;
mod frames;
mod head;
mod heads;
mod wire;

pub use difference::Difference;
pub(crate) use head::op;

use arbitrary::{Arbitrary, Unstructured};
use sansocket_testkit::Side;

use crate::bytes::{byte, word};
use crate::connection::program;

/// Bits of an input's second byte.
pub mod flags {
    /// The bytes are there as they are; otherwise a program makes them.
    pub const RAW: u8 = 1;
    /// No limit on a message's bytes but 128 KiB.
    pub const ANY_LENGTH: u8 = 2;
    /// The client has offered subprotocols.
    pub const PROTOCOLS: u8 = 4;
}

/// No head is longer: tungstenite reads so many bytes at once.
const MAX_HEAD: usize = 4096;

/// What both get.
#[derive(Debug)]
pub enum Case {
    /// Frames.
    Frames {
        /// Who reads them.
        reader: Side,
        /// The most bytes of a message.
        limit: usize,
        /// The frames.
        bytes: Vec<u8>,
    },
    /// The head of a request, and what may be behind it.
    Request(Vec<u8>),
    /// The head of a response, and what may be behind it.
    Response {
        /// Whether the client has offered subprotocols.
        protocols: bool,
        /// The response.
        bytes: Vec<u8>,
    },
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (what, flag) = (byte(u), byte(u));
        let has = |bit| flag & bit != 0;
        let frames = |reader, u: &mut Unstructured<'a>| {
            let limit = usize::from(word(u) % 1001);
            let limit = if has(flags::ANY_LENGTH) { 128 * 1024 } else { limit };
            let bytes = if has(flags::RAW) { u.bytes(u.len())?.to_vec() } else { program::run(reader, u) };
            Ok(Self::Frames { reader, limit, bytes })
        };
        let head = |start, u: &mut Unstructured<'a>| {
            let mut bytes = if has(flags::RAW) { u.bytes(u.len())?.to_vec() } else { head::run(start, u) };
            bytes.truncate(MAX_HEAD);
            Ok(bytes)
        };
        match what % 4 {
            0 => frames(Side::Server, u),
            1 => frames(Side::Client, u),
            2 => head(head::REQUEST, u).map(Self::Request),
            _ => head(head::RESPONSE, u).map(|bytes| Self::Response { protocols: has(flags::PROTOCOLS), bytes }),
        }
    }
}

/// Gives both the bytes, and holds what comes of it against each other. `Some`: they differ, and this is why.
///
/// # Panics
///
/// If they differ and it is not known why.
pub fn compare(case: &Case) -> Option<Difference> {
    match case {
        Case::Frames { reader, limit, bytes } => frames::compare(*reader, *limit, bytes),
        Case::Request(bytes) => heads::compare_requests(bytes),
        Case::Response { protocols, bytes } => heads::compare_responses(*protocols, bytes),
    }
}

/// As [`compare`].
///
/// # Panics
///
/// If they differ and it is not known why.
pub fn check(case: &Case) {
    compare(case);
}
