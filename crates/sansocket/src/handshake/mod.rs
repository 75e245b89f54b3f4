//! The opening handshake (RFC 6455, sections 4 and 9.1), for both sides.
//!
//! A handshake is a small object that looks at the bytes received so far, in the caller's buffer, and writes its answer to the
//! caller's output. It looks at each byte once, however they are split, and parses a head once, when it is whole. The bytes behind
//! the head are the first frames.
//!
//! | file | what for |
//! |---|---|
//! | `server.rs` | the request: received, then accepted or rejected, now or later |
//! | `request.rs` | what is demanded of it |
//! | `client.rs` | the request sent, the response checked |
//! | `head.rs` | where a head ends, what httparse says of it, its headers |
//! | `headers.rs` | heads that somebody else has parsed: HTTP/1.1, and the extended CONNECT of HTTP/2 and HTTP/3 |
//! | `key.rs` | `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` |
//! | `error.rs` | what can be wrong, with its status and section |
//! | `extension.rs` | the grammar of `Sec-WebSocket-Extensions` |
//! | `origin.rs` | `Host` and `Origin`, and which origins a server lets in |
//! | `uri.rs` | `ws://` and `wss://` |

mod client;
mod error;
mod extension;
mod head;
mod headers;
mod key;
mod origin;
mod request;
mod server;
mod uri;

pub use client::{ClientHandshake, ClientRequest, Response, ResponseProgress};
pub use error::{AnswerError, ClientRequestError, RequestError, ResponseError};
pub use extension::{Extension, Extensions, ParamValue};
pub use head::{HeadLimits, Headers};
#[cfg(feature = "alloc")]
pub use headers::UpgradeOffer;
pub use headers::{ExtendedConnect, Upgrade, UpgradeResponse};
pub use origin::{Authority, Origin, OriginPolicy};
#[cfg(feature = "alloc")]
pub use server::PendingAnswer;
pub use server::{Accept, Protocols, Reject, Request, RequestProgress, ServerHandshake};
pub use uri::{Uri, UriError};

use crate::Output;

/// The only version of the protocol there is (RFC 6455, section 4.1, item 9).
const VERSION: &str = "13";

/// The most room that the answer to a bad request takes in an output, in bytes.
pub const MAX_REFUSAL: usize = 512;

/// The output has less room than a head needs.
struct NoRoom;

/// Puts everything that `write` writes, or nothing if there is no room for all of it.
fn put_all(out: &mut (impl Output + ?Sized), write: impl Fn(&mut dyn FnMut(&[u8]))) -> Result<(), NoRoom> {
    let mut needed = 0;
    write(&mut |bytes| needed += bytes.len());
    if out.room() < needed {
        return Err(NoRoom);
    }
    out.reserve(needed);
    write(&mut |bytes| {
        out.put(bytes);
    });
    Ok(())
}
