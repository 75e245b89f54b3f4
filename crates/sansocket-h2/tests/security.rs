//! Flaws that other implementations of WebSocket have had, over HTTP/2. `docs/security.md` tells of them.

use std::time::Duration;

use bytes::Bytes;
use h2::{client, server};
use http::{Request, Response};
use sansocket_h2::H2Stream;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::time::timeout;

/// RUSTSEC-2026-0258 (h2): DATA frames of no bytes were queued without bound, since they take nothing of a window. The h2 that we ask for throws
/// them away, or ends a connection that is made of little else; a stream of ours gives what lies behind them, or that end.
#[tokio::test]
async fn rustsec_2026_0258_data_frames_of_no_bytes_are_no_data() {
    for (count, must_arrive) in [(100, true), (50_000, false)] {
        let (near, far) = duplex(4096);
        let serving = tokio::spawn(async move {
            let mut connection: server::Connection<DuplexStream, Bytes> = server::handshake(far).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            let send = respond.send_response(Response::new(()), false).unwrap();
            let mut stream = H2Stream::accepted(send, request.into_body());
            tokio::spawn(async move { while let Some(Ok(_)) = connection.accept().await {} });
            let mut received = Vec::new();
            let read = stream.read_to_end(&mut received).await;
            (read.is_ok(), received)
        });
        let (mut client, connection) = client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post("https://example.com/").body(()).unwrap();
        let (response, mut send) = client.send_request(request, false).unwrap();
        response.await.unwrap();
        for _ in 0..count {
            let _ = send.send_data(Bytes::new(), false);
        }
        let _ = send.send_data(Bytes::from_static(b"behind"), true);
        let (is_whole, received) = timeout(Duration::from_secs(20), serving).await.expect("an end").unwrap();
        assert_eq!(is_whole, must_arrive, "{count}");
        assert_eq!(received, if is_whole { &b"behind"[..] } else { b"" }, "{count}");
    }
}
