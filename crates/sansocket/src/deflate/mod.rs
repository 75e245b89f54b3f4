//! permessage-deflate (RFC 7692): messages that are compressed one by one.
//!
//! | file | what for |
//! |---|---|
//! | `negotiation.rs` | what the opening handshake agrees on |
//! | `compress.rs` | from messages to compressed frames |
//! | `decompress.rs` | from [`Event::Compressed`](crate::Event::Compressed) to the pieces of messages |
//! | `pool.rs` | compressors and decompressors that connections share |

#[cfg(feature = "deflate")]
mod compress;
#[cfg(feature = "deflate")]
mod decompress;
mod negotiation;
#[cfg(feature = "deflate")]
mod pool;

#[cfg(feature = "deflate")]
pub use compress::{Compressor, Config, Fragment};
#[cfg(feature = "deflate")]
pub use decompress::Decompressor;
pub(crate) use negotiation::{Agreement, Element, HeaderValue, NAME, agree, choose, offers, valid_offers};
pub use negotiation::{Parameters, Policy, Window, WindowBits};
#[cfg(feature = "deflate")]
pub use pool::{Pool, PoolLimits};

/// Whether a message is compressed.
///
/// Where an attacker can have text of his own sent beside a secret, in one message or with `takeover` in several, the length of what is
/// sent tells him what he has guessed right (CRIME, BREACH; RFC 7692, section 8). Such messages are for [`Never`](Self::Never).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// If it is long enough (`Config::threshold`) and, where it fits a frame of 16 KiB, gets shorter by it. A longer one is on its way before
    /// that is known.
    #[default]
    Auto,
    /// It goes as it is, and leaves no trace in the compressor.
    Never,
    /// In any case, if that was agreed on and a compressor is to be had.
    Always,
}
