//! Opening handshakes on real sockets.

use sansocket_tokio::sansocket::handshake::{ClientRequest, Upgrade, UpgradeOffer, Uri};
use sansocket_tokio::{
    Accept, AcceptError, AcceptOptions, ConnectError, ConnectOptions, Error, Limits, Message, Negotiated, OriginPolicy,
    ProtocolError, Reject, connect,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::common::{echo, masked, open_to_all, pair_with, read_head, read_to_end, request, sockets};

/// What a server with default options answers to `bytes`, and its error.
async fn answer(bytes: &[u8], is_shut_down: bool) -> (String, AcceptError) {
    let (mut client, server) = sockets().await;
    let server = tokio::spawn(async { AcceptOptions::new().accept(server).await.unwrap_err() });
    // A server that has refused may close before it was sent everything.
    let _ = client.write_all(bytes).await;
    if is_shut_down {
        client.shutdown().await.unwrap();
    }
    let answer = String::from_utf8(read_to_end(&mut client).await).unwrap();
    drop(client);
    (answer, server.await.unwrap())
}

#[tokio::test]
async fn rfc6455_4_2_1_bad_requests_get_their_status_and_the_end() {
    let good = String::from_utf8(request(&[])).unwrap();
    let huge = request(&[&format!("X: {}", "x".repeat(1 << 20))]);
    let many: Vec<String> = (0..2000).map(|i| format!("X{i}: y")).collect();
    let many = request(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let short_key = good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j");
    for (name, bytes, is_shut_down, status) in [
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), false, 400),
        ("words", b"hello world\r\n".to_vec(), false, 400),
        ("half a head", good.as_bytes()[..40].to_vec(), true, 400),
        ("a head of 1 MiB", huge, false, 431),
        ("2,000 headers", many, false, 431),
        ("a POST", good.replace("GET", "POST").into_bytes(), false, 405),
        ("version 8", good.replace("Version: 13", "Version: 8").into_bytes(), false, 426),
        ("a key of 15 bytes", short_key.into_bytes(), false, 400),
        ("two keys", request(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), false, 400),
        ("a page from elsewhere", request(&["Origin: http://evil.example"]), false, 403),
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), false, 426),
        ("frames behind a refusal", [good.replace("GET", "PUT").as_bytes(), b"\x81\x80\0\0\0\0"].concat(), false, 405),
    ] {
        let (answer, error) = answer(&bytes, is_shut_down).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{name}: {answer}");
        assert!(matches!(error, AcceptError::Refused(error) if error.status() == status), "{name}: {error:?}");
    }
    let (answer, error) = answer(b"", true).await;
    assert!(answer.is_empty() && matches!(error, AcceptError::Io(_)), "who says nothing gets no answer: {error:?}");
}

#[tokio::test]
async fn the_request_can_be_looked_at_and_the_answer_chosen() {
    let (client, server) = sockets().await;
    let server = tokio::spawn(async {
        let pending = open_to_all().receive(server).await.unwrap();
        assert_eq!(pending.request().target(), "/chat?room=1");
        assert_eq!(pending.request().header("x-user"), Some(&b"me"[..]));
        assert_eq!(pending.request().protocols().collect::<Vec<_>>(), ["v2", "v1"]);
        let accept = Accept::new().protocol("v1").headers(&[("Set-Cookie", "a=b")]);
        let mut ws = pending.accept(&accept).await.unwrap();
        ws.send("welcome").await.unwrap();
        assert_eq!(ws.protocol(), Some("v1"));
        assert!(ws.read().await.unwrap().is_none());
    });
    let options = ConnectOptions::new().protocols(&["v2", "v1"]).headers(&[("X-User", "me")]);
    let mut ws = options.origin("https://a.example").open(client, "ws://localhost/chat?room=1").await.unwrap();
    assert_eq!((ws.protocol(), ws.response().unwrap().status()), (Some("v1"), 101));
    assert_eq!(ws.response().unwrap().header("set-cookie"), Some(&b"a=b"[..]));
    assert_eq!(ws.read().await.unwrap(), Some(Message::Text("welcome")));
    ws.close(None, "").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_chooses_the_first_of_its_subprotocols_that_the_client_offers() {
    let connect = ConnectOptions::new().protocols(&["v3", "v2", "v1"]);
    let (client, server) = pair_with(connect, open_to_all().protocols(&["v1", "v2"])).await;
    assert_eq!((client.protocol(), server.protocol()), (Some("v2"), Some("v2")));
}

#[tokio::test]
async fn a_rejection_reaches_the_client_with_status_headers_and_body() {
    let (client, server) = sockets().await;
    let server = tokio::spawn(async {
        let pending = open_to_all().receive(server).await.unwrap();
        let headers = [("WWW-Authenticate", "Basic realm=\"x\"")];
        pending.reject(&Reject::new(401).headers(&headers).body(b"who are you?")).await.unwrap();
    });
    let error = ConnectOptions::new().open(client, "ws://localhost/").await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused: 401 Unauthorized: who are you?");
    let ConnectError::Refused { response, body } = error else { panic!("{error:?}") };
    assert_eq!((response.status(), &body[..]), (401, &b"who are you?"[..]));
    assert_eq!(response.header("www-authenticate"), Some(&b"Basic realm=\"x\""[..]));
    server.await.unwrap();
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    let long = ["HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\n\r\n", &"x".repeat(100_000)].concat();
    for (bytes, message) in [
        ("SSH-2.0-OpenSSH\r\n", "the response is not well-formed HTTP/1.1 (RFC 6455, section 4.1)".to_owned()),
        (
            "HTTP/1.1 101 \r\n\r\n",
            "the response's Upgrade header is missing or not websocket (RFC 6455, section 4.1)".to_owned(),
        ),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "the server refused: 302 Found".to_owned()),
        ("HTTP/1.1 1", "the opening handshake broke off: the stream ended inside the opening handshake".to_owned()),
        // Of a body, 4 KiB are kept.
        (&long, format!("the server refused: 500 Oh: {}", "x".repeat(4096))),
    ] {
        let (client, mut server) = sockets().await;
        let serving = async {
            read_head(&mut server).await;
            let _ = server.write_all(bytes.as_bytes()).await;
            let _ = server.shutdown().await;
        };
        let options = ConnectOptions::new();
        let (opened, ()) = tokio::join!(options.open(client, "ws://localhost/"), serving);
        assert_eq!(opened.unwrap_err().to_string(), message);
    }
}

#[tokio::test]
async fn connect_tells_what_went_wrong() {
    // A port that was free a moment ago refuses.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = connect(&format!("ws://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");
    assert!(matches!(connect("http://127.0.0.1/").await, Err(ConnectError::Uri(_))));
    #[cfg(not(feature = "tls"))]
    assert!(matches!(connect("wss://127.0.0.1/").await, Err(ConnectError::TlsUnsupported)));
}

#[tokio::test]
async fn rfc8305_a_name_of_two_families_is_connected_to_by_the_one_that_answers() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        // Where a machine has only one of them, there is nothing to be shown.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = listener.local_addr().unwrap().port();
        let mut names = tokio::net::lookup_host(("localhost", port)).await.unwrap();
        if !names.any(|name| name == listener.local_addr().unwrap()) {
            continue;
        }
        let accepted = async { open_to_all().accept(listener.accept().await.unwrap().0).await };
        let url = format!("ws://localhost:{port}/");
        let (client, server) = tokio::join!(connect(&url), accepted);
        server.unwrap();
        assert_eq!(client.unwrap().stream().tcp().peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}

#[tokio::test]
async fn origins_are_let_in_by_the_policy() {
    for (policy, status) in
        [(OriginPolicy::default(), 101), (OriginPolicy::Only(&["https://example.com"]), 403), (OriginPolicy::Any, 101)]
    {
        let (mut client, server) = sockets().await;
        let accepting = tokio::spawn(async move { AcceptOptions::new().origins(policy).accept(server).await.is_ok() });
        client.write_all(&request(&["Origin: http://localhost"])).await.unwrap();
        assert!(read_head(&mut client).await.starts_with(&format!("HTTP/1.1 {status} ")));
        drop(client);
        assert_eq!(accepting.await.unwrap(), status == 101);
    }
}

#[tokio::test]
async fn a_connection_may_be_upgraded_by_somebody_else_who_has_read_too_much() {
    let (client, server) = sockets().await;
    let uri = Uri::parse("ws://localhost/").unwrap();
    let offer = UpgradeOffer::new(&ClientRequest::new(&uri), [7; 16]).unwrap();
    let headers: Vec<(&str, &[u8])> = offer.headers().map(|(name, value)| (name, value.as_bytes())).collect();
    let upgrade = Upgrade::check("GET", headers.iter().copied(), OriginPolicy::default()).unwrap();
    let (response, server_negotiated) = upgrade.accept(&Accept::new()).unwrap();
    let headers: Vec<(&str, &[u8])> = response.headers().map(|(name, value)| (name, value.as_bytes())).collect();
    let (client_negotiated, _) = offer.check(response.status(), headers.iter().copied()).unwrap();

    // The first two bytes of a frame.
    let mut client = ConnectOptions::new().upgraded(client, client_negotiated, b"\x81\x05");
    let mut server = AcceptOptions::new().upgraded(server, server_negotiated, b"\x81\x85");
    client.stream_mut().write_all(b"\0\0\0\0hello").await.unwrap();
    server.stream_mut().write_all(b"there").await.unwrap();
    assert_eq!(server.read().await.unwrap(), Some(Message::Text("hello")));
    assert_eq!(client.read().await.unwrap(), Some(Message::Text("there")));
    assert_eq!((client.protocol(), client.response().is_none()), (None, true));
    let server = echo(server);
    client.close(None, "").await.unwrap();
    server.await.unwrap().0.unwrap();
}

#[tokio::test]
async fn the_first_frames_may_come_along_with_the_request_and_be_longer_than_the_buffer() {
    let (mut client, server) = sockets().await;
    let options = open_to_all().read_buffer(1).limits(Limits { message: 3, ..Limits::DEFAULT });
    client.write_all(&[&request(&[])[..], &masked(0x81, b"abc"), &masked(0x81, b"abcd")].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut server = options.accept(server).await.unwrap();
    assert_eq!(server.read().await.unwrap(), Some(Message::Text("abc")));
    assert!(matches!(server.read().await, Err(Error::Violation(ProtocolError::MessageTooBig))));

    let (_client, server) = sockets().await;
    let mut server = options.upgraded(server, Negotiated::default(), &masked(0x81, b"abc"));
    assert_eq!(server.read().await.unwrap(), Some(Message::Text("abc")));
}
