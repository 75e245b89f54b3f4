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
pub use compress::{Compress, Compressor, Config, Fragment};
#[cfg(feature = "deflate")]
pub use decompress::Decompressor;
pub(crate) use negotiation::{Agreement, Element, HeaderValue, NAME, agree, choose, offers, valid_offers};
pub use negotiation::{Parameters, Policy, Window, WindowBits};
#[cfg(feature = "deflate")]
pub use pool::{Pool, PoolLimits};
