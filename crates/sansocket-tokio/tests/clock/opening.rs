//! The opening handshake.

use std::io;

use sansocket_tokio::{Accept, AcceptError, AcceptOptions, ConnectError, ConnectOptions, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::wire::{End, wire};
use crate::{NONE, secs};

const TIMEOUTS: Timeouts = Timeouts { open: Some(secs(10)), ..NONE };

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Writes byte after byte, one a second; the last one so many milliseconds behind the start.
async fn drip(mut stream: End, bytes: &'static [u8], last_at: u64) -> End {
    let start = Instant::now();
    let (first, rest) = bytes.split_at(bytes.len() - 9);
    stream.write_all(first).await.unwrap();
    for byte in &rest[..8] {
        sleep(secs(1)).await;
        let _ = stream.write_all(&[*byte]).await;
    }
    tokio::time::sleep_until(start + std::time::Duration::from_millis(last_at)).await;
    let _ = stream.write_all(&rest[8..]).await;
    stream
}

#[tokio::test(start_paused = true)]
async fn a_request_that_drips_is_answered_with_408_at_the_limit_and_not_before() {
    let accept = AcceptOptions::new().timeouts(TIMEOUTS);
    let (client, stream) = wire(1000, 1000);
    let (accepted, _client) = tokio::join!(accept.accept_over(stream), drip(client, REQUEST, 9_999));
    accepted.unwrap();

    let (client, stream) = wire(1000, 1000);
    let start = Instant::now();
    let hand = stream.hand();
    let client = tokio::spawn(drip(client, REQUEST, 10_001));
    let refusing = tokio::spawn(async move { accept.accept_over(stream).await.map(drop) });
    let mut client = client.await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(hand.has_shut_down());
    drop(client);
    let error = refusing.await.unwrap().unwrap_err();
    assert!(matches!(error, AcceptError::Refused(error) if error.status() == 408), "{error:?}");
    assert_eq!(start.elapsed().as_millis(), 10_001);
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_at_the_limit() {
    let (stream, mut server) = wire(1000, 1000);
    let dripping = tokio::spawn(async move {
        server.write_all(b"HTTP/1.1 101 ").await.unwrap();
        while server.write_all(b"a").await.is_ok() {
            sleep(secs(1)).await;
        }
    });
    let start = Instant::now();
    let error = ConnectOptions::new().timeouts(TIMEOUTS).open(stream, "ws://localhost/").await.unwrap_err();
    assert!(matches!(&error, ConnectError::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error:?}");
    assert_eq!(start.elapsed(), secs(10));
    dripping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_given_up_and_what_the_decision_took_does_not_count() {
    let (mut client, stream) = wire(1000, 10);
    client.write_all(REQUEST).await.unwrap();
    let pending = AcceptOptions::new().timeouts(TIMEOUTS).receive_over(stream).await.unwrap();
    sleep(secs(60)).await;
    let start = Instant::now();
    let error = pending.accept(&Accept::new()).await.unwrap_err();
    assert!(matches!(&error, AcceptError::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error:?}");
    assert_eq!(start.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_goes_on_sending_is_not_waited_for_longer_than_the_end_takes() {
    let (mut client, stream) = wire(1000, 1000);
    let start = Instant::now();
    let flooding = tokio::spawn(async move {
        while client.write_all(b"rubbish\r\n\r\n").await.is_ok() {
            sleep(secs(1)).await;
        }
    });
    let accept = AcceptOptions::new().timeouts(Timeouts { end: Some(secs(5)), ..NONE });
    let error = accept.accept_over(stream).await.unwrap_err();
    assert!(matches!(error, AcceptError::Refused(error) if error.status() == 400), "{error:?}");
    assert_eq!(start.elapsed(), secs(5));
    flooding.await.unwrap();
}
