//! A task that was held up, on a machine that slept say: the clock jumps.

use sansocket_tokio::{Error, ProtocolError, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::{advance, timeout};

use crate::{NONE, masked, secs, server};

const PINGING: Timeouts = Timeouts { ping: Some(secs(30)), pong: Some(secs(20)), end: Some(secs(5)), ..NONE };

#[tokio::test(start_paused = true)]
async fn who_was_not_read_during_a_pause_is_not_silent_for_that() {
    let (mut peer, mut ws, _hand) = server(PINGING);
    for _ in 0..3 {
        timeout(secs(31), ws.read()).await.unwrap_err();
        let mut ping = [0; 2];
        peer.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping, [0x89, 0]);
        peer.write_all(&masked(0x8A, b"")).await.unwrap();
        // The answer lies there as its time is over.
        advance(secs(3600)).await;
        timeout(secs(1), ws.read()).await.unwrap_err();
        peer.write_all(&masked(0x82, b"a")).await.unwrap();
        assert!(ws.read().await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_over_all_limits_costs_who_is_silent_a_ping_and_then_the_connection() {
    let (mut peer, mut ws, hand) = server(PINGING);
    advance(secs(3600)).await;
    timeout(secs(19), ws.read()).await.unwrap_err();
    assert_eq!(hand.written(), [0x89, 0], "its answer has all of its time");
    advance(secs(3600)).await;
    let error = ws.read().await.unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    let mut written = [0; 6];
    peer.read_exact(&mut written).await.unwrap();
    assert_eq!(written[4..], 1008_u16.to_be_bytes());
}

#[tokio::test(start_paused = true)]
async fn what_a_runtime_learns_of_behind_its_timers_has_come_in_time() {
    let (mut peer, mut ws, _hand) = server(PINGING);
    let reading = tokio::spawn(async move { ws.read().await.map(|message| message.is_some()) });
    peer.read_exact(&mut [0; 2]).await.unwrap();
    // The task is woken by its timer, and finds nothing to be read yet.
    advance(secs(3600)).await;
    yield_now().await;
    peer.write_all(&masked(0x8A, b"")).await.unwrap();
    peer.write_all(&masked(0x82, b"a")).await.unwrap();
    assert!(reading.await.unwrap().unwrap());
}
