//! Loops that were held up: by a handler, by a machine that slept. Their clock jumps.

use std::io::{Read, Write};
use std::net::TcpStream as Peer;
use std::time::Duration;

use mio::Events;
use mio::net::{TcpListener, TcpStream};
use sansocket::{Message, Timeouts};

use super::{Context, Handler, Server};
use crate::settings::Settings;

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A pong, a ping and a Close of a client's, masked with zeros.
const PONG: &[u8] = b"\x8A\x80\0\0\0\0";
const PING: &[u8] = b"\x89\x80\0\0\0\0";
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

/// How many events are taken at once, and how many connections there are.
const EVENTS: usize = 4;
const PEERS: usize = 20;

/// How long a ping is waited with, and then its answer is waited for; and longer than that.
const LIMIT: Option<Duration> = Some(Duration::from_secs(30));
const PAUSE: Duration = Duration::from_secs(31);

/// When a test gives up.
const IN_VAIN: Duration = Duration::from_secs(60);

struct Silent;

impl Handler for Silent {
    type Stream = TcpStream;
    type Data = ();

    fn message(&mut self, _: &mut Context<'_, Self>, _: Message<'_>) {}
}

/// A server that takes few events at once, and its clients, which are open.
fn server() -> (Server<Silent>, Vec<Peer>) {
    let timeouts = Timeouts { ping: LIMIT, pong: LIMIT, ..Timeouts::NONE };
    let mut server = Server::new(Silent, Settings { timeouts, ..Settings::DEFAULT }).unwrap();
    server.events = Events::with_capacity(EVENTS);
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address).unwrap()).collect();
    for peer in &mut peers {
        peer.set_read_timeout(Some(IN_VAIN)).unwrap();
        // What is written is there at once.
        peer.set_nodelay(true).unwrap();
        peer.write_all(HEAD).unwrap();
    }
    while open(&server) < PEERS {
        server.run_once(None).unwrap();
    }
    for peer in &mut peers {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(read::<1>(peer));
        }
    }
    (server, peers)
}

fn open(server: &Server<Silent>) -> usize {
    server.connections.open_ids().count()
}

fn read<const N: usize>(peer: &mut Peer) -> [u8; N] {
    let mut bytes = [0; N];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

fn run(server: &mut Server<Silent>) {
    server.run_once(Some(Duration::ZERO)).unwrap();
}

/// Runs until nothing is left to be done but by the peers.
fn settle(server: &mut Server<Silent>) {
    for _ in 0..2 * PEERS / EVENTS {
        run(server);
    }
}

#[test]
fn who_was_not_read_during_a_pause_is_not_silent_for_that() {
    let (mut server, mut peers) = server();
    for _ in 0..3 {
        server.connections.common.jump(PAUSE);
        settle(&mut server);
        for peer in &mut peers {
            assert_eq!(read(peer), [0x89, 0]);
            peer.write_all(PONG).unwrap();
        }
        // The answers lie there as their time is over, and are more than can be looked at in a round.
        server.connections.common.jump(PAUSE);
        settle(&mut server);
        assert_eq!(open(&server), PEERS);
        // It was silence for them, too.
        for peer in &mut peers {
            peer.write_all(PING).unwrap();
        }
        settle(&mut server);
        peers.iter_mut().for_each(|peer| assert_eq!(read(peer), [0x8A, 0]));
    }
}

#[test]
fn who_ends_behind_a_pause_does_not_cut_short_what_the_others_have() {
    let (mut server, mut peers) = server();
    server.connections.common.jump(PAUSE);
    settle(&mut server);
    for peer in &mut peers {
        assert_eq!(read(peer), [0x89, 0]);
        peer.write_all(CLOSE).unwrap();
    }
    server.connections.common.jump(PAUSE);
    settle(&mut server);
    peers.iter_mut().for_each(|peer| assert_eq!(read(peer), [0x88, 0]));
}

#[test]
fn a_pause_over_all_limits_costs_who_is_silent_a_ping_and_then_the_connection() {
    let (mut server, mut peers) = server();
    server.connections.common.jump(1000 * PAUSE);
    settle(&mut server);
    peers.iter_mut().for_each(|peer| assert_eq!(read(peer), [0x89, 0]));
    assert_eq!(open(&server), PEERS, "its answer has all of its time");
    server.connections.common.jump(1000 * PAUSE);
    settle(&mut server);
    assert_eq!(open(&server), 0);
    peers.iter_mut().for_each(|peer| assert_eq!(read::<4>(peer)[2..], 1008_u16.to_be_bytes()));
}

#[test]
fn deadlines_come_in_a_loop_that_never_has_a_round_without_more_events() {
    let (mut server, mut peers) = server();
    server.connections.common.jump(PAUSE);
    let (silent, flooding) = peers.split_first_mut().unwrap();
    for _ in 0..=PEERS / EVENTS {
        // All others have something new at each round.
        flooding.iter_mut().for_each(|peer| peer.write_all(PONG).unwrap());
        run(&mut server);
    }
    assert_eq!(read(silent), [0x89, 0]);
}
