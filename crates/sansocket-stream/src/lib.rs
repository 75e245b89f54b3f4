//! What adapters of the [`sansocket`] engine over byte streams have in common, whether those block or not: `sansocket-std` and `sansocket-tokio`.
//!
//! Nothing here reads or writes. [`Inbox`] is the receiving side: a buffer that the adapter fills, and messages that are lent out of it.
//! [`Compression`], [`Sender`] and [`Receiver`] are permessage-deflate, or its absence without feature `deflate`. [`frames`] and [`queue_frame`]
//! cut long messages. [`in_turns`] orders the addresses of a host. The errors are those that both adapters give.
//!
//! Made for these two: whoever embeds the engine by himself is better served by the engine's own types.

mod addresses;
#[cfg(feature = "deflate")]
#[path = "deflate.rs"]
mod codec;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod codec;
mod error;
mod frames;
mod inbox;
mod spare;

pub use addresses::{ATTEMPT_DELAY, in_turns};
pub use codec::{Compression, Fragment, Receiver, Sender, supported, supported_answer};
pub use error::{AcceptError, ConnectError, Error, ResponseHead};
pub use frames::{FRAME, Frame, GATHERED, frames, queue, queue_frame};
pub use inbox::{Engine, Found, Inbox, has_room};
pub use spare::{lend_output, return_output};

/// The default size of a read buffer in bytes: what it holds stays in the processor's first caches. A message of 16 KiB fits, with its header.
pub const READ_BUFFER: usize = 16 * 1024 + 64;
