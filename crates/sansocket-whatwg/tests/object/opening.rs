//! What a browser does before it speaks WebSocket: it waits no longer than a limit, and tries several addresses of one name.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use sansocket_whatwg::{Event, Failure, TimeLimits, WebSocket};

use crate::peer::{Listener, PATIENCE, failed, next, rest};

const SHORT: Duration = Duration::from_millis(500);

const LIMITS: TimeLimits = TimeLimits { open: Some(SHORT), ..TimeLimits::DEFAULT };

#[track_caller]
fn assert_timed_out(socket: &WebSocket) {
    let started = Instant::now();
    assert_eq!(rest(socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::TimedOut(SHORT))), "{:?}", socket.failure());
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_server_that_says_nothing_fails_when_the_time_is_over() {
    let listener = Listener::new();
    let started = Instant::now();
    let socket = WebSocket::builder(listener.url()).time_limits(LIMITS).build().unwrap();
    let peer = listener.accept();
    assert_timed_out(&socket);
    assert!(started.elapsed() >= SHORT, "not before");
    peer.receive_end();
}

#[test]
fn the_time_does_not_begin_anew_with_each_byte_of_an_answer() {
    let listener = Listener::new();
    let socket = WebSocket::builder(listener.url()).time_limits(LIMITS).build().unwrap();
    let mut peer = listener.accept();
    peer.stream.set_read_timeout(Some(SHORT / 10)).unwrap();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nX: ");
    let started = Instant::now();
    // One byte after the other, until the client has had enough.
    while peer.stream.write(b"x").is_ok() && !has_ended(&mut peer.stream) {
        assert!(started.elapsed() < PATIENCE, "it listens for ever");
    }
    assert_timed_out(&socket);
}

fn has_ended(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0]), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn the_time_covers_tls() {
    let listener = Listener::new();
    let socket = WebSocket::builder(listener.url().replace("ws:", "wss:")).time_limits(LIMITS).build().unwrap();
    let _silent = listener.accept_silently();
    assert_timed_out(&socket);
}

#[test]
fn the_time_covers_a_turn_that_never_comes() {
    let listener = Listener::new();
    let first = WebSocket::new(listener.url()).unwrap();
    let mut peer = listener.accept();
    let waiting = WebSocket::builder(listener.url()).time_limits(LIMITS).build().unwrap();
    assert_timed_out(&waiting);
    assert!(listener.is_idle(), "it was never there");
    peer.answer(&[]);
    assert_eq!(next(&first), Event::Open);
}

#[test]
fn behind_the_open_event_that_limit_is_none_any_more() {
    let listener = Listener::new();
    let socket = WebSocket::builder(listener.url()).time_limits(LIMITS).build().unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    assert!(!socket.wait_timeout(3 * SHORT), "nothing happens");
    peer.send([0x81, 0]);
    assert!(matches!(next(&socket), Event::Message(_)));
}

#[test]
fn without_a_limit_it_waits() {
    let listener = Listener::new();
    let limits = TimeLimits { open: None, close: None, end: None };
    let socket = WebSocket::builder(listener.url()).time_limits(limits).build().unwrap();
    let mut peer = listener.accept();
    assert!(!socket.wait_timeout(SHORT), "nothing happens");
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
}

/// Whether this machine's resolver gives such an address for its own name.
fn localhost_is(address: &str) -> bool {
    let mut addresses = ("localhost", 0).to_socket_addrs().unwrap();
    addresses.any(|resolved| resolved.ip().to_string() == address)
}

#[test]
fn a_name_with_several_addresses_is_reached_at_the_one_where_somebody_listens() {
    for (address, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        // Not every machine has both.
        let Some(listener) = Listener::at(address) else { continue };
        for name in [host, "localhost"] {
            if name == "localhost" && !localhost_is(address) {
                continue;
            }
            let socket = WebSocket::new(format!("ws://{name}:{}/", listener.port())).unwrap();
            let mut peer = listener.accept();
            assert_eq!(peer.headers("Host"), [format!("{name}:{}", listener.port())]);
            peer.answer(&[]);
            assert_eq!(next(&socket), Event::Open);
        }
    }
}

#[test]
fn a_name_whose_addresses_all_refuse_fails() {
    let port = Listener::new().port();
    let socket = WebSocket::new(format!("ws://localhost:{port}/")).unwrap();
    assert_eq!(rest(&socket), failed());
    assert!(
        matches!(socket.failure(), Some(Failure::Connect { to, .. }) if to.port() == port && to.ip().is_loopback())
    );
}
