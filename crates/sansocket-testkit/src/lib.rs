//! What the tests, the fuzzers and the benches of `sansocket` share.
//!
//! | file | what for |
//! |---|---|
//! | `frame.rs` | frames of any kind, the impossible ones too |
//! | `naive.rs` | RFC 6455 once more, slow and obviously right: the oracle |
//! | `utf8.rs` | UTF-8 by the table of RFC 3629 |
//! | `transcript.rs` | what one side has received, from the engine or from the oracle |
//! | `feed.rs` | one connection over a stream cut at given points |
//! | `peer.rs` | one connection and verbs that say what is expected of it |
//! | `pair.rs` | a server and a client on a fake wire |
//! | `faults.rs` | a transport that fails as a program says |
//! | `partner.rs`, `tls.rs` | the peer behind that, and TLS between them |
//! | `conversation.rs` | a conversation with a bit of everything, and what is to be left of it where its transport fails |
//! | `cuts.rs` | that conversation, broken at every byte and at every call, for any adapter |
//!
//! Nothing here shares code with the engine but its public types, and nothing sleeps.

pub mod conversation;
pub mod cuts;
pub mod faults;
mod feed;
mod frame;
pub mod naive;
mod pair;
mod panics;
mod partner;
mod peer;
#[cfg(feature = "tls")]
pub mod tls;
mod transcript;
mod utf8;

pub use feed::{Fed, Gave, Step, feed, feed_each_byte, feed_whole};
pub use frame::{BINARY, CLOSE, CONTINUATION, Frame, LengthForm, PING, PONG, TEXT, close_body, split_frames};
pub use pair::{Pair, Wire};
pub use panics::PanicWatch;
pub use peer::{Keys, Peer};
pub use transcript::{End, Message, Received, Recorder, Transcript};
pub use utf8::{Utf8, utf8};

/// A side of a connection, where a value says it and not a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It receives masked frames and sends unmasked ones.
    Server,
    /// It receives unmasked frames and sends masked ones.
    Client,
}

impl Side {
    /// Either.
    pub const BOTH: [Self; 2] = [Self::Server, Self::Client];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}
