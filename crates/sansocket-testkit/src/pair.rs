//! A server and a client on a fake wire, with a fake clock.

use std::collections::VecDeque;
use std::time::Duration;

use sansocket::{Client, Deadlines, Expired, Limits, NextStep, Role, Server, Time, Timeouts};

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
///
/// Time stands still until it is told to pass:
///
/// ```
/// use std::time::Duration;
///
/// use sansocket_testkit::Pair;
///
/// let mut pair = Pair::new().latency(Duration::from_millis(5));
/// pair.client.send(|connection, out| connection.ping(b"?", out));
/// pair.advance(Duration::from_millis(9));
/// pair.client.expect_nothing();
/// pair.advance(Duration::from_millis(1));
/// pair.client.expect_pong(b"?");
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The server.
    pub server: Peer<Server>,
    /// The client.
    pub client: Peer<Client<Keys>>,
    to_server: Wire,
    to_client: Wire,
    now: Time,
    timeouts: Timeouts,
    server_deadlines: Deadlines,
    client_deadlines: Deadlines,
}

/// One direction of the transport.
#[derive(Debug)]
pub struct Wire {
    in_flight: VecDeque<u8>,
    /// When how many of the bytes in flight arrive, in order.
    arrivals: VecDeque<(Time, usize)>,
    /// How long a byte is on its way.
    latency: Duration,
    /// When the end arrives, once it was sent.
    end_arrives: Time,
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
            now: Time::default(),
            timeouts: Timeouts::NONE,
            server_deadlines: Deadlines::new(Time::default()),
            client_deadlines: Deadlines::new(Time::default()),
        }
    }

    /// Lets every byte be on its way for so long, in both directions.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.to_server.latency = latency;
        self.to_client.latency = latency;
        self
    }

    /// Sets the time limits of both sides.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
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

    /// Lets time pass. What is due in between, bytes that arrive and deadlines, happens at its own time.
    #[track_caller]
    pub fn advance(&mut self, duration: Duration) -> &mut Self {
        let end = self.now.after(duration);
        loop {
            self.run();
            match self.next_event().filter(|&next| next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
        }
        self.now = end;
        self.run()
    }

    /// When something happens next, if time passes.
    pub fn next_event(&mut self) -> Option<Time> {
        let Self { now, timeouts, server, client, .. } = self;
        let arrivals = [&self.to_server, &self.to_client].map(Wire::next_arrival);
        let deadlines = [
            self.server_deadlines.next(*now, timeouts, &server.connection),
            self.client_deadlines.next(*now, timeouts, &client.connection),
        ];
        arrivals.into_iter().chain(deadlines).flatten().min()
    }

    /// Delivers what has arrived until both are idle, and does with the transport what [`NextStep`] says.
    #[track_caller]
    pub fn run(&mut self) -> &mut Self {
        while self.step() {}
        self
    }

    /// Delivers at most one chunk in each direction. `false`: nothing has moved.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        let now = self.now;
        let expired = [
            expire(&mut self.server, &mut self.server_deadlines, &self.timeouts, now),
            expire(&mut self.client, &mut self.client_deadlines, &self.timeouts, now),
        ];
        let written =
            [write(&mut self.client, &mut self.to_server, now), write(&mut self.server, &mut self.to_client, now)];
        let read = [
            read(&mut self.server, &mut self.to_server, &mut self.server_deadlines, now),
            read(&mut self.client, &mut self.to_client, &mut self.client_deadlines, now),
        ];
        let moved = [expired, written, read].concat();
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
        Self {
            in_flight: VecDeque::new(),
            arrivals: VecDeque::new(),
            latency: Duration::ZERO,
            end_arrives: Time::default(),
            chunk: usize::MAX,
            life: None,
            shut: false,
            ended: false,
        }
    }

    fn send(&mut self, bytes: &mut Vec<u8>, now: Time) {
        if !bytes.is_empty() {
            self.arrivals.push_back((now.after(self.latency), bytes.len()));
            self.in_flight.extend(bytes.drain(..));
        }
    }

    fn shut(&mut self, now: Time) {
        if !self.shut {
            self.shut = true;
            self.end_arrives = now.after(self.latency);
        }
    }

    fn next_arrival(&self) -> Option<Time> {
        match self.arrivals.front() {
            Some(&(time, _)) => Some(time),
            None => (self.shut && !self.ended).then_some(self.end_arrives),
        }
    }

    /// Takes up to `most` of the bytes that have arrived.
    fn receive(&mut self, most: usize, now: Time) -> Vec<u8> {
        let arrived = self.arrivals.iter().take_while(|(time, _)| *time <= now).map(|(_, len)| len).sum::<usize>();
        let taken = arrived.min(most);
        let mut left = taken;
        while left > 0 {
            let (_, len) = &mut self.arrivals[0];
            let of_this = left.min(*len);
            *len -= of_this;
            left -= of_this;
            if *len == 0 {
                self.arrivals.pop_front();
            }
        }
        self.in_flight.drain(..taken).collect()
    }
}

/// Does what is due.
fn expire<R: Role>(peer: &mut Peer<R>, deadlines: &mut Deadlines, timeouts: &Timeouts, now: Time) -> bool {
    deadlines.expire(now, timeouts, &mut peer.connection, &mut peer.out) != Expired::Nothing
}

/// Flushes what a side has written, then does what it says is to be done with the transport.
fn write<R: Role>(peer: &mut Peer<R>, wire: &mut Wire, now: Time) -> bool {
    if wire.shut {
        // A transport that was closed takes nothing more.
        peer.out.clear();
        return false;
    }
    let moved = !peer.out.is_empty();
    wire.send(&mut peer.out, now);
    match peer.connection.next_step() {
        NextStep::CloseAfterFlush => {
            wire.shut(now);
            peer.eof();
        }
        NextStep::DrainAfterFlush | NextStep::Closed => wire.shut(now),
        _ => {}
    }
    moved || wire.shut
}

/// Delivers a chunk, or the end behind the last.
#[track_caller]
fn read<R: Role>(peer: &mut Peer<R>, wire: &mut Wire, deadlines: &mut Deadlines, now: Time) -> bool {
    if wire.ended || wire.next_arrival().is_none_or(|arrival| arrival > now) {
        return false;
    }
    if wire.in_flight.is_empty() {
        wire.ended = true;
        peer.eof();
        return true;
    }
    let chunk = wire.receive(wire.chunk.min(wire.life.unwrap_or(usize::MAX)), now);
    wire.life = wire.life.map(|life| life - chunk.len());
    deadlines.received(now);
    peer.feed(&chunk);
    !chunk.is_empty()
}

fn break_off<R: Role>(peer: &mut Peer<R>, wire: &mut Wire) {
    wire.in_flight.clear();
    wire.arrivals.clear();
    wire.shut = true;
    wire.ended = true;
    peer.eof();
}
