//! Two tasks and a network, in the orders in which they can run. A wake-up that is lost leaves somebody waiting for ever, and that is found.
//!
//! What the two tasks share is under one lock, within a poll: so all that can happen is an order of polls, and all of those are tried. What is not under
//! that lock is how wakers are kept. `RUSTFLAGS="--cfg shuttle" cargo test --package sansocket-tokio --lib --target-dir target/shuttle` gives each task a
//! thread, and tries many orders of everything that threads do between their locks.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::wire::{End, wire};
use crate::{AcceptOptions, CloseCode, Error, Negotiated, SharedMessage, Timeouts, WebSocket};

#[path = "../tests/support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;

const PING: &[u8] = b"\x89\x80\0\0\0\0";
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

/// The task that reads, the one that writes, and the network.
type Tasks = [Pin<Box<dyn Future<Output = ()> + Send>>; 3];

/// A server whose stream takes so many bytes at once, and its peer's end.
fn server(capacity: usize) -> (WebSocket<End>, End) {
    let (peer, stream) = wire(1000, capacity);
    let options = AcceptOptions::new().timeouts(Timeouts::NONE).read_buffer(100);
    (options.upgraded(stream, Negotiated::default(), &[]), peer)
}

/// Polls once, and gives up.
async fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// Tries every order of polls.
#[cfg(not(shuttle))]
fn try_orders(scenario: fn() -> Tasks) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// More would take too long.
    const MOST: usize = 1 << 20;

    // At each step: which of those that could go on has done so, and how many there were.
    let mut choices: Vec<(usize, usize)> = Vec::new();
    let mut orders = 0;
    loop {
        let mut tasks = scenario().map(|task| (Some(task), Arc::new(Flag(AtomicBool::new(true)))));
        let mut step = 0;
        loop {
            let is_woken = |(task, flag): &&mut (Option<_>, Arc<Flag>)| task.is_some() && flag.0.load(Ordering::SeqCst);
            let mut woken: Vec<_> = tasks.iter_mut().filter(is_woken).collect();
            if woken.is_empty() {
                break;
            }
            if step == choices.len() {
                choices.push((0, woken.len()));
            }
            assert_eq!(choices[step].1, woken.len(), "the same order leads to the same state");
            let (task, flag) = woken.swap_remove(choices[step].0);
            flag.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(flag));
            if task.as_mut().is_some_and(|task| task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()) {
                *task = None;
            }
            step += 1;
        }
        let waits: Vec<_> = tasks.iter().map(|(task, _)| task.is_some()).collect();
        assert_eq!(waits, [false; 3], "who waits for ever, in the order {choices:?}");
        orders += 1;
        assert!(orders < MOST, "too many orders");
        while choices.pop_if(|(choice, count)| *choice + 1 == *count).is_some() {}
        match choices.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => break,
        }
    }
    println!("{orders} orders");
    assert!(orders >= 10, "there is more than one order");
}

/// Tries this many orders by each of two schedulers: one that chooses any thread at each step, and one that gives way at few of them
/// (<https://www.microsoft.com/en-us/research/publication/a-randomized-scheduler-with-probabilistic-guarantees-of-finding-bugs/>).
#[cfg(shuttle)]
fn try_orders(scenario: fn() -> Tasks) {
    const ORDERS: usize = 1000;

    fn run(scenario: fn() -> Tasks) {
        let threads = scenario().map(|task| shuttle::thread::spawn(move || shuttle::future::block_on(task)));
        for thread in threads {
            thread.join().unwrap();
        }
    }

    shuttle::check_random(move || run(scenario), ORDERS);
    shuttle::check_pct(move || run(scenario), ORDERS, 3);
}

/// The reader has a pong to write, the writer a message, and the peer reads at last.
#[test]
fn both_halves_wait_to_write_and_go_on() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = Box::pin(async move { writer.send("hello").await.unwrap() });
        let network = Box::pin(async move {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        });
        [reading, writing, network]
    });
}

/// The peer reads nothing until it has seen that its pings are read: more than the reader has room for while the writer is stuck.
#[test]
fn pings_are_answered_by_a_reader_whose_writer_is_stuck() {
    try_orders(|| {
        let (ws, mut peer) = server(2);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move {
            assert_eq!(reader.read_owned().await.unwrap().unwrap().as_message().as_bytes(), b"");
            assert!(reader.read().await.unwrap().is_none());
        });
        let writing = Box::pin(async move { writer.send(&[7; 4]).await.unwrap() });
        let network = Box::pin(async move {
            peer.write_all(&[PING, PING, b"\x82\x80\0\0\0\0"].concat()).await.unwrap();
            peer.read_exact(&mut [0; 6 + 2 + 2]).await.unwrap();
            peer.write_all(CLOSE).await.unwrap();
            peer.read_exact(&mut [0; 2]).await.unwrap();
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        });
        [reading, writing, network]
    });
}

/// The reader has nothing to wait for but the peer's answer, of which it hears.
#[test]
fn a_reader_that_waits_hears_of_the_writers_close() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(reader.read().await.unwrap().is_none()) });
        let writing = Box::pin(async move { writer.start_close(CloseCode::NORMAL, "").await.unwrap() });
        let network = Box::pin(async move {
            peer.read_exact(&mut [0; 4]).await.unwrap();
            peer.write_all(CLOSE).await.unwrap();
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        });
        [reading, writing, network]
    });
}

/// Neither half goes on waiting for a peer that is gone.
#[test]
fn a_writer_that_waits_hears_of_the_loss() {
    try_orders(|| {
        let (ws, peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = Box::pin(async move { assert!(writer.send("hello").await.is_err()) });
        [reading, writing, Box::pin(async move { drop(peer) })]
    });
}

/// A violation: the reader ends the connection although the stream takes nothing, and sets the writer free.
#[test]
fn a_writer_that_waits_hears_of_a_violation() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(matches!(reader.read().await, Err(Error::Violation(_)))) });
        let writing = Box::pin(async move { assert!(writer.send("hello").await.is_err()) });
        let network = Box::pin(async move {
            peer.write_all(b"\x83\x80\0\0\0\0").await.unwrap();
            drop(peer);
        });
        [reading, writing, network]
    });
}

/// As programs do that were written for another crate: with a lock of its own around the connection.
#[test]
fn a_connection_that_futures_has_split_loses_no_wake_up() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut sink, mut stream) = StreamExt::split(ws);
        let reading = Box::pin(async move { assert!(matches!(stream.next().await, Some(Err(Error::Lost { .. })))) });
        let writing = Box::pin(async move { sink.send(SharedMessage::from("hello")).await.unwrap() });
        let network = Box::pin(async move {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        });
        [reading, writing, network]
    });
}

/// What the writer has queued and given up, and the reader's replies: the reader writes both.
#[test]
fn what_a_writer_has_given_up_leaves_with_the_readers_replies() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = Box::pin(async move { poll_once(writer.send("hello")).await });
        let network = Box::pin(async move {
            peer.write_all(PING).await.unwrap();
            peer.read_exact(&mut [0; 7 + 2]).await.unwrap();
            drop(peer);
        });
        [reading, writing, network]
    });
}

/// As above, and nothing comes that would make the reader look.
#[test]
fn what_a_writer_has_given_up_leaves_although_the_reader_waits() {
    try_orders(|| {
        let (ws, mut peer) = server(3);
        let (mut reader, mut writer) = ws.split();
        let reading = Box::pin(async move { assert!(matches!(reader.read().await, Err(Error::Lost { .. }))) });
        let writing = Box::pin(async move { poll_once(writer.send("hello")).await });
        let network = Box::pin(async move {
            peer.read_exact(&mut [0; 7]).await.unwrap();
            drop(peer);
        });
        [reading, writing, network]
    });
}
