//! A client of hyper's against a server of hyper's, over memory.

#[path = "../examples/hyper_echo.rs"]
#[allow(dead_code, reason = "shared by tests and an example")]
mod example;

use std::convert::Infallible;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sansocket_hyper::sansocket_tokio::sansocket::handshake::{AnswerError, RequestError, ResponseError};
use sansocket_hyper::sansocket_tokio::{CloseCode, Message, OwnedMessage, Timeouts};
use sansocket_hyper::{
    Accept, AcceptOptions, ConnectError, ConnectOptions, OriginPolicy, Reason, Upgrading, accept, accept_with, connect,
    head,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

const URI: &str = "ws://example.com/chat?room=1";

/// A server that speaks to one client.
fn serve(options: AcceptOptions<'static>) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(options, request)) });
    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    near
}

fn answer(options: AcceptOptions<'_>, mut request: Request<Incoming>) -> Response<String> {
    match accept(&options, &mut request) {
        Ok((mut response, upgrading)) => {
            tokio::spawn(echo(upgrading));
            response.headers_mut().insert("set-cookie", HeaderValue::from_static("a=b"));
            response
        }
        Err(refusal) => refusal.response(),
    }
}

/// Echoes, or closes if it is asked to.
async fn echo(upgrading: Upgrading) {
    let mut ws = upgrading.await.unwrap();
    while let Some(message) = ws.read_owned().await.unwrap() {
        if message == Message::Text("close").to_owned() {
            ws.close(CloseCode::new(4000), "as asked").await.unwrap();
        } else {
            ws.send(&message).await.unwrap();
        }
    }
}

/// What hyper is asked to send: a good request, and some headers put in or taken away.
async fn request(stream: DuplexStream, method: Method, changes: &[(HeaderName, &'static str)]) -> Response<Incoming> {
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::new(String::new());
    *request.method_mut() = method;
    for (name, value) in [
        (header::HOST, "example.com"),
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "Upgrade"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    .iter()
    .chain(changes)
    {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        if value.is_empty() {
            request.headers_mut().remove(name);
        }
    }
    sender.send_request(request).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

#[tokio::test]
async fn messages_come_back_and_the_client_closes() {
    let (mut ws, response) = connect(&ConnectOptions::new(), URI, serve(AcceptOptions::new())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["set-cookie"], "a=b");
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        for sent in [OwnedMessage::Text("x".repeat(size)), OwnedMessage::Binary(vec![7; size])] {
            ws.send(&sent).await.unwrap();
            assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
        }
    }
    ws.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert_eq!(ws.peer_close().unwrap().code(), Some(CloseCode::NORMAL));
}

#[tokio::test]
async fn the_server_closes() {
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, serve(AcceptOptions::new())).await.unwrap();
    ws.send("close").await.unwrap();
    assert!(ws.read().await.unwrap().is_none());
    let close = ws.peer_close().unwrap();
    assert_eq!((close.code().map(CloseCode::get), close.reason()), (Some(4000), "as asked"));
    assert!(ws.ending().unwrap().is_clean());
}

#[tokio::test]
async fn the_first_subprotocol_of_the_client_that_the_server_speaks_is_chosen() {
    let server = serve(AcceptOptions::new().protocols(&["a", "b"]));
    let (ws, response) = connect(&ConnectOptions::new().protocols(&["c", "b", "a"]), URI, server).await.unwrap();
    assert_eq!(ws.protocol(), Some("b"));
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "b");
    let (ws, _) = connect(&ConnectOptions::new().protocols(&["c"]), URI, serve(AcceptOptions::new())).await.unwrap();
    assert_eq!(ws.protocol(), None);
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_agreed_on_if_both_want_it() {
    let config = sansocket_hyper::sansocket_tokio::deflate::Config::DEFAULT;
    let server = serve(AcceptOptions::new().compression(config));
    let (mut ws, _) = connect(&ConnectOptions::new().compression(config), URI, server).await.unwrap();
    assert!(ws.negotiated().compression().is_some());
    let sent = OwnedMessage::Text("again and again ".repeat(10_000));
    ws.send(&sent).await.unwrap();
    assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
    let (ws, _) = connect(&ConnectOptions::new().compression(config), URI, serve(AcceptOptions::new())).await.unwrap();
    assert!(ws.negotiated().compression().is_none());
}

#[tokio::test]
async fn bytes_right_behind_the_request_are_the_first_frames() {
    let mut stream = serve(AcceptOptions::new());
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(&[&head[..], b"\x81\x82\0\0\0\0hi"].concat()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\x81\x02hi") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "{}", String::from_utf8_lossy(&received));
    }
    assert!(received.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
}

#[tokio::test]
async fn bytes_right_behind_the_response_are_the_first_frames() {
    let (near, mut far) = duplex(4096);
    tokio::spawn(async move {
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            far.read_buf(&mut received).await.unwrap();
        }
        let received = String::from_utf8(received).unwrap();
        let pairs: Vec<_> = received.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
        let mut request = Request::get("/");
        for (name, value) in pairs {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let options = AcceptOptions::new();
        let (response, _) = options.agree(&options.check(&head(&request)).unwrap(), &Accept::new()).unwrap();
        let response: Response<()> = response;
        let mut answer = String::from("HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in response.headers() {
            answer += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        far.write_all(&[answer.as_bytes(), b"\r\n\x81\x02hi"].concat()).await.unwrap();
        far.read_buf(&mut Vec::new()).await.unwrap();
    });
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, near).await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
}

#[tokio::test]
async fn rfc6455_4_2_2_a_bad_request_is_refused_with_status_headers_and_text() {
    for (method, changes, error) in [
        (Method::GET, (header::UPGRADE, ""), RequestError::NotAnUpgrade),
        (Method::GET, (header::SEC_WEBSOCKET_VERSION, "12"), RequestError::UnsupportedVersion),
        (Method::GET, (header::SEC_WEBSOCKET_KEY, "short"), RequestError::InvalidKey),
        (Method::POST, (header::ACCEPT, "*/*"), RequestError::MethodNotAllowed),
        (Method::GET, (header::ORIGIN, "https://evil.example"), RequestError::OriginNotAllowed),
    ] {
        let response = request(serve(AcceptOptions::new()), method, &[changes]).await;
        assert_eq!(response.status(), error.status(), "{error}");
        // hyper joins what has the same name.
        let has = |name: &str, value| {
            let mut values = response
                .headers()
                .get_all(name)
                .iter()
                .flat_map(|joined| joined.as_bytes().split(|&byte| byte == b','));
            values.any(|other: &[u8]| other.trim_ascii() == str::as_bytes(value))
        };
        for (name, value) in [("connection", "close")].iter().chain(error.headers()) {
            assert!(has(name, value), "{error}: {name}");
        }
        assert_eq!(text(response).await, error.text());
    }
}

#[tokio::test]
async fn rfc6455_10_2_an_origin_is_let_in_by_the_policy() {
    let origin = [(header::ORIGIN, "https://other.example")];
    for policy in [OriginPolicy::Any, OriginPolicy::Only(&["https://other.example"])] {
        let response = request(serve(AcceptOptions::new().origins(policy)), Method::GET, &origin).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    }
}

#[tokio::test]
async fn a_refusal_reaches_the_client_with_its_body() {
    let options = ConnectOptions::new().origin("https://evil.example");
    match connect(&options, URI, serve(AcceptOptions::new())).await {
        Err(ConnectError::Refused(response)) => {
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert_eq!(text(*response).await, RequestError::OriginNotAllowed.text());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rfc6455_4_1_an_answer_to_another_request_fails_the_connection() {
    let (near, far) = duplex(4096);
    let service = service_fn(async |_: Request<Incoming>| {
        let response = Response::builder().status(101).header("upgrade", "websocket").header("connection", "upgrade");
        response.header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").body(String::new())
    });
    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    let error = connect(&ConnectOptions::new(), URI, near).await.unwrap_err();
    assert!(matches!(error, ConnectError::Response(ResponseError::Accept)), "{error}");
}

#[tokio::test]
async fn a_uri_that_is_none_for_hyper_is_an_error() {
    let uri = format!("ws://example.com/{}", "x".repeat(70_000));
    let error = connect(&ConnectOptions::new(), &uri, duplex(1).0).await.unwrap_err();
    assert!(matches!(error, ConnectError::Http(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (near, _far) = duplex(4096);
    let timeouts = Timeouts { open: Some(Duration::from_secs(3)), ..Timeouts::DEFAULT };
    let error = connect(&ConnectOptions::new().timeouts(timeouts), URI, near).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut), "{error}");
}

#[tokio::test]
async fn a_connection_served_without_upgrades_is_none() {
    let (near, far) = duplex(4096);
    let (failing, mut failed) = tokio::sync::mpsc::channel(1);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, upgrading) = accept::<_, String>(&AcceptOptions::new(), &mut request).unwrap();
        let failing = failing.clone();
        tokio::spawn(async move { failing.send(upgrading.await.map(drop)).await });
        async { Ok::<_, Infallible>(response) }
    });
    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(far), service));
    let _response = request(near, Method::GET, &[]).await;
    assert!(failed.recv().await.unwrap().is_err());
}

#[test]
fn a_request_that_cannot_be_upgraded_or_answered_as_asked_is_answered_with_500_and_stays_whole() {
    let mut request = Request::get("/")
        .header("host", "a")
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let options = AcceptOptions::new();
    let refusal = accept::<_, String>(&options, &mut request).unwrap_err();
    assert_eq!((refusal.reason(), refusal.response::<String>().status().as_u16()), (Reason::NotUpgradable, 500));
    let refusal = accept_with::<_, String>(&options, &mut request, &Accept::new().protocol("x")).unwrap_err();
    assert_eq!(refusal.reason(), Reason::Answer(AnswerError::ProtocolNotOffered));
    assert_eq!(options.check(&head(&request)).unwrap().protocols().count(), 0);
}

#[tokio::test]
async fn the_sender_of_a_connection_of_ones_own_will_do() {
    let (mut sender, connection): (SendRequest<String>, _) =
        client::handshake(TokioIo::new(serve(AcceptOptions::new()))).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let (mut ws, _) = sansocket_hyper::connect_over(&ConnectOptions::new(), URI, &mut sender).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
}

#[tokio::test]
async fn the_example_echoes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(example::serve(listener));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut ws, _) = connect(&ConnectOptions::new(), &format!("ws://{address}/"), stream).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
    ws.close(CloseCode::NORMAL, "").await.unwrap();
    serving.abort();
}
