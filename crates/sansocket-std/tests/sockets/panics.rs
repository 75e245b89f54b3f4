//! Threads that panic with a connection in hand.

use std::io::Write;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use sansocket_std::{Message, connect};

use crate::common::{masked, open_to_all, pair, raw_client, read_to_end, sockets};

/// Panics, and leaves the test's output alone.
fn panics() -> ! {
    resume_unwind(Box::new("on purpose"))
}

#[test]
fn a_thread_that_panics_ends_its_connection_and_nobody_elses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = thread::spawn(move || -> Vec<JoinHandle<()>> {
        let serve = |stream| {
            thread::spawn(move || {
                let mut ws = open_to_all().accept(stream).unwrap();
                while let Some(message) = ws.read_owned().unwrap() {
                    if message.as_message() == Message::Text("bad") {
                        panics();
                    }
                    ws.send(&message).unwrap();
                }
            })
        };
        (0..3).map(|_| serve(listener.accept().unwrap().0)).collect()
    });
    let (mut bystander, mut lost) = (connect(&url).unwrap(), connect(&url).unwrap());
    for ws in [&mut bystander, &mut lost] {
        ws.send("good").unwrap();
        assert_eq!(ws.read().unwrap(), Some(Message::Text("good")));
    }
    lost.send("bad").unwrap();
    let error = lost.read().unwrap_err();
    assert_eq!(lost.ending().unwrap().code(), 1006, "{error}");
    let mut third = connect(&url).unwrap();
    for ws in [&mut bystander, &mut third] {
        ws.send("still there").unwrap();
        assert_eq!(ws.read().unwrap(), Some(Message::Text("still there")));
        ws.close(None, "").unwrap();
    }
    let panicked: Vec<_> = serving.join().unwrap().into_iter().map(|thread| thread.join().is_err()).collect();
    assert_eq!(panicked, [false, true, false]);
}

#[test]
fn what_the_peer_of_a_thread_that_panics_sees_is_the_end_without_a_close() {
    let (client, server) = sockets();
    let serving = thread::spawn(move || {
        let mut ws = open_to_all().accept(server).unwrap();
        assert_eq!(ws.read().unwrap(), Some(Message::Text("bad")));
        panics();
    });
    let mut client = raw_client(client);
    client.write_all(&masked(0x81, b"bad")).unwrap();
    assert_eq!(read_to_end(&mut client), []);
    assert!(serving.join().is_err());
}

#[test]
fn a_half_whose_thread_panics_leaves_the_other_half_at_work() {
    let (mut client, server) = pair();
    let (mut reader, writer) = server.split().unwrap();
    let clone = writer.clone();
    let panicked = thread::spawn(move || {
        writer.send("before").unwrap();
        panics();
    });
    assert!(panicked.join().is_err());
    assert_eq!(client.read().unwrap(), Some(Message::Text("before")));
    clone.send("behind it").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("behind it")));
    client.send("in").unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::Text("in")));
    let panicked = thread::spawn(move || {
        let _reader = reader;
        panics();
    });
    assert!(panicked.join().is_err());
    // Nobody reads any more, and what is sent arrives.
    clone.send("last").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("last")));
    drop(clone);
    assert!(client.read().is_err());
    assert_eq!(client.ending().unwrap().code(), 1006);
}

/// Its trace runs under the lock that both halves share, which is poisoned by that.
#[test]
fn a_trace_that_panics_under_the_lock_costs_no_second_panic() {
    let (client, server) = sockets();
    let serving = thread::spawn(move || {
        let ws = open_to_all().accept(server).unwrap();
        let panics_on_bad = |_, bytes: &[u8]| {
            if bytes.ends_with(b"bad") {
                panics();
            }
        };
        let (mut reader, writer) = ws.split_traced(panics_on_bad).unwrap();
        let reading = thread::spawn(move || reader.read().map(|message| message.is_none()));
        assert!(reading.join().is_err(), "the trace panics in its thread");
        writer.send("no second panic").unwrap();
    });
    let mut client = raw_client(client);
    client.write_all(&masked(0x81, b"bad")).unwrap();
    assert_eq!(read_to_end(&mut client), b"\x81\x0Fno second panic");
    serving.join().unwrap();
}
