//! A client of the crate h2 against a server of hyper's, over memory (RFC 8441).

#![cfg(feature = "http2")]

use std::convert::Infallible;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansocket_h2::{ConnectError, connect, h2, handshake};
use sansocket_hyper::sansocket_tokio::{CloseCode, OwnedMessage};
use sansocket_hyper::{AcceptOptions, ConnectOptions, accept};
use tokio::io::duplex;

const URI: &str = "wss://example.com/chat";

async fn serve() -> SendRequest<Bytes> {
    let (near, far) = duplex(64 * 1024);
    let service = service_fn(async |mut request: Request<Incoming>| {
        assert_eq!(request.version(), Version::HTTP_2);
        Ok::<_, Infallible>(match accept(&AcceptOptions::new().protocols(&["b"]), &mut request) {
            Ok((response, upgrading)) => {
                tokio::spawn(async {
                    let mut ws = upgrading.await.unwrap();
                    while let Some(message) = ws.read_owned().await.unwrap() {
                        ws.send(&message).await.unwrap();
                    }
                });
                response
            }
            Err(refusal) => refusal.response::<String>(),
        })
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(far), service));
    handshake(&ConnectOptions::new(), near).await.unwrap()
}

#[tokio::test]
async fn rfc8441_5_a_websocket_over_http2_echoes_and_closes() {
    let options = ConnectOptions::new().protocols(&["a", "b"]).origin("https://example.com");
    let (mut ws, response) = connect(&options, URI, &mut serve().await).await.unwrap();
    assert_eq!((response.status().as_u16(), ws.protocol()), (200, Some("b")));
    for size in [0, 125, 126, 65_536, 1 << 20] {
        let sent = OwnedMessage::Binary(vec![7; size]);
        ws.send(&sent).await.unwrap();
        assert_eq!(ws.read_owned().await.unwrap(), Some(sent));
    }
    ws.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(ws.ending().unwrap().is_clean());
}

#[tokio::test]
async fn a_connect_from_another_origin_is_refused() {
    let options = ConnectOptions::new().origin("https://evil.example");
    let error = connect(&options, URI, &mut serve().await).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(response) if response.status().as_u16() == 403), "{error}");
}

#[tokio::test]
async fn rfc9113_8_2_2_a_refusal_over_http2_has_no_header_of_http1() {
    let mut client = serve().await;
    for (method, protocol, status) in [
        (Method::GET, None, 405),
        (Method::CONNECT, Some("connect-udp"), 501),
        (Method::CONNECT, Some("websocket"), 426),
    ] {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = URI.replace("wss", "https").parse().unwrap();
        request.headers_mut().insert("sec-websocket-version", 12.into());
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(h2::ext::Protocol::from(protocol));
        }
        let response = client.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let headers = response.headers();
        assert!(!headers.contains_key("connection") && !headers.contains_key("upgrade"));
        assert_eq!(headers.get("allow").map(|allow| allow.as_bytes()), (status == 405).then_some(&b"CONNECT"[..]));
    }
}
