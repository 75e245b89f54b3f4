//! A peer that sends and reads nothing: what is answered finds no room, and time passes all the same.

use sansocket_tokio::{AcceptOptions, CloseCode, Error, Negotiated, ProtocolError, Timeouts, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::wire::{End, wire};
use crate::{NONE, masked, secs};

/// A server whose peer has sent so many messages, and takes nothing.
async fn server(timeouts: Timeouts, count: usize) -> (End, WebSocket<End>) {
    let (mut peer, stream) = wire(1 << 20, 10);
    peer.write_all(&masked(0x82, &[7; 100]).repeat(count)).await.unwrap();
    (peer, AcceptOptions::new().timeouts(timeouts).upgraded(stream, Negotiated::default(), &[]))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_fails_at_its_moment() {
    let timeouts = Timeouts { ping: Some(secs(30)), pong: Some(secs(20)), end: Some(secs(5)), ..NONE };
    let (_peer, mut ws) = server(timeouts, 1000).await;
    let start = Instant::now();
    let error = loop {
        match ws.read_to_reply().await {
            Ok(message) => {
                let (message, mut replies) = message.unwrap();
                replies.queue(message).unwrap();
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    assert_eq!(start.elapsed(), secs(55));
    assert!(ws.queued() == 0, "nothing is held for a peer that is gone");
}

#[tokio::test(start_paused = true)]
async fn a_close_as_an_answer_is_given_up_at_its_moment() {
    let (_peer, mut ws) = server(Timeouts { close: Some(secs(10)), ..NONE }, 1).await;
    let (_, mut replies) = ws.read_to_reply().await.unwrap().unwrap();
    replies.queue(&[7; 100_000]).unwrap();
    replies.start_close(CloseCode::GOING_AWAY, "").unwrap();
    let start = Instant::now();
    let error = ws.read_to_reply().await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert_eq!(start.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_without_having_read_is_lost() {
    let (peer, mut ws) = server(NONE, 2).await;
    let (message, mut replies) = ws.read_to_reply().await.unwrap().unwrap();
    assert_eq!(message.as_bytes().len(), 100);
    replies.queue(&[7; 100_000]).unwrap();
    drop(peer);
    // What it has sent before is given.
    assert!(ws.read_to_reply().await.unwrap().is_some());
    assert!(matches!(ws.read_to_reply().await.map(drop), Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_its_answers_slowly_is_not_silent() {
    let timeouts = Timeouts { ping: Some(secs(30)), pong: Some(secs(20)), ..NONE };
    let (mut peer, mut ws) = server(timeouts, 1).await;
    let (_, mut replies) = ws.read_to_reply().await.unwrap().unwrap();
    replies.queue(&[7; 65_600]).unwrap();
    let waiting = tokio::spawn(async move { ws.read_to_reply().await.map(drop) });
    // Of what is in the way, it takes ten bytes at a time.
    for _ in 0..6 {
        sleep(secs(29)).await;
        peer.read_exact(&mut [0; 10]).await.unwrap();
        assert!(!waiting.is_finished());
    }
    drop(peer);
    assert!(matches!(waiting.await.unwrap(), Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_has_sent_that_is_gone_is_read_though_its_pings_had_no_room_for_an_answer() {
    let (mut peer, stream) = wire(1 << 20, 10);
    let mut ws = AcceptOptions::new().timeouts(NONE).upgraded(stream, Negotiated::default(), &[]);
    let flood = [masked(0x89, &[7; 120]).repeat(2000), masked(0x81, b"the last")].concat();
    peer.write_all(&flood).await.unwrap();
    // Its reads are stuck with 64 KiB of answers.
    let stuck = tokio::time::timeout(secs(1), ws.read()).await;
    assert!(stuck.is_err() && ws.queued() > 60_000);
    drop(peer);
    assert_eq!(ws.read().await.unwrap().unwrap().as_bytes(), b"the last");
    assert!(matches!(ws.read().await, Err(Error::Lost { .. })));
}
