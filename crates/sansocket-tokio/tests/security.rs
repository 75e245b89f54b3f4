//! Flaws that other implementations of WebSocket have had, where tasks are what they need. `docs/security.md` tells of them; those that need no
//! transport are in the engine's tests.

#[path = "support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use futures_util::FutureExt;
use sansocket_tokio::{
    AcceptError, AcceptOptions, ConnectError, ConnectOptions, Error, Limits, Negotiated, OriginPolicy, ProtocolError,
    Reject, Timeouts, WebSocket,
};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::wire::{End, Hand, wire};

const NONE: Timeouts = Timeouts::NONE;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A peer's end, and a server behind its handshake over a stream that holds so many bytes each way; and a look at its end.
fn server(there: usize, back: usize, limits: Limits) -> (End, WebSocket<End>, Hand) {
    let (peer, stream) = wire(there, back);
    let hand = stream.hand();
    hand.stop_logging();
    peer.hand().stop_logging();
    let options = AcceptOptions::new().timeouts(NONE).limits(limits);
    (peer, options.upgraded(stream, Negotiated::default(), &[]), hand)
}

/// Writes as much of this as there is room for.
fn put(end: &mut End, bytes: &[u8]) -> usize {
    match Pin::new(end).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
        Poll::Ready(Ok(count)) => count,
        _ => 0,
    }
}

const SECRET: &[u8] = b"GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What comes of a request with this behind it, more than one read brings, and all that was answered.
async fn answer<T>(first: &str, behind: &[u8], serve: impl AsyncFnOnce(End) -> T) -> (T, String) {
    let (mut client, stream) = wire(1000, 1000);
    let hand = stream.hand();
    let request = async {
        client.write_all(&[first.as_bytes(), &behind.repeat(1000)].concat()).await?;
        client.shutdown().await
    };
    let (written, outcome) = tokio::join!(request, serve(stream));
    written.expect("it is read to its end");
    assert!(hand.has_shut_down());
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    (outcome, answer)
}

/// What a request is refused for, and all that was answered.
async fn refuse(first: &str) -> (AcceptError, String) {
    let options = AcceptOptions::new().timeouts(NONE);
    let (outcome, answer) = answer(first, SECRET, async |stream| options.accept_over(stream).await.map(drop)).await;
    (outcome.unwrap_err(), answer)
}

/// Nothing was answered but this, behind which the connection ends.
fn assert_is_all(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

/// kemal #767 and 0ang3el's websocket-smuggle: a refused request, behind which the next one was read.
#[tokio::test]
async fn kemal_767_websocket_smuggle_behind_a_refused_request_the_connection_ends() {
    let evil = REQUEST.replace("\r\n\r\n", "\r\nOrigin: http://evil.net\r\n\r\n");
    for (first, status) in [(REQUEST.replace(": 13", ": 777"), 426), (evil, 403), (REQUEST.replace("GET", "PUT"), 405)]
    {
        let (error, answer) = refuse(&first).await;
        assert!(matches!(error, AcceptError::Refused(error) if error.status() == status), "{error:?}");
        assert_is_all(&answer, status);
    }
}

/// The same where it is the application that refuses; and frames are read as little as requests.
#[tokio::test]
async fn kemal_767_behind_a_request_that_the_application_rejects_the_connection_ends() {
    for behind in [SECRET, b"\x81\x85\0\0\0\0hello"] {
        let (outcome, answer) = answer(REQUEST, behind, async |stream| {
            let pending = AcceptOptions::new().timeouts(NONE).receive_over(stream).await?;
            pending.reject(&Reject::new(403)).await
        })
        .await;
        outcome.unwrap();
        assert_is_all(&answer, 403);
    }
}

/// CVE-2019-13611 (python-engineio) and its like: who does not ask for something else lets in no page of another origin.
#[tokio::test]
async fn cve_2019_13611_pages_of_other_origins_are_not_let_in_by_default() {
    let with = |origin: &str| REQUEST.replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
    for foreign in ["null", "http://evil.net", "http://localhost:81", "http://localhost.evil.net", "http://a@localhost"]
    {
        let (error, _) = refuse(&with(foreign)).await;
        assert!(matches!(error, AcceptError::Refused(error) if error.status() == 403), "{foreign}: {error:?}");
    }
    for (origin, policy) in [("http://localhost", OriginPolicy::default()), ("null", OriginPolicy::Any)] {
        let (mut client, stream) = wire(10_000, 10_000);
        client.write_all(with(origin).as_bytes()).await.unwrap();
        AcceptOptions::new().origins(policy).accept_over(stream).await.unwrap();
    }
}

/// CVE-2026-1527 (undici): what a program gets from elsewhere became headers of a request.
#[tokio::test]
async fn cve_2026_1527_a_request_that_would_carry_more_headers_is_not_sent() {
    for byte in ["\r", "\n", "\0", "\r\nX: y"] {
        let evil = format!("a{byte}b");
        let header = [("X", &*evil)];
        let protocol = [&*evil];
        for (options, url) in [
            (ConnectOptions::new().headers(&header), "ws://localhost/".to_owned()),
            (ConnectOptions::new().protocols(&protocol), "ws://localhost/".to_owned()),
            (ConnectOptions::new().origin(&evil), "ws://localhost/".to_owned()),
            (ConnectOptions::new(), format!("ws://localhost/{evil}")),
            (ConnectOptions::new(), format!("ws://{evil}/")),
        ] {
            let (stream, _server) = wire(1000, 1000);
            let hand = stream.hand();
            let error = options.open(stream, &url).await.map(drop).unwrap_err();
            assert!(matches!(error, ConnectError::Request(_) | ConnectError::Uri(_)), "{error:?}");
            assert_eq!(hand.written(), b"", "nothing was sent");
        }
    }
}

/// CVE-2022-35922 (rust-websocket), gobwas/ws #223: memory for what a header announces.
#[test]
fn cve_2022_35922_an_announced_length_takes_no_memory() {
    let header = [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    for there in [0, 10, 100_000] {
        let (mut peer, mut server, _) = server(1 << 20, 1 << 20, Limits::UNLIMITED);
        assert_eq!(put(&mut peer, &[&header[..], &vec![1; there]].concat()), header.len() + there);
        let taken = measure(|| assert!(server.read().now_or_never().is_none(), "it goes on"));
        // A buffer to read into; what has come may have doubled and doubled again, and while memory grows, the old is there beside the new.
        assert!(taken.bytes_max < (20 << 10) + 5 * there.max(64 << 10) as u64, "{there}: {taken:?}");
    }
}

/// CVE-2026-48779 (ws), CVE-2014-0193 (Netty): fragments without end, empty ones too.
#[test]
fn cve_2026_48779_fragments_without_end_are_counted_and_take_no_memory() {
    let (mut peer, mut server, _) = server(2 << 20, 1000, Limits::DEFAULT);
    let fragments = b"\x00\x80\0\0\0\0".repeat(140_000);
    assert_eq!(put(&mut peer, &[&b"\x01\x80\0\0\0\0"[..], &fragments].concat()), 6 * 140_001);
    peer.hand().cut();
    let taken = measure(|| {
        // A task yields now and then.
        let error = (0..10_000).find_map(|_| server.read_owned().now_or_never()).expect("an end").unwrap_err();
        assert!(matches!(error, Error::Violation(ProtocolError::TooManyFragments)), "{error:?}");
    });
    assert!(taken.bytes_max < 24 << 10, "{taken:?}");
}

/// aiohttp #13743 and #13749: what came behind a violation was kept.
#[test]
fn aiohttp_13743_nothing_is_kept_of_what_comes_behind_a_violation() {
    const FLOOD: usize = 64 << 10;
    let (mut peer, mut server, hand) = server(FLOOD, 1000, Limits::DEFAULT);
    let flood = vec![0x89; FLOOD];
    // The wire, too, has its memory before anything is measured.
    let mut sent = put(&mut peer, b"\x83") + put(&mut peer, &flood);
    let taken = measure(|| {
        for at in 0..3 {
            // The peer fills what has become free whenever the server has to wait, for as long as that takes anything.
            let error = (0..1000).find_map(|_| {
                let read = server.read().now_or_never().map(|read| read.map(drop));
                sent += if read.is_none() { put(&mut peer, &flood) } else { 0 };
                read
            });
            let error = error.expect("an end").unwrap_err();
            assert!(matches!(error, Error::Violation(ProtocolError::ReservedOpcode)), "{at}: {error:?}");
        }
    });
    assert!(hand.has_shut_down());
    assert!((16 << 20..17 << 20).contains(&sent), "drained, and not without end: {sent}");
    assert!(taken.bytes_max < 24 << 10, "{taken:?}");
}

/// CVE-2017-2670 (Undertow): an end without a Close was read again and again.
#[test]
fn cve_2017_2670_the_end_of_the_stream_is_read_once() {
    for bytes in [&b""[..], b"\x81", b"\x81\x85\0\0\0\0he", b"\x01\x81\0\0\0\0h", b"\x89\x82\0\0\0\0p"] {
        let (mut peer, mut server, hand) = server(1000, 1000, Limits::DEFAULT);
        put(&mut peer, bytes);
        drop(peer);
        for at in 0..100 {
            let read = server.read().now_or_never().expect("nothing is to be waited for").map(drop);
            assert!(matches!(read, Err(Error::Lost { .. })), "{at}: {read:?}");
        }
        assert!(hand.calls().0 <= 1, "{:?}", hand.calls());
    }
}

/// CVE-2024-23672 (Tomcat): a peer that has sent its Close, and goes on living.
#[tokio::test(start_paused = true)]
async fn cve_2024_23672_a_peer_that_does_not_end_behind_its_close_is_left() {
    let (stream, mut server) = wire(1000, 1000);
    let timeouts = Timeouts { end: Some(Duration::from_secs(5)), ..NONE };
    let mut client = ConnectOptions::new().timeouts(timeouts).upgraded(stream, Negotiated::default(), &[]);
    let living = tokio::spawn(async move {
        server.write_all(b"\x88\x02\x03\xE8").await.unwrap();
        while server.write_all(b"\x89\x00").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let start = Instant::now();
    assert!(client.read().await.unwrap().is_none(), "the closing handshake was clean");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    drop(client);
    living.await.unwrap();
}

/// CVE-2020-35896 (ws-rs): what is queued for a peer that does not read.
#[test]
fn cve_2020_35896_what_is_queued_for_a_peer_that_does_not_read_is_bounded() {
    let (_peer, mut server, _) = server(1000, 0, Limits::DEFAULT);
    let message = vec![7; 16 << 10];
    let mut refused = 0;
    let taken = measure(|| refused = (0..10_000).filter(|_| server.try_queue(&message).is_err()).count());
    assert!((9990..10_000).contains(&refused), "{refused}");
    assert!(taken.bytes_max < 512 << 10, "{taken:?}");
}

/// CVE-2020-35896 again, and OkHttp's queue of pongs: pings of a peer that does not read.
#[test]
fn cve_2020_35896_a_flood_of_pings_is_left_unread() {
    const FLOOD: usize = 8 << 20;
    let (mut peer, mut server, _) = server(FLOOD, 0, Limits::DEFAULT);
    let pings = b"\x89\x80\0\0\0\0".repeat(FLOOD / 6);
    assert_eq!(put(&mut peer, &pings), pings.len());
    let taken = measure(|| (0..10_000).for_each(|_| assert!(server.read().now_or_never().is_none())));
    assert!(taken.bytes_max < 512 << 10, "{taken:?}");
    // What was read has made room: a buffer full, and as many pings as there may be replies, 64 KiB and half of a queue of that.
    let room = put(&mut peer, &pings);
    assert!(room <= 3 * (96 << 10) + (20 << 10), "{room}");
}

/// CVE-2021-42340 (Tomcat): each connection left something behind.
#[test]
fn cve_2021_42340_connections_leave_nothing_behind() {
    let frames = b"\x81\x85\0\0\0\0hello\x02\x81\0\0\0\0a\x80\x81\0\0\0\0b\x88\x80\0\0\0\0";
    let wire_bytes = [REQUEST.as_bytes(), frames].concat();
    let cycle = |at: usize| {
        let (mut peer, stream) = wire(1000, 1000);
        put(&mut peer, &wire_bytes[..wire_bytes.len() - at % frames.len()]);
        let mut server = AcceptOptions::new().timeouts(NONE).accept_over(stream).now_or_never().unwrap().unwrap();
        drop(peer);
        while let Some(Ok(Some(message))) = server.read_owned().now_or_never() {
            let _ = server.send(&message).now_or_never();
        }
    };
    // A thread keeps some memory for its next connections, and no more the longer it goes on.
    (0..100).for_each(cycle);
    let taken = measure(|| (0..5000).for_each(cycle));
    assert_eq!((taken.count_current, taken.bytes_current), (0, 0));
}
