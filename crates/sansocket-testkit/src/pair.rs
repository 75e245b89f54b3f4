//! A server and a client on a fake wire.

use std::collections::VecDeque;

use sansocket::{Client, Limits, NextStep, Role, Server};

use crate::{Keys, Peer};

/// A server and a client, and the bytes that are on their way between them.
///
/// ```
/// use sansocket_testkit::Pair;
///
/// let mut pair = Pair::new().chunk(1);
/// pair.client.send(|connection, out| connection.send_text("hi", out));
/// pair.run();
/// pair.server.expect_text("hi").expect_open();
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The server.
    pub server: Peer<Server>,
    /// The client.
    pub client: Peer<Client<Keys>>,
    to_server: Wire,
    to_client: Wire,
}

/// One direction of the transport. Latency, once there is a clock, belongs here.
#[derive(Debug)]
pub struct Wire {
    in_flight: VecDeque<u8>,
    /// Bytes delivered at a time.
    chunk: usize,
    /// Bytes that it still carries before it breaks.
    life: Option<usize>,
    /// Its writer will not write any more.
    shut: bool,
    /// Its reader was told of the end.
    ended: bool,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Both with the default limits, on a wire that delivers everything at once.
    pub fn new() -> Self {
        Self::with_limits(Limits::DEFAULT)
    }

    /// Both with these limits.
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            server: Peer::server_with(limits),
            client: Peer::client_with(limits),
            to_server: Wire::new(),
            to_client: Wire::new(),
        }
    }

    /// Delivers `bytes` at a time, in both directions.
    pub fn chunk(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "nothing would ever arrive");
        self.to_server.chunk = bytes;
        self.to_client.chunk = bytes;
        self
    }

    /// Breaks the transport, for both sides, once the server has received so many more bytes.
    pub fn cut_to_server_after(mut self, bytes: usize) -> Self {
        self.to_server.life = Some(bytes);
        self
    }

    /// Breaks the transport, for both sides, once the client has received so many more bytes.
    pub fn cut_to_client_after(mut self, bytes: usize) -> Self {
        self.to_client.life = Some(bytes);
        self
    }

    /// Delivers until both are idle, and does with the transport what [`NextStep`] says.
    #[track_caller]
    pub fn run(&mut self) -> &mut Self {
        while self.step() {}
        self
    }

    /// Delivers at most one chunk in each direction. `false`: nothing has moved.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        let moved = [
            write(&mut self.client, &mut self.to_server),
            write(&mut self.server, &mut self.to_client),
            read(&mut self.server, &mut self.to_server),
            read(&mut self.client, &mut self.to_client),
        ];
        if self.to_server.life == Some(0) || self.to_client.life == Some(0) {
            let alive = !(self.to_server.ended && self.to_client.ended);
            break_off(&mut self.server, &mut self.to_server);
            break_off(&mut self.client, &mut self.to_client);
            return alive;
        }
        moved.contains(&true)
    }
}

impl Wire {
    fn new() -> Self {
        Self { in_flight: VecDeque::new(), chunk: usize::MAX, life: None, shut: false, ended: false }
    }
}

/// Flushes what a side has written, then does what it says is to be done with the transport.
fn write<R: Role>(peer: &mut Peer<R>, wire: &mut Wire) -> bool {
    if wire.shut {
        // A transport that was closed takes nothing more.
        peer.out.clear();
        return false;
    }
    let moved = !peer.out.is_empty();
    wire.in_flight.extend(peer.out.drain(..));
    match peer.connection.next_step() {
        NextStep::CloseAfterFlush => {
            wire.shut = true;
            peer.eof();
        }
        NextStep::DrainAfterFlush | NextStep::Closed => wire.shut = true,
        _ => {}
    }
    moved || wire.shut
}

/// Delivers a chunk, or the end behind the last.
#[track_caller]
fn read<R: Role>(peer: &mut Peer<R>, wire: &mut Wire) -> bool {
    if wire.ended {
        return false;
    }
    if wire.in_flight.is_empty() {
        wire.ended = wire.shut;
        if wire.ended {
            peer.eof();
        }
        return wire.ended;
    }
    let most = wire.chunk.min(wire.life.unwrap_or(usize::MAX)).min(wire.in_flight.len());
    let chunk: Vec<_> = wire.in_flight.drain(..most).collect();
    wire.life = wire.life.map(|life| life - most);
    peer.feed(&chunk);
    most > 0
}

fn break_off<R: Role>(peer: &mut Peer<R>, wire: &mut Wire) {
    wire.in_flight.clear();
    wire.shut = true;
    wire.ended = true;
    peer.eof();
}
