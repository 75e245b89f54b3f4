//! The end: the peer's Close, and then its end of the stream. Nothing that it sends puts that off.

use std::io;
use std::time::Duration;

use sansocket_tokio::{CloseCode, ConnectOptions, EndedBy, Error, Negotiated, ProtocolError, Timeouts};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::wire::{End, wire};
use crate::{NONE, masked, secs, server};

const CLOSING: Timeouts = Timeouts { close: Some(secs(10)), ..NONE };
const ENDING: Timeouts = Timeouts { end: Some(secs(5)), ..NONE };

/// Sends this again and again, until it is not taken any more.
fn flood(mut peer: End, bytes: Vec<u8>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while peer.write_all(&bytes).await.is_ok() {
            sleep(Duration::from_millis(3)).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_not_answered_is_given_up_at_its_moment_whatever_the_peer_sends() {
    for bytes in [masked(0x82, b"x"), masked(0x89, b"x"), masked(0x00, b""), vec![0x82, 0xFF, 0, 0, 0, 0, 1, 0, 0, 0]] {
        for how in ["close", "read", "split"] {
            let (mut peer, mut ws, _) = server(CLOSING);
            let start = Instant::now();
            if bytes[0] == 0 {
                peer.write_all(&masked(0x02, b"")).await.unwrap();
            }
            let flooding = flood(peer, bytes.clone());
            let error = match how {
                "close" => ws.close(CloseCode::NORMAL, "").await.unwrap_err(),
                "read" => {
                    ws.start_close(CloseCode::NORMAL, "").await.unwrap();
                    loop {
                        if let Err(error) = ws.read().await {
                            break error;
                        }
                    }
                }
                _ => {
                    let (mut reader, mut writer) = ws.split();
                    let reading = tokio::spawn(async move {
                        loop {
                            if let Err(error) = reader.read().await {
                                break error;
                            }
                        }
                    });
                    writer.start_close(CloseCode::NORMAL, "").await.unwrap();
                    reading.await.unwrap()
                }
            };
            let Error::Lost { source, .. } = &error else { panic!("{error:?}") };
            assert_eq!(source.as_ref().unwrap().kind(), io::ErrorKind::TimedOut, "{how}");
            assert_eq!(start.elapsed(), secs(10), "{how}");
            flooding.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_nothing_keeps_the_time_of_the_writers_close() {
    let (_peer, ws, _) = server(CLOSING);
    let (mut reader, mut writer) = ws.split();
    let reading = tokio::spawn(async move { reader.read().await.map(drop) });
    sleep(secs(1000)).await;
    let start = Instant::now();
    writer.start_close(CloseCode::NORMAL, "").await.unwrap();
    assert!(matches!(reading.await.unwrap(), Err(Error::Lost { .. })));
    assert_eq!(start.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_violating_peer_that_does_not_end_is_left_at_its_moment_whatever_it_sends() {
    for goes_on in [false, true] {
        let (mut peer, mut ws, hand) = server(ENDING);
        peer.write_all(&masked(0x83, b"")).await.unwrap();
        let start = Instant::now();
        let (flooding, silent) =
            if goes_on { (Some(flood(peer, masked(0x82, b"x"))), None) } else { (None, Some(peer)) };
        let error = ws.read().await.unwrap_err();
        assert!(matches!(error, Error::Violation(ProtocolError::ReservedOpcode)), "{error:?}");
        assert_eq!(start.elapsed(), secs(5), "{goes_on}");
        assert!(hand.written()[0] == 0x88 && hand.has_shut_down());
        drop((flooding.map(|task| task.abort()), silent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_is_left_at_its_moment() {
    let (stream, mut server) = wire(1000, 1000);
    let mut client = ConnectOptions::new().timeouts(ENDING).upgraded(stream, Negotiated::default(), &[]);
    let start = Instant::now();
    server.write_all(b"\x88\x00").await.unwrap();
    assert!(client.read().await.unwrap().is_none());
    assert_eq!(client.ending().unwrap().by(), EndedBy::Peer);
    assert_eq!(start.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_peer_does_not_take_is_given_up_at_its_moment() {
    for how in ["close", "start_close", "sink"] {
        let (_peer, stream) = wire(100, 100);
        let options = sansocket_tokio::AcceptOptions::new().timeouts(CLOSING);
        let mut ws = options.upgraded(stream, Negotiated::default(), &[]);
        ws.queue(&[7; 1000]).await.unwrap();
        let start = Instant::now();
        match how {
            "close" => assert!(matches!(ws.close(CloseCode::NORMAL, "").await, Err(Error::Lost { .. }))),
            "start_close" => assert!(ws.start_close(CloseCode::NORMAL, "").await.is_err()),
            // A sink says no more than that it is closed.
            _ => drop(futures_util::SinkExt::close(&mut ws).await),
        }
        assert_eq!(start.elapsed(), secs(10), "{how}");
        assert!(matches!(ws.read().await, Err(Error::Lost { .. })), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_stuck_is_set_free_at_the_end() {
    for holds_back in [false, true] {
        let (mut peer, stream) = wire(100, if holds_back { 1 << 20 } else { 100 });
        // Either the stream takes nothing, or it takes all and writes nothing, as TLS may.
        stream.hand().manners().holds_back = holds_back;
        let options = sansocket_tokio::AcceptOptions::new().timeouts(ENDING);
        let (mut reader, mut writer) = options.upgraded(stream, Negotiated::default(), &[]).split();
        let start = Instant::now();
        let writing = tokio::spawn(async move { writer.send(&[7; 1000]).await });
        let reading = tokio::spawn(async move { reader.read().await.map(drop) });
        sleep(secs(1)).await;
        peer.write_all(&masked(0x83, b"")).await.unwrap();
        assert!(matches!(writing.await.unwrap(), Err(Error::Io(_))));
        assert!(matches!(reading.await.unwrap(), Err(Error::Violation(_))));
        assert_eq!(start.elapsed(), secs(1 + 5), "{holds_back}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_kept_behind_its_end_does_not_make_the_server_wait() {
    let (one, other) = wire(1000, 1000);
    let mut client = ConnectOptions::new().timeouts(NONE).upgraded(one, Negotiated::default(), &[]);
    let limits = sansocket_tokio::Limits { message: 3, ..sansocket_tokio::Limits::DEFAULT };
    let options = sansocket_tokio::AcceptOptions::new().timeouts(ENDING).limits(limits);
    let mut server = options.upgraded(other, Negotiated::default(), &[]);
    let start = Instant::now();
    client.send("long").await.unwrap();
    let (violated, ended) = tokio::join!(server.read(), client.read());
    assert!(matches!(violated, Err(Error::Violation(ProtocolError::MessageTooBig))), "{violated:?}");
    assert!(ended.unwrap().is_none());
    assert_eq!(start.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_peer_does_not_take_is_given_up_in_another_task_than_the_one_that_has_read() {
    let (_peer, stream) = wire(100, 100);
    let options = sansocket_tokio::AcceptOptions::new().timeouts(CLOSING);
    let mut ws = options.upgraded(stream, Negotiated::default(), &[]);
    assert!(tokio::time::timeout(secs(1), ws.read()).await.is_err());
    let start = Instant::now();
    let closing = tokio::spawn(async move {
        ws.queue(&[7; 1000]).await.unwrap();
        ws.start_close(CloseCode::NORMAL, "").await
    });
    let closed = tokio::time::timeout(secs(1000), closing).await.expect("nobody keeps the time");
    assert!(closed.unwrap().is_err());
    assert_eq!(start.elapsed(), secs(10));
}
