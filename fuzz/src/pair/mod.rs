//! A server and a client on a wire, and a program of what they do.
//!
//! Whatever they do:
//!
//! 1. each call succeeds or fails as a model of the sender foretells, and one that fails writes nothing (`half.rs`);
//! 2. what a side has written are the frames that it was told to send, its pongs and one Close, in order (`half.rs`);
//! 3. what a side has received is what the naive codec reads in the bytes that reached it, and its messages are those that the other
//!    one has sent (`game.rs`);
//! 4. both agree on how it ended (`game.rs`).
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 2 | the server's limits: a message's bytes, as 1 + a quarter of them, and frames; 0 is no limit |
//! | 2 | the client's limits |
//! | 1 | bytes delivered at a time behind the program; 0 is all |
//! | 1 | whether the wire breaks behind the program: 1 to the server, 2 to the client, modulo 4 |
//! | 2 | after how many bytes |
//! | rest | the program (`program.rs`) |
//!
//! During the program, bytes are delivered by hand from one side's output to the other side, as many as the program says in the
//! direction that it says. Behind it the testkit's wire takes over.

mod game;
mod half;
mod program;

pub(crate) use program::op;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::Limits;
use sansocket_testkit::Side;

use crate::bytes::{byte, word};
use program::Step;

/// Two sides and what they do.
#[derive(Debug)]
pub struct Case {
    /// The server's limits at first.
    server: Limits,
    /// The client's limits at first.
    client: Limits,
    /// How many bytes the wire delivers at a time.
    chunk: usize,
    /// To which side the wire breaks, and after how many bytes.
    cut: Option<(Side, usize)>,
    /// What happens before that.
    program: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (server, client) = (limits(u), limits(u));
        let chunk = match byte(u) {
            0 => usize::MAX,
            bytes => usize::from(bytes),
        };
        let (to, life) = (byte(u), usize::from(word(u)));
        let cut = match to % 4 {
            1 => Some((Side::Server, life)),
            2 => Some((Side::Client, life)),
            _ => None,
        };
        Ok(Self { server, client, chunk, cut, program: program::read(u) })
    }
}

/// One side's limits.
fn limits(u: &mut Unstructured<'_>) -> Limits {
    let message = byte(u).checked_sub(1).map_or(u64::MAX, |quarter| u64::from(quarter) * 4);
    let fragments = match byte(u) % 21 {
        0 => u32::MAX,
        frames => u32::from(frames),
    };
    Limits { message, fragments, undefined_close_codes: false }
}

/// Plays a program and holds both sides against everything that is promised of them.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    game::play(case);
}
