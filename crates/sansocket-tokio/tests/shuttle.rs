//! Two tasks and a network, in every order in which threads can run.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --package sansocket-tokio --test shuttle --target-dir target/shuttle`. A wake-up that is lost is a deadlock,
//! which the scheduler finds.

#![cfg(shuttle)]

#[path = "support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::{SinkExt, StreamExt};
use sansocket_tokio::{AcceptOptions, CloseCode, Error, Negotiated, SharedMessage, Timeouts, WebSocket};
use shuttle::future::block_on;
use shuttle::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::{End, wire};

const PING: &[u8] = b"\x89\x80\0\0\0\0";
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

/// A server whose stream takes so many bytes at once, and its peer's end.
fn server(capacity: usize) -> (WebSocket<End>, End) {
    let (peer, stream) = wire(1000, capacity);
    let options = AcceptOptions::new().timeouts(Timeouts::NONE).read_buffer(100);
    (options.upgraded(stream, Negotiated::default(), &[]), peer)
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || block_on(task))
}

/// The thread that this is called on is the network.
fn run(network: impl Future<Output = ()>, tasks: [thread::JoinHandle<()>; 2]) {
    block_on(network);
    for task in tasks {
        task.join().unwrap();
    }
}

/// Tries this many orders by each of two schedulers: one that chooses any thread at each step, and one that gives way at few of them
/// (<https://www.microsoft.com/en-us/research/publication/a-randomized-scheduler-with-probabilistic-guarantees-of-finding-bugs/>).
fn try_orders(scenario: fn()) {
    const ORDERS: usize = 1000;
    shuttle::check_random(scenario, ORDERS);
    shuttle::check_pct(scenario, ORDERS, 3);
}

/// The reader has a pong to write, the writer a message, and the peer reads at last.
#[test]
fn both_halves_wait_to_write_and_go_on() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = spawn(async move { writer.send("hello").await.unwrap() });
        let network = async {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        };
        run(network, [reading, writing]);
    });
}

/// The peer reads nothing until it has seen that its pings are read: more than the reader has room for while the writer is stuck.
#[test]
fn pings_are_answered_by_a_reader_whose_writer_is_stuck() {
    try_orders(|| {
        let (ws, mut peer) = server(2);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move {
            assert_eq!(reader.read_owned().await.unwrap().unwrap().as_message().as_bytes(), b"");
            assert!(reader.read().await.unwrap().is_none());
        });
        let writing = spawn(async move { writer.send(&[7; 20]).await.unwrap() });
        let network = async {
            peer.write_all(&[PING, PING, b"\x82\x80\0\0\0\0"].concat()).await.unwrap();
            peer.read_exact(&mut [0; 22 + 2 + 2]).await.unwrap();
            peer.write_all(CLOSE).await.unwrap();
            peer.read_exact(&mut [0; 2]).await.unwrap();
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        };
        run(network, [reading, writing]);
    });
}

/// The reader has nothing to wait for but the peer's answer, of which it hears.
#[test]
fn a_reader_that_waits_hears_of_the_writers_close() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move { assert!(reader.read().await.unwrap().is_none()) });
        let writing = spawn(async move { writer.start_close(CloseCode::NORMAL, "").await.unwrap() });
        let network = async {
            peer.read_exact(&mut [0; 4]).await.unwrap();
            peer.write_all(CLOSE).await.unwrap();
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        };
        run(network, [reading, writing]);
    });
}

/// Neither half goes on waiting for a peer that is gone.
#[test]
fn a_writer_that_waits_hears_of_the_loss() {
    try_orders(|| {
        let (ws, peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = spawn(async move { assert!(writer.send("hello").await.is_err()) });
        run(async { drop(peer) }, [reading, writing]);
    });
}

/// A violation: the reader ends the connection although the stream takes nothing, and sets the writer free.
#[test]
fn a_writer_that_waits_hears_of_a_violation() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move { assert!(matches!(reader.read().await, Err(Error::Violation(_)))) });
        let writing = spawn(async move { assert!(writer.send("hello").await.is_err()) });
        let network = async {
            peer.write_all(b"\x83\x80\0\0\0\0").await.unwrap();
            drop(peer);
        };
        run(network, [reading, writing]);
    });
}

/// As programs do that were written for another crate: with a lock of its own around the connection.
#[test]
fn a_connection_that_futures_has_split_loses_no_wake_up() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut sink, mut stream) = StreamExt::split(ws);
        let reading = spawn(async move { assert!(matches!(stream.next().await, Some(Err(Error::Lost { .. })))) });
        let writing = spawn(async move { sink.send(SharedMessage::from("hello")).await.unwrap() });
        let network = async {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        };
        run(network, [reading, writing]);
    });
}

/// What the writer has queued and given up, and the reader's replies: the reader writes both.
#[test]
fn what_a_writer_has_given_up_leaves_with_the_readers_replies() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = spawn(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = spawn(async move {
            let mut send = pin!(writer.send("hello"));
            // One poll, and no more.
            poll_fn(|cx| {
                let _ = send.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
        });
        let network = async {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        };
        run(network, [reading, writing]);
    });
}
