//! An open connection: ping, pong and idle.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sansocket_tokio::{EndedBy, Error, Message, ProtocolError, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::{NONE, masked, secs, server};

const PINGING: Timeouts = Timeouts { ping: Some(secs(30)), pong: Some(secs(20)), ..NONE };

#[tokio::test(start_paused = true)]
async fn a_silent_peer_gets_a_ping_and_then_a_close_each_at_its_moment() {
    let (mut peer, mut ws, hand) = server(Timeouts { end: Some(secs(5)), ..PINGING });
    let start = Instant::now();
    let reading = tokio::spawn(async move { ws.read().await.map(drop) });
    let before = Duration::from_millis(1);
    sleep(secs(30) - before).await;
    assert_eq!(hand.written(), b"");
    let mut ping = [0; 2];
    peer.read_exact(&mut ping).await.unwrap();
    assert_eq!((ping, start.elapsed()), ([0x89, 0], secs(30)));
    sleep(secs(20) - before).await;
    assert_eq!(hand.written(), ping);
    let mut close = [0; 4];
    peer.read_exact(&mut close).await.unwrap();
    assert_eq!((close[0], &close[2..], start.elapsed()), (0x88, &1008_u16.to_be_bytes()[..], secs(50)));
    // The peer does not end.
    let error = reading.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    assert_eq!(start.elapsed(), secs(55));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_that_answers_pings_is_kept() {
    let (mut peer, mut ws, hand) = server(PINGING);
    let reading = tokio::spawn(async move { ws.read().await.map(drop) });
    for round in 1..=10 {
        peer.read_exact(&mut [0; 2]).await.unwrap();
        // At the last moment.
        sleep(secs(20) - Duration::from_millis(1)).await;
        peer.write_all(&masked(0x8A, b"")).await.unwrap();
        assert_eq!(hand.written().len(), 2 * round);
    }
    assert!(!reading.is_finished());
    drop(peer);
    assert!(matches!(reading.await.unwrap(), Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drips_is_not_silent() {
    let (mut peer, mut ws, hand) = server(PINGING);
    let dripping = tokio::spawn(async move {
        for byte in masked(0x81, &[b'x'; 100]) {
            sleep(secs(29)).await;
            peer.write_all(&[byte]).await.unwrap();
        }
        peer
    });
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text(&"x".repeat(100))));
    assert_eq!(hand.written(), b"", "no ping was due");
    drop(dripping.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_messages_is_idle_at_its_moment_whatever_pings_come() {
    let (mut peer, mut ws, hand) = server(Timeouts { idle: Some(secs(100)), close: Some(secs(10)), ..NONE });
    let start = Instant::now();
    let pinging = tokio::spawn(async move {
        while peer.write_all(&masked(0x89, b"")).await.is_ok() {
            sleep(Duration::from_millis(700)).await;
        }
    });
    sleep(secs(20)).await;
    ws.send("something").await.unwrap();
    let error = ws.read().await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert_eq!(start.elapsed(), secs(20 + 100 + 10));
    let written = hand.written();
    assert!(written.windows(8).any(|bytes| bytes == b"\x88\x06\x03\xe9idle"), "{written:?}");
    drop(ws);
    pinging.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_half_that_only_sends_keeps_the_connection_from_being_idle() {
    let (peer, ws, hand) = server(Timeouts { idle: Some(secs(100)), ..NONE });
    let (mut reader, mut writer) = ws.split();
    let reading = tokio::spawn(async move { reader.read().await.map(drop) });
    for _ in 0..20 {
        sleep(secs(99)).await;
        writer.send("tick").await.unwrap();
    }
    sleep(secs(99)).await;
    assert_eq!(hand.written(), b"\x81\x04tick".repeat(20));
    sleep(secs(2)).await;
    assert_eq!(hand.written()[120..], *b"\x88\x06\x03\xe9idle");
    drop(peer);
    // The Close was sent, and the stream ended.
    assert!(matches!(reading.await.unwrap(), Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn limits_hold_when_a_read_goes_on_in_another_task() {
    let (_peer, mut ws, _) = server(Timeouts { end: Some(secs(5)), ..PINGING });
    let start = Instant::now();
    let mut reading = Box::pin(async move {
        let error = ws.read().await.map(drop).unwrap_err();
        (error, ws.ending().unwrap().by())
    });
    // Polled first by somebody who does not wake anybody, then by a task for a while, then by another one.
    assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    sleep(secs(10)).await;
    let first = tokio::spawn(async move {
        let mut pause = pin!(sleep(secs(10)));
        poll_fn(|cx| {
            assert!(reading.as_mut().poll(cx).is_pending());
            pause.as_mut().poll(cx)
        })
        .await;
        (reading,)
    });
    let (reading,) = first.await.unwrap();
    let (error, by) = tokio::spawn(reading).await.unwrap();
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    assert_eq!(by, EndedBy::Failure(ProtocolError::PongTimeout));
    assert_eq!(start.elapsed(), secs(55));
}

#[tokio::test(start_paused = true)]
async fn a_limit_strikes_where_a_read_was_given_up_before_and_begins_anew() {
    let (mut peer, mut ws, _) = server(Timeouts { end: Some(secs(5)), ..PINGING });
    let start = Instant::now();
    for _ in 0..100 {
        let given_up = tokio::time::timeout(Duration::from_millis(290), ws.read()).await;
        assert!(given_up.is_err());
    }
    let reading = tokio::spawn(async move { ws.read().await.map(drop) });
    peer.read_exact(&mut [0; 2]).await.unwrap();
    assert_eq!(start.elapsed(), secs(30));
    drop(peer);
    reading.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_a_task_that_has_used_up_its_budget() {
    let (_peer, mut ws, _) = server(Timeouts { end: Some(secs(5)), ..PINGING });
    let start = Instant::now();
    let mut reading = pin!(ws.read());
    let mut is_first = true;
    let error = poll_fn(|cx| {
        if is_first {
            // Nothing is left of what a task may do in one go.
            while let Poll::Ready(budget) = tokio::task::coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
                budget.made_progress();
            }
            is_first = false;
        }
        reading.as_mut().poll(cx).map(|read| read.map(drop))
    })
    .await
    .unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    assert_eq!(start.elapsed(), secs(55));
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_due_again_though_the_answer_to_the_last_one_would_have_had_more_time() {
    let (mut peer, mut ws, _) = server(Timeouts { ping: Some(secs(5)), pong: Some(secs(60)), ..NONE });
    let start = Instant::now();
    let reading = tokio::spawn(async move { ws.read().await.map(drop) });
    for round in 1..=5 {
        peer.read_exact(&mut [0; 2]).await.unwrap();
        assert_eq!(start.elapsed(), secs(6 * round - 1));
        sleep(secs(1)).await;
        peer.write_all(&masked(0x8A, b"")).await.unwrap();
    }
    drop(peer);
    reading.await.unwrap().unwrap_err();
}
