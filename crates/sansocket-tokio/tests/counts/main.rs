//! How often is written, how much is copied, and what is allocated and held.

mod memory;
mod order;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;
mod writes;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use sansocket_tokio::{AcceptOptions, ConnectOptions, Negotiated, Timeouts, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::{End, Hand, wire};

/// A peer's end, a server with room for everything, and a look at its end. Nothing that goes over the wire is allocated.
fn server_with(negotiated: Negotiated) -> (End, WebSocket<End>, Hand) {
    let (peer, stream) = wire(0, 0);
    let hand = stream.hand();
    for hand in [&peer.hand(), &hand] {
        hand.make_room(8 << 20);
        hand.stop_logging();
    }
    hand.manners().is_vectored = true;
    let options = AcceptOptions::new().timeouts(Timeouts::NONE);
    #[cfg(feature = "deflate")]
    let options = options.compression(Default::default());
    (peer, options.upgraded(stream, negotiated, &[]), hand)
}

fn server() -> (End, WebSocket<End>, Hand) {
    server_with(Negotiated::default())
}

/// Writes these bytes, for which there is room.
fn put(end: &mut End, bytes: &[u8]) {
    let written = Pin::new(end).poll_write(&mut Context::from_waker(Waker::noop()), bytes);
    assert!(matches!(written, Poll::Ready(Ok(count)) if count == bytes.len()), "{written:?}");
}

/// Reads all that is there, and forgets it.
fn discard(end: &mut End) {
    let mut room = [0; 4096];
    loop {
        let mut room = ReadBuf::new(&mut room);
        let read = Pin::new(&mut *end).poll_read(&mut Context::from_waker(Waker::noop()), &mut room);
        if read.is_pending() || room.filled().is_empty() {
            return;
        }
    }
}

/// Echoes what has come, until the connection waits.
fn echo(ws: &mut WebSocket<End>) {
    while let Some(read) = ws.read_to_reply().now_or_never() {
        let (message, mut replies) = read.unwrap().expect("the connection is open");
        replies.queue(message).unwrap();
    }
}

/// These messages as a client sends them.
fn frames(messages: &[&[u8]]) -> Vec<u8> {
    let (stream, _peer) = wire(usize::MAX, 0);
    let hand = stream.hand();
    let mut client = ConnectOptions::new().timeouts(Timeouts::NONE).upgraded(stream, Negotiated::default(), &[]);
    for message in messages {
        client.send(*message).now_or_never().expect("there is room").unwrap();
    }
    hand.written()
}
