//! Many connections that come and go, in a process of its own: what they took is given back.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use sansocket_mio::{Closed, Context, Handler, Message, OpenError, Server, Settings, Timeouts};
use sansocket_testkit::{BINARY, TEXT};

use crate::child::{child, is_child};
use crate::common::{
    LIMIT, fragment, masked, masked_close, noise, read_head, read_message, read_to_end, request, reset,
};

/// How many connections come and go at a time, and how many in all.
const BATCH: usize = 500;
const ALL: usize = 20_000;

/// Echoes, and counts those it has heard of to the end.
#[derive(Default)]
struct Counting {
    opened: usize,
    ended: usize,
}

impl Handler for Counting {
    type Stream = mio::net::TcpStream;
    type Data = Vec<u8>;

    fn open(&mut self, cx: &mut Context<'_, Self>) {
        self.opened += 1;
        cx.data().push(1);
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        let _ = cx.send(message);
    }

    fn close(&mut self, _: &mut Context<'_, Self>, _: &Closed<'_>) {
        self.ended += 1;
    }

    fn not_opened(&mut self, _: &mut Context<'_, Self>, _: OpenError) {
        self.ended += 1;
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer
}

fn open(address: SocketAddr) -> TcpStream {
    let mut peer = connect(address);
    peer.write_all(&request(&[])).unwrap();
    assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
    peer
}

/// Comes, does one of several things, and goes in one of several ways.
fn come_and_go(address: SocketAddr, number: usize) {
    match number % 10 {
        // Without a word.
        0 => reset(connect(address)),
        1 => drop(connect(address)),
        // Inside the head.
        2 => {
            let mut peer = connect(address);
            peer.write_all(&request(&[])[..60]).unwrap();
            reset(peer);
        }
        // Refused.
        3 => {
            let mut peer = connect(address);
            peer.write_all(b"GARBAGE\r\n").unwrap();
            assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 400 "));
        }
        // In order.
        4 | 5 => {
            let mut peer = open(address);
            peer.write_all(&masked(TEXT, "hello")).unwrap();
            assert_eq!(read_message(&mut peer).1, b"hello");
            peer.write_all(&masked_close(1000, "")).unwrap();
            assert_eq!(read_to_end(&mut peer), b"\x88\x02\x03\xe8");
        }
        // Inside a message that is joined.
        6 => {
            let mut peer = open(address);
            peer.write_all(&[fragment(BINARY, noise(3000)), masked(9, "p")].concat()).unwrap();
            assert_eq!(peer.read(&mut [0; 3]).unwrap(), 3);
            reset(peer);
        }
        // With much queued.
        7 if number % 50 == 7 => {
            let mut peer = open(address);
            peer.write_all(&masked(BINARY, noise(100_000)).repeat(10)).unwrap();
            assert_ne!(peer.read(&mut [0; 10]).unwrap(), 0);
            reset(peer);
        }
        // By a violation.
        8 => {
            let mut peer = open(address);
            peer.write_all(&masked(3, "")).unwrap();
            assert_eq!(read_to_end(&mut peer)[..1], [0x88]);
        }
        _ => reset(open(address)),
    }
}

/// Lets a batch of connections come and go on other threads, while the server runs on this one. Gives what this one has allocated and not
/// given back.
fn serve(server: &mut Server<Counting>, address: SocketAddr) -> AllocationInfo {
    let ended = server.handler().ended + BATCH;
    let clients: Vec<_> = (0..2)
        .map(|half| thread::spawn(move || (half..BATCH).step_by(2).for_each(|number| come_and_go(address, number))))
        .collect();
    let info = measure(|| {
        while server.handler().ended < ended || !server.connections().is_empty() {
            server.run_once(Some(Duration::from_millis(5))).unwrap();
        }
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
    info
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
#[cfg(target_os = "linux")]
fn after_20_000_connections_have_come_and_gone_nothing_of_them_is_left() {
    if !is_child() {
        let mut child = child(":", "churn::after_20_000_connections_have_come_and_gone_nothing_of_them_is_left");
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        assert!(child.wait().unwrap().success(), "{output}");
        return;
    }
    let timeouts = Timeouts { ping: None, ..Timeouts::DEFAULT };
    let mut server = Server::new(Counting::default(), Settings { timeouts, ..Settings::DEFAULT }).unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();

    // What is taken once and kept is taken now.
    serve(&mut server, address);
    let before = descriptors();
    let mut left = (0, 0);
    for _ in 0..ALL / BATCH {
        let info = serve(&mut server, address);
        left = (left.0 + info.count_current, left.1 + info.bytes_current);
    }
    let Counting { opened, ended } = *server.handler();
    println!("{opened} opened, {ended} ended, {left:?} allocations and bytes left");
    assert_eq!(ended, ALL + BATCH);
    assert_eq!(descriptors(), before);
    // The buffers that are kept may have grown.
    assert!(left.0.abs() <= 8, "{} allocations are left", left.0);
    assert!(left.1.abs() <= 300_000, "{} bytes are left", left.1);
}
