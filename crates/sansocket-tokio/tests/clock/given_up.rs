//! Calls that were given up, and what is left of them for others.

use sansocket_tokio::{CloseCode, Error, Message, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::{NONE, masked, secs, server, server_over};

/// Long enough for whatever needs no time.
const AT_ONCE: std::time::Duration = std::time::Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn behind_a_close_that_was_given_up_the_rest_of_a_message_is_no_message() {
    let (mut peer, mut ws, _) = server(NONE);
    peer.write_all(&masked(0x01, b"hello ")).await.unwrap();
    assert!(timeout(AT_ONCE, ws.close(CloseCode::NORMAL, "")).await.is_err());
    peer.write_all(&[masked(0x80, b"world"), masked(0x81, b"next"), masked(0x88, b"")].concat()).await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("next")));
    assert_eq!(ws.read().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_writer_has_given_up_is_written_by_a_reader_that_waits() {
    let (mut peer, ws) = server_over(Timeouts::DEFAULT, 1 << 20, 10);
    let (mut reader, mut writer) = ws.split();
    let reading = tokio::spawn(async move { reader.read().await.map(drop) });
    sleep(secs(1)).await;
    assert!(timeout(AT_ONCE, writer.send(&[7; 100])).await.is_err());
    let start = Instant::now();
    peer.read_exact(&mut [0; 102]).await.unwrap();
    assert_eq!(start.elapsed(), secs(0));
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn a_half_that_closes_keeps_the_time_once_the_other_is_gone() {
    let (_peer, ws) = server_over(Timeouts { close: Some(secs(10)), ..NONE }, 1 << 20, 2);
    let (mut reader, mut writer) = ws.split();
    let reading = tokio::spawn(async move { reader.read().await.map(drop) });
    sleep(secs(1)).await;
    let start = Instant::now();
    let closing = tokio::spawn(async move { writer.start_close(CloseCode::NORMAL, "").await });
    sleep(secs(1)).await;
    reading.abort();
    assert!(matches!(closing.await.unwrap(), Err(Error::Io(_))));
    // The reader has seen the close begin a moment later than the writer, if at all.
    assert!((secs(10)..=secs(12)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_long_queue_is_not_silent() {
    let timeouts = Timeouts { ping: Some(secs(30)), pong: Some(secs(30)), ..NONE };
    let (mut peer, mut ws) = server_over(timeouts, 1 << 20, 1 << 16);
    assert!(timeout(AT_ONCE, ws.send(&vec![7; 10_000_000])).await.is_err());
    let taking = tokio::spawn(async move {
        let (mut buffer, mut taken) = (vec![0; 1 << 16], 0);
        while taken < 10_000_000 {
            sleep(secs(1)).await;
            taken += peer.read(&mut buffer).await.unwrap();
        }
        peer
    });
    let reading = tokio::spawn(async move { ws.read().await.map(drop) });
    let peer = taking.await.unwrap();
    assert!(!reading.is_finished());
    drop(peer);
    assert!(matches!(reading.await.unwrap(), Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_idle_while_a_long_message_is_taken() {
    let (mut peer, ws) = server_over(Timeouts { idle: Some(secs(10)), ..NONE }, 1 << 20, 1 << 16);
    let (mut reader, mut writer) = ws.split();
    let reading = tokio::spawn(async move { reader.read().await.map(drop) });
    let taking = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        let mut taken = 0;
        while taken < 1_000_000 {
            sleep(secs(3)).await;
            taken += peer.read(&mut buffer).await.unwrap();
        }
        peer
    });
    writer.send(&vec![7; 1_000_000]).await.unwrap();
    drop(taking.await.unwrap());
    reading.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_old_message_that_is_read_late_does_not_make_a_connection_idle() {
    let (mut peer, mut ws, hand) = server(Timeouts { idle: Some(secs(40)), ..NONE });
    peer.write_all(&masked(0x82, b"a").repeat(2)).await.unwrap();
    ws.read().await.unwrap().unwrap();
    sleep(secs(50)).await;
    ws.send("reply").await.unwrap();
    ws.read().await.unwrap().unwrap();
    assert!(timeout(secs(39), ws.read()).await.is_err());
    assert_eq!(hand.written(), b"\x81\x05reply");
    assert!(timeout(secs(2), ws.read()).await.is_err());
    assert_eq!(hand.written()[7..], *b"\x88\x06\x03\xe9idle");
}
