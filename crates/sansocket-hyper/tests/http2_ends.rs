//! How streams of HTTP/2 end, and how they fill up, under a server of hyper's (RFC 8441, section 5). The client is h2 without a WebSocket.

#![cfg(feature = "http2")]

use std::convert::Infallible;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use sansocket_h2::h2;
use sansocket_hyper::{AcceptOptions, CloseCode, Error, Message, TokioIo, Upgraded, WebSocket, accept};
use tokio::io::duplex;
use tokio::sync::mpsc::{Receiver, channel};

/// The window of the client's streams, in bytes.
const WINDOW: usize = 65_535;

/// A client's stream, its connection, and what the server has got behind it.
struct Peers {
    send: SendStream<Bytes>,
    receive: RecvStream,
    server: WebSocket<TokioIo<Upgraded>>,
    _client: SendRequest<Bytes>,
}

impl Peers {
    async fn new() -> Self {
        let (near, far) = duplex(4096);
        let (upgraded, mut upgrades): (_, Receiver<WebSocket<TokioIo<Upgraded>>>) = channel(1);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (response, upgrading) = accept::<_, String>(&AcceptOptions::new(), &mut request).unwrap();
            let upgraded = upgraded.clone();
            tokio::spawn(async move { upgraded.send(upgrading.await.unwrap()).await });
            async { Ok::<_, Infallible>(response) }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(builder.enable_connect_protocol().serve_connection(TokioIo::new(far), service));
        let (mut client, mut connection) = client::handshake(near).await.unwrap();
        let mut ping = connection.ping_pong().unwrap();
        tokio::spawn(connection);
        // The answer comes behind the settings, which allow the request.
        ping.ping(h2::Ping::opaque()).await.unwrap();
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = "https://example.com/chat".parse().unwrap();
        request.headers_mut().insert("sec-websocket-version", 13.into());
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let (response, send) = client.send_request(request, false).unwrap();
        let receive = response.await.unwrap().into_body();
        Self { send, receive, server: upgrades.recv().await.unwrap(), _client: client }
    }
}

fn assert_lost(result: Result<Option<Message<'_>>, Error>) {
    match result {
        Err(Error::Lost { ending, .. }) => assert!(!ending.is_clean()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rfc8441_5_a_reset_of_an_idle_stream_is_a_lost_connection() {
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR, Reason::STREAM_CLOSED] {
        let Peers { mut send, receive: _receive, mut server, _client } = Peers::new().await;
        send.send_reset(reason);
        assert_lost(server.read().await);
        assert!(server.send("more").await.is_err(), "{reason}");
    }
}

#[tokio::test]
async fn rfc8441_5_a_reset_in_mid_write_is_a_lost_connection_for_reader_and_writer() {
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let Peers { mut send, mut receive, server, _client } = Peers::new().await;
        let (mut reader, mut writer) = server.split();
        let writing = tokio::spawn(async move { writer.send(&vec![7; 1 << 20]).await });
        take(&mut receive, WINDOW).await;
        send.send_reset(reason);
        assert_lost(reader.read().await);
        assert!(writing.await.unwrap().is_err(), "{reason}");
    }
}

#[tokio::test]
async fn a_full_window_makes_the_writer_wait_and_not_the_reader() {
    let Peers { mut send, mut receive, server, _client } = Peers::new().await;
    let (mut reader, mut writer) = server.split();
    let writing = tokio::spawn(async move { writer.send(&vec![7; 1 << 20]).await });
    take(&mut receive, WINDOW).await;
    send.send_data(Bytes::from_static(b"\x81\x82\0\0\0\0hi"), false).unwrap();
    assert_eq!(reader.read().await.unwrap(), Some(Message::Text("hi")));
    assert!(!writing.is_finished());
    receive.flow_control().release_capacity(WINDOW).unwrap();
    let mut left = (1 << 20) - WINDOW;
    while left > 0 {
        let count = receive.data().await.unwrap().unwrap().len();
        receive.flow_control().release_capacity(count).unwrap();
        left = left.saturating_sub(count);
    }
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn rfc8441_5_a_server_closes_with_end_stream_behind_its_close() {
    let Peers { mut send, mut receive, mut server, _client } = Peers::new().await;
    let closing = tokio::spawn(async move { server.close(CloseCode::NORMAL, "").await });
    assert_eq!(receive.data().await.unwrap().unwrap(), &b"\x88\x02\x03\xe8"[..]);
    send.send_data(Bytes::from_static(b"\x88\x82\0\0\0\0\x03\xe8"), true).unwrap();
    closing.await.unwrap().unwrap();
    assert_eq!(rest(&mut receive).await, b"", "END_STREAM");
}

#[tokio::test]
async fn rfc8441_5_a_server_that_is_dropped_ends_its_stream_behind_what_it_has_sent() {
    let Peers { send: _send, mut receive, mut server, _client } = Peers::new().await;
    server.send("last words").await.unwrap();
    drop(server);
    assert_eq!(rest(&mut receive).await, b"\x81\x0alast words");
}

/// Receives so many bytes, and opens no window for more.
async fn take(receive: &mut RecvStream, count: usize) {
    let mut taken = 0;
    while taken < count {
        taken += receive.data().await.unwrap().unwrap().len();
    }
}

/// Receives what comes until the end of the stream, which is an orderly one.
async fn rest(receive: &mut RecvStream) -> Vec<u8> {
    let mut rest = Vec::new();
    while let Some(data) = receive.data().await {
        rest.extend_from_slice(&data.unwrap());
    }
    rest
}
