//! Clients against servers of axum's.

#[path = "../examples/axum_echo.rs"]
#[allow(dead_code, reason = "shared by tests and an example")]
mod example;

use axum::Router;
use axum::http::{Request, Response, StatusCode};
use axum::routing::any;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sansocket_axum::sansocket_tokio::sansocket::handshake::RequestError;
use sansocket_axum::sansocket_tokio::{
    CloseCode, ConnectOptions, Limits, Message, OriginPolicy, OwnedMessage, Timeouts,
};
use sansocket_axum::{WebSocket, WebSocketUpgrade};
use sansocket_hyper::hyper::body::Incoming;
use sansocket_hyper::hyper::client::conn::http1 as client;
use sansocket_hyper::hyper::server::conn::http1 as server;
use sansocket_hyper::{ConnectError, connect};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::channel;

const URI: &str = "ws://example.com/";

/// One client's end of a connection to the route.
fn serve(route: axum::routing::MethodRouter) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let service = TowerToHyperService::new(Router::new().route("/", route));
    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    near
}

async fn echo(mut ws: WebSocket) {
    while let Some(message) = ws.read_owned().await.unwrap() {
        ws.send(&message).await.unwrap();
    }
}

async fn get(stream: DuplexStream, headers: &[(&str, &str)]) -> Response<Incoming> {
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::get("/").header("host", "example.com");
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    sender.send_request(request.body(String::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_example_echoes_and_the_client_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(example::serve(listener));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut ws, _) = connect(&ConnectOptions::new(), &format!("ws://{address}/"), stream).await.unwrap();
    for size in [0, 125, 126, 65_536, 1 << 20] {
        let sent = OwnedMessage::Binary(vec![7; size]);
        ws.send(&sent).await.unwrap();
        assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
    }
    ws.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert!(ws.ending().unwrap().is_clean());
    serving.abort();
}

#[tokio::test]
async fn the_first_subprotocol_of_the_server_that_the_client_offers_is_chosen() {
    let route = any(async |ws: WebSocketUpgrade| {
        assert_eq!(ws.requested_protocols().collect::<Vec<_>>(), ["c", "b", "a"]);
        let ws = ws.protocols(["x", "a", "b"]);
        assert_eq!(ws.selected_protocol(), Some("a"));
        ws.on_upgrade(async |ws| assert_eq!(ws.protocol(), Some("a")))
    });
    let (ws, _) = connect(&ConnectOptions::new().protocols(&["c", "b", "a"]), URI, serve(route)).await.unwrap();
    assert_eq!(ws.protocol(), Some("a"));
}

#[tokio::test]
async fn an_ordinary_request_is_rejected_with_status_headers_and_text() {
    let response = get(serve(any(async |ws: WebSocketUpgrade| ws.on_upgrade(echo))), &[]).await;
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()["sec-websocket-version"], "13");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, RequestError::NotAnUpgrade.text());
}

#[tokio::test]
async fn rfc6455_10_2_pages_of_other_origins_are_let_in_only_if_it_is_said() {
    let options = ConnectOptions::new().origin("https://other.example");
    let by_default = any(async |ws: WebSocketUpgrade| ws.on_upgrade(echo));
    let error = connect(&options, URI, serve(by_default)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(response) if response.status() == StatusCode::FORBIDDEN), "{error}");

    let said =
        any(async |ws: WebSocketUpgrade| ws.origins(OriginPolicy::Only(&["https://other.example"])).on_upgrade(echo));
    let (mut ws, _) = connect(&options, URI, serve(said)).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("hi")));
}

#[tokio::test]
async fn settings_reach_the_connection() {
    let route = any(async |ws: WebSocketUpgrade| {
        let limits = Limits { message: 10, ..Limits::DEFAULT };
        let ws = ws.limits(limits).timeouts(Timeouts::NONE).read_buffer(100);
        ws.on_upgrade(async |mut ws| assert!(ws.read().await.is_err()))
    });
    let (mut ws, _) = connect(&ConnectOptions::new(), URI, serve(route)).await.unwrap();
    ws.send("eleven bytes").await.unwrap();
    assert!(ws.read().await.unwrap().is_none());
    assert_eq!(ws.peer_close().unwrap().code(), Some(CloseCode::MESSAGE_TOO_BIG));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_agreed_on_if_both_want_it() {
    let config = sansocket_axum::sansocket_tokio::deflate::Config::DEFAULT;
    let route = any(async move |ws: WebSocketUpgrade| ws.compression(config).on_upgrade(echo));
    let (mut ws, _) = connect(&ConnectOptions::new().compression(config), URI, serve(route)).await.unwrap();
    assert!(ws.negotiated().compression().is_some());
    let sent = OwnedMessage::Text("again and again ".repeat(10_000));
    ws.send(&sent).await.unwrap();
    assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
}

#[tokio::test]
async fn an_upgrade_that_fails_is_told() {
    let (near, far) = duplex(4096);
    let (failing, mut failed) = channel(1);
    let route = any(async move |ws: WebSocketUpgrade| {
        ws.on_failed_upgrade(move |error| failing.try_send(error).unwrap()).on_upgrade(echo)
    });
    let service = TowerToHyperService::new(Router::new().route("/", route));
    // Without upgrades.
    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(far), service));
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let _response = get(near, &headers).await;
    assert!(failed.recv().await.is_some());
}

#[cfg(feature = "http2")]
#[tokio::test]
async fn rfc8441_5_a_websocket_over_http2_echoes_and_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(example::serve(listener));
    let origin = format!("http://{address}");
    let options = ConnectOptions::new().origin(&origin);
    let stream = TcpStream::connect(address).await.unwrap();
    let mut client = sansocket_h2::handshake(&options, stream).await.unwrap();
    let (mut ws, response) = sansocket_h2::connect(&options, &format!("ws://{address}/"), &mut client).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let sent = OwnedMessage::Binary(vec![7; 1 << 20]);
    ws.send(&sent).await.unwrap();
    assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
    ws.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(ws.ending().unwrap().is_clean());
    serving.abort();
}
