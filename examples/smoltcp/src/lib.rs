//! WebSocket over smoltcp: a TCP stack that is a library, on a machine without an operating system and without an allocator.
//!
//! smoltcp and the engine are made alike. Neither has sockets, threads or a clock; both are told the time and say when they want to be
//! called again. So one loop drives them together, and [`Host::poll`] is that loop:
//!
//! 1. The stack takes in the packets that have come.
//! 2. The [`Endpoint`] takes what they have brought out of the TCP socket, and queues what it has to say.
//! 3. The stack sends that.
//! 4. Both say how long they may sleep. The earlier of the two counts.
//!
//! Where the bytes lie:
//!
//! - **In**: `tcp::Socket::recv` lends the socket's receive buffer as a `&mut [u8]`. The engine unmasks the payload there, and the
//!   [`Application`] reads it there. Nothing is copied, and a message may be as long as it likes: it comes in pieces. The opening handshake's
//!   head is parsed in that buffer as well.
//! - **Out**: `tcp::Socket::send` lends the free part of the send buffer. What the application sends by itself is written and masked
//!   there. Replies are made while the receive buffer is lent, and smoltcp does not lend both at once; so they pass through a scratch, which
//!   all connections share.
//!
//! The send buffer is the only queue, and an output never has more room than it. So a peer that does not read is soon not read from: what it
//! sends stays in the receive buffer, and TCP stops it.

#![no_std]

mod endpoint;
mod host;
mod opening;

pub use endpoint::{Application, Echo, Endpoint};
pub use host::{Host, time};
pub use opening::{ClientOpening, Opened, Opening, ServerOpening};

use sansocket::SliceOutput;
use smoltcp::socket::tcp::Socket;

/// Calls `make` with an output that has room for what the send buffer has, as far as `scratch` goes, and queues what was put into it.
///
/// The send buffer is a ring. This is for what must not depend on where the ring's end is: replies, and whatever a deadline demands.
fn reply<T>(
    socket: &mut Socket<'_>,
    scratch: &mut [u8],
    make: impl FnOnce(&mut Socket<'_>, &mut SliceOutput<'_>) -> T,
) -> T {
    // A socket that sends no more takes nothing, and must not hold up what there is to receive for that.
    let room = if socket.may_send() { free(socket) } else { usize::MAX };
    let room = room.min(scratch.len());
    let mut out = SliceOutput::new(&mut scratch[..room]);
    let made = make(socket, &mut out);
    // All of it: the room was measured.
    let queued = socket.send_slice(out.bytes());
    debug_assert!(queued.is_err() || queued == Ok(out.bytes().len()));
    made
}

/// How many bytes of the send buffer are free.
fn free(socket: &Socket<'_>) -> usize {
    socket.send_capacity() - socket.send_queue()
}
