//! Time limits on a clock that stands still until everything waits: each strikes at its moment, and not before.

mod closing;
mod given_up;
mod open;
mod opening;
mod pauses;
mod replying;
mod streams;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;

use std::time::Duration;

use sansocket_tokio::{AcceptOptions, Negotiated, Timeouts, WebSocket};

use crate::wire::{End, Hand, wire};

const NONE: Timeouts = Timeouts::NONE;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A server with these time limits, its peer's end, and a look at its own.
fn server(timeouts: Timeouts) -> (End, WebSocket<End>, Hand) {
    let (peer, stream) = wire(1 << 20, 1 << 20);
    let hand = stream.hand();
    (peer, AcceptOptions::new().timeouts(timeouts).upgraded(stream, Negotiated::default(), &[]), hand)
}

/// The same, over a stream that holds so many bytes each way.
fn server_over(timeouts: Timeouts, there: usize, back: usize) -> (End, WebSocket<End>) {
    let (peer, stream) = wire(there, back);
    (peer, AcceptOptions::new().timeouts(timeouts).upgraded(stream, Negotiated::default(), &[]))
}

/// A frame as a client sends it, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    assert!(len < 126);
    [&[first, 0x80 | len, 0, 0, 0, 0], payload].concat()
}
