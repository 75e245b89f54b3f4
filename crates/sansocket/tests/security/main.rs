//! Flaws that other implementations of WebSocket have had, each with the bytes that showed it. `docs/security.md` tells of them; a test is named
//! after the flaw's identifier.
//!
//! | file | what for |
//! |---|---|
//! | `frames.rs` | lengths, reserved bits, UTF-8 |
//! | `limits.rs` | what a peer can make us hold |
//! | `control.rs` | pings, pongs, closing, the end |
//! | `requests.rs` | what a server makes of a request |
//! | `origins.rs` | pages of other sites, refusals, targets |
//! | `extensions.rs` | lists, quoted strings, parameters |
//! | `client.rs` | requests that carry more than they should, responses that lack something, masking keys |
//! | `compression.rs` | little that becomes much |
//! | `memory.rs` | dirty, lent and leaked memory |
//! | `progress.rs` | loops and recursion that never end |
//! | `work.rs` | work that grows faster than what comes, counted (feature `steps`) |

mod client;
#[cfg(feature = "deflate")]
mod compression;
mod control;
mod extensions;
mod frames;
mod limits;
mod memory;
mod origins;
mod progress;
mod requests;
#[cfg(feature = "steps")]
mod work;

use sansocket::handshake::{HeadLimits, RequestError, RequestProgress, ServerHandshake};
use sansocket::{Connection, Event, Limits, Negotiated, Output, Role, Server};
use sansocket_testkit::Side;

/// Limits of a head that let everything pass.
const NO_LIMITS: HeadLimits = HeadLimits { bytes: usize::MAX, headers: usize::MAX };

/// The header lines of a good request but for `Host`.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

/// The header lines of a good response to the nonce "the sample nonce".
const SWITCH: &str =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// Bytes in hexadecimal, white space anywhere.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    assert_eq!(digits.len(), text.chars().filter(|char| !char.is_whitespace()).count(), "{text}");
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// The frames of `text` so many times behind each other.
fn times(count: usize, text: &str) -> Vec<u8> {
    hex(text).repeat(count)
}

fn server(limits: Limits) -> Connection<Server> {
    Connection::new(Server, Negotiated::default(), limits)
}

/// Receives `bytes` in one read, and counts the events.
fn receive<R: Role>(connection: &mut Connection<R>, bytes: &mut [u8], out: &mut (impl Output + ?Sized)) -> usize {
    let mut input = bytes;
    let mut events = 0;
    while connection.receive(&mut input, out).is_some() {
        events += 1;
    }
    assert!(input.is_empty(), "what was given was used up");
    events
}

/// A good request with further header lines.
fn request(more: &str) -> String {
    format!("GET /chat HTTP/1.1\r\nHost: example.com\r\n{UPGRADE}{more}\r\n")
}

/// What a server makes of a request that comes at once: whether it is good, and what was written.
fn serve(text: impl AsRef<[u8]>, limits: HeadLimits) -> (Result<(), Option<RequestError>>, Vec<u8>) {
    let mut out = Vec::new();
    let result = match ServerHandshake::new().limits(limits).receive(text.as_ref(), &mut out) {
        RequestProgress::Request(_) => Ok(()),
        RequestProgress::Incomplete => Err(None),
        RequestProgress::Refused(error) => Err(Some(error)),
    };
    (result, out)
}

#[track_caller]
fn is_refused(text: impl AsRef<[u8]>, limits: HeadLimits, error: RequestError) {
    let (result, out) = serve(text, limits);
    assert_eq!(result, Err(Some(error)));
    let answer = String::from_utf8(out).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {} ", error.status())), "{answer}");
}

/// That a receiver which gets one byte at a time gives what one gives that gets all at once, and panics nowhere.
#[track_caller]
fn both_ways(side: Side, limits: Limits, bytes: &[u8]) -> sansocket_testkit::Fed {
    let new = || sansocket_testkit::Peer::either_with(side, limits).connection;
    let whole = sansocket_testkit::feed_whole(new(), bytes);
    let each = sansocket_testkit::feed_each_byte(new(), bytes);
    assert_eq!((&whole.transcript, &whole.output, whole.failure), (&each.transcript, &each.output, each.failure));
    whole
}

/// The bytes of an event that is a piece of a message.
fn piece_len(event: Event<'_>) -> usize {
    event.piece().map_or(0, |piece| piece.as_bytes().len())
}
