//! WebSockets over streams of HTTP/2: both sides are ours, over memory.

#[path = "../examples/h2_echo.rs"]
#[allow(dead_code, reason = "shared by tests and an example")]
mod example;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server;
use http::{Method, Request, Response};
use sansocket_h2::{
    Accept, AcceptError, AcceptOptions, ConnectError, ConnectOptions, H2Stream, WebSocket, accept, accept_with,
    connect, handshake, head,
};
use sansocket_tokio::rustls::ClientConfig;
use sansocket_tokio::sansocket::handshake::RequestError;
use sansocket_tokio::{CloseCode, Error, Kind, Message, OwnedMessage, TlsConnector, connect_tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, channel};

const URI: &str = "wss://example.com/chat";

/// A server that echoes, or closes if it is asked to, and tells how its connections have ended.
async fn serve(options: AcceptOptions<'static>) -> (SendRequest<Bytes>, Receiver<Result<(), Error>>) {
    let (near, far) = duplex(64 * 1024);
    let (ending, ended) = channel(128);
    tokio::spawn(async move {
        let mut builder = server::Builder::new();
        builder.enable_connect_protocol();
        let mut connection = builder.handshake(far).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            if let Ok(ws) = accept(&options, request, respond) {
                let ending = ending.clone();
                tokio::spawn(async move { ending.send(echo(ws).await).await });
            }
        }
    });
    (handshake(&ConnectOptions::new(), near).await.unwrap(), ended)
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocket<S>) -> Result<(), Error> {
    while let Some(message) = ws.read_owned().await? {
        if message == Message::Text("close").to_owned() {
            ws.close(CloseCode::new(4000), "as asked").await?;
        } else {
            ws.send(&message).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn rfc8441_5_messages_come_back_through_small_windows_and_the_client_closes() {
    let (mut client, mut ended) = serve(AcceptOptions::new()).await;
    let options = ConnectOptions::new().origin("https://example.com").protocols(&["a"]);
    let (mut ws, response) = connect(&options, URI, &mut client).await.unwrap();
    assert_eq!((response.status().as_u16(), ws.protocol()), (200, None));
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        for sent in [OwnedMessage::Text("x".repeat(size)), OwnedMessage::Binary(vec![7; size])] {
            ws.send(&sent).await.unwrap();
            assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
        }
    }
    ws.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert!(ws.ending().unwrap().is_clean());
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test]
async fn rfc8441_5_the_server_closes_with_end_stream() {
    let (mut client, mut ended) = serve(AcceptOptions::new()).await;
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    ws.send("close").await.unwrap();
    assert!(ws.read().await.unwrap().is_none());
    let close = ws.peer_close().unwrap();
    assert_eq!((close.code().map(CloseCode::get), close.reason()), (Some(4000), "as asked"));
    assert!(ws.ending().unwrap().is_clean());
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test]
async fn last_words_and_a_close_arrive_though_the_client_is_dropped_at_once() {
    let (mut client, mut ended) = serve(AcceptOptions::new()).await;
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    ws.send("last words").await.unwrap();
    ws.start_close(CloseCode::NORMAL, "").await.unwrap();
    drop((ws, client));
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_websocket_that_is_not_read_leaves_the_connection_to_others() {
    let (mut client, _ended) = serve(AcceptOptions::new()).await;
    let (mut unread, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    unread.send(&vec![7; 200_000]).await.unwrap();
    unread.stream_mut().read_exact(&mut [0; 10]).await.unwrap();
    for _ in 0..10 {
        let sent = OwnedMessage::Binary(vec![8; 50_000]);
        ws.send(&sent).await.unwrap();
        assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (near, mut far) = duplex(4096);
    let error = handshake(&ConnectOptions::new(), near).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut), "{error}");
    far.read_to_end(&mut Vec::new()).await.expect("the stream is closed");
}

#[tokio::test]
async fn rfc8441_5_a_client_masks_its_frames_over_http2_too() {
    let (near, far) = duplex(4096);
    tokio::spawn(async move {
        let (mut ws, _) =
            connect(&ConnectOptions::new(), URI, &mut handshake(&ConnectOptions::new(), near).await.unwrap())
                .await
                .unwrap();
        ws.send("hi").await.unwrap();
        ws.read().await.map(drop)
    });
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    let mut connection = builder.handshake(far).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    tokio::spawn(async move { connection.accept().await.map(drop) });
    let mut stream = H2Stream::accepted(respond.send_response(Response::new(()), false).unwrap(), request.into_body());
    let mut frame = [0; 8];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0x81, 0x82], "a masked text of two bytes");
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_agreed_on_if_both_want_it() {
    let config = sansocket_tokio::deflate::Config::DEFAULT;
    let (mut client, _ended) = serve(AcceptOptions::new().compression(config)).await;
    let (mut ws, _) = connect(&ConnectOptions::new().compression(config), URI, &mut client).await.unwrap();
    assert!(ws.negotiated().compression().is_some());
    let sent = OwnedMessage::Text("again and again ".repeat(10_000));
    ws.send(&sent).await.unwrap();
    assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
}

#[tokio::test]
async fn rfc8441_5_a_reset_in_mid_message_is_a_lost_connection() {
    let (mut client, mut ended) = serve(AcceptOptions::new()).await;
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    ws.send_part(Kind::Binary, &[7; 1000], false).await.unwrap();
    ws.stream_mut().reset();
    match ended.recv().await.unwrap() {
        Err(Error::Lost { ending, source: Some(source) }) => {
            assert!(!ending.is_clean());
            assert_eq!(source.kind(), std::io::ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
    // The connection has other streams.
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
    drop(ws);
    assert!(matches!(ended.recv().await.unwrap(), Err(Error::Lost { .. })), "a drop is no Close");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_of_one_connection_echo_at_once() {
    let (client, mut ended) = serve(AcceptOptions::new()).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..100_u8 {
        let mut client = client.clone();
        clients.spawn(async move {
            let (mut ws, _) = connect(&ConnectOptions::new(), URI, &mut client).await.unwrap();
            let sent = OwnedMessage::Binary(vec![number; 100_000]);
            for _ in 0..3 {
                ws.send(&sent).await.unwrap();
                assert_eq!(ws.read_owned().await.unwrap().as_ref(), Some(&sent));
            }
            ws.close(CloseCode::NORMAL, "").await.unwrap();
        });
    }
    for () in clients.join_all().await {
        ended.recv().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_bad_request_is_answered_with_status_and_text() {
    let (mut client, _ended) = serve(AcceptOptions::new()).await;
    for (protocol, version, origin, error) in [
        ("connect-udp", 13, None, RequestError::UnsupportedProtocol),
        ("websocket", 12, None, RequestError::UnsupportedVersion),
        ("websocket", 13, Some("https://evil.example"), RequestError::OriginNotAllowed),
    ] {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = "https://example.com/chat".parse().unwrap();
        request.headers_mut().insert("sec-websocket-version", version.into());
        request.headers_mut().extend(origin.map(|origin| (http::header::ORIGIN, origin.parse().unwrap())));
        request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
        let mut response = client.send_request(request, false).unwrap().0.await.unwrap();
        assert_eq!(response.status().as_u16(), error.status(), "{error}");
        assert_eq!(response.body_mut().data().await.unwrap().unwrap(), error.text());
    }
    let options = ConnectOptions::new().origin("https://evil.example");
    let error = connect(&options, URI, &mut client).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(response) if response.status().as_u16() == 403), "{error}");
}

#[tokio::test]
async fn the_server_chooses_after_a_look_at_the_request() {
    let (near, far) = duplex(4096);
    let serving = tokio::spawn(async move {
        let mut builder = server::Builder::new();
        builder.enable_connect_protocol();
        let mut connection = builder.handshake(far).await.unwrap();
        for chosen in ["b", "c"] {
            let (request, respond): (Request<_>, _) = connection.accept().await.unwrap().unwrap();
            assert_eq!(request.uri().path(), "/chat");
            let options = AcceptOptions::new();
            let offered = head(&request);
            let offered: Vec<_> = options.check(&offered).unwrap().protocols().collect();
            assert_eq!(offered, ["a", "b"]);
            let answer = Accept::new().protocol(chosen).headers(&[("set-cookie", "a=b")]);
            match accept_with(&options, request, respond, &answer) {
                Ok(ws) => drop(tokio::spawn(echo(ws))),
                Err(error) => assert!(matches!(error, AcceptError::Answer(_)) && chosen == "c", "{error}"),
            }
        }
        while connection.accept().await.is_some() {}
    });
    let mut client = handshake(&ConnectOptions::new(), near).await.unwrap();
    let options = ConnectOptions::new().protocols(&["a", "b"]);
    let (ws, response) = connect(&options, URI, &mut client).await.unwrap();
    assert_eq!((ws.protocol(), response.headers()["set-cookie"].as_bytes()), (Some("b"), &b"a=b"[..]));
    let error = connect(&options, URI, &mut client).await.unwrap_err();
    assert!(matches!(error, ConnectError::H2(_)), "{error}");
    drop((ws, client));
    serving.await.unwrap();
}

#[tokio::test]
async fn rfc8441_3_no_connect_is_sent_to_a_server_that_has_not_enabled_it() {
    let (near, far) = duplex(4096);
    tokio::spawn(async move {
        let mut connection: server::Connection<_, Bytes> = server::handshake(far).await.unwrap();
        connection.accept().await.map(drop)
    });
    let error = connect(&ConnectOptions::new(), URI, &mut handshake(&ConnectOptions::new(), near).await.unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unsupported), "{error}");
}

#[tokio::test]
async fn a_uri_that_is_none_for_http_is_an_error() {
    let (mut client, _ended) = serve(AcceptOptions::new()).await;
    let error = connect(&ConnectOptions::new(), "ws://ex%61mple.com/", &mut client).await.unwrap_err();
    assert!(matches!(error, ConnectError::Http(_)), "{error}");
}

#[tokio::test]
async fn the_example_echoes_over_tls_and_shows_its_page() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(example::serve(listener));
    let mut config = ClientConfig::clone(&TlsConnector::insecure().config());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let mut client = handshake(&ConnectOptions::new(), connect_tls(&config.into(), stream, "localhost").await.unwrap())
        .await
        .unwrap();
    let request = Request::get(format!("https://{address}/")).body(()).unwrap();
    let mut page = client.send_request(request, true).unwrap().0.await.unwrap();
    assert!(page.body_mut().data().await.unwrap().unwrap().starts_with(b"<!doctype html>"));
    let (mut ws, _) = connect(&ConnectOptions::new(), &format!("wss://{address}/"), &mut client).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
    ws.close(CloseCode::NORMAL, "").await.unwrap();
    serving.abort();
}
