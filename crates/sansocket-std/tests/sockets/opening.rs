//! Opening handshakes on real sockets.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sansocket::handshake::{ClientRequest, RequestProgress, ServerHandshake, Upgrade, UpgradeOffer, Uri};

use crate::common::{open_to_all, read_head, read_to_end, request, sockets};
use sansocket_std::{
    Accept, AcceptError, AcceptOptions, ConnectError, ConnectOptions, Error, Limits, Message, Negotiated, OriginPolicy,
    ProtocolError, Reject, Stream, Timeouts, WebSocket, connect,
};

/// What a server with default options answers to `bytes`, and its error.
fn answer(bytes: &[u8], shut_down: bool) -> (String, AcceptError) {
    let (mut client, server) = sockets();
    let server = thread::spawn(move || AcceptOptions::new().accept(server).unwrap_err());
    // A server that has refused may close before it was sent everything.
    let _ = client.write_all(bytes);
    if shut_down {
        client.shutdown(Shutdown::Write).unwrap();
    }
    let answer = String::from_utf8(read_to_end(&mut client)).unwrap();
    drop(client);
    (answer, server.join().unwrap())
}

#[test]
fn rfc6455_4_2_1_bad_requests_get_their_status_and_the_end() {
    let good = String::from_utf8(request(&[])).unwrap();
    let huge = request(&[&format!("X: {}", "x".repeat(1 << 20))]);
    let many: Vec<String> = (0..2000).map(|i| format!("X{i}: y")).collect();
    let many = request(&many.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, bytes, shut_down, status) in [
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), false, 400),
        ("words", b"hello world\r\n".to_vec(), false, 400),
        ("half a head", good.as_bytes()[..40].to_vec(), true, 400),
        ("a head of 1 MiB", huge, false, 431),
        ("2,000 headers", many, false, 431),
        ("a POST", good.replace("GET", "POST").into_bytes(), false, 405),
        ("version 8", good.replace("Version: 13", "Version: 8").into_bytes(), false, 426),
        (
            "a key of 15 bytes",
            good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j").into_bytes(),
            false,
            400,
        ),
        ("two keys", request(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), false, 400),
        ("a page from elsewhere", request(&["Origin: http://evil.example"]), false, 403),
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), false, 426),
        ("frames behind a refusal", [good.replace("GET", "PUT").as_bytes(), b"\x81\x80\0\0\0\0"].concat(), false, 405),
    ] {
        let (answer, error) = answer(&bytes, shut_down);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{name}: {answer}");
        match error {
            AcceptError::Refused(error) => assert_eq!(error.status(), status, "{name}"),
            error => panic!("{name}: {error:?}"),
        }
    }
}

#[test]
fn a_client_that_says_nothing_is_an_error_and_no_answer() {
    let (answer, error) = answer(b"", true);
    assert_eq!(answer, "");
    assert!(matches!(error, AcceptError::Io(_)), "{error:?}");
}

#[test]
fn the_request_can_be_looked_at_and_the_answer_chosen() {
    let (client, server) = sockets();
    let server = thread::spawn(move || {
        let pending = open_to_all().receive(server).unwrap();
        assert_eq!(pending.request().target(), "/chat?room=1");
        assert_eq!(pending.request().header("x-user"), Some(&b"me"[..]));
        assert_eq!(pending.request().protocols().collect::<Vec<_>>(), ["v2", "v1"]);
        let mut ws = pending.accept(&Accept::new().protocol("v1").headers(&[("Set-Cookie", "a=b")])).unwrap();
        ws.send("welcome").unwrap();
        assert_eq!(ws.protocol(), Some("v1"));
        ws.read().unwrap();
    });
    let options =
        ConnectOptions::new().protocols(&["v2", "v1"]).headers(&[("X-User", "me")]).origin("https://a.example");
    let mut ws = options.open(client, "ws://localhost/chat?room=1").unwrap();
    assert_eq!(ws.protocol(), Some("v1"));
    assert_eq!(ws.response().unwrap().status(), 101);
    assert_eq!(ws.response().unwrap().header("set-cookie"), Some(&b"a=b"[..]));
    assert_eq!(ws.read().unwrap(), Some(Message::Text("welcome")));
    ws.close(None, "").unwrap();
    server.join().unwrap();
}

#[test]
fn a_server_chooses_the_first_of_its_subprotocols_that_the_client_offers() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().protocols(&["v1", "v2"]).accept(server).unwrap());
    let client = ConnectOptions::new().protocols(&["v3", "v2", "v1"]).open(client, "ws://localhost/").unwrap();
    assert_eq!(client.protocol(), Some("v2"));
    assert_eq!(server.join().unwrap().protocol(), Some("v2"));
}

#[test]
fn a_rejection_reaches_the_client_with_status_headers_and_body() {
    let (client, server) = sockets();
    let server = thread::spawn(move || {
        let pending = open_to_all().receive(server).unwrap();
        let headers = [("WWW-Authenticate", "Basic realm=\"x\"")];
        pending.reject(&Reject::new(401).headers(&headers).body(b"who are you?")).unwrap();
    });
    let error = ConnectOptions::new().open(client, "ws://localhost/").unwrap_err();
    assert_eq!(error.to_string(), "the server refused: 401 Unauthorized: who are you?");
    let ConnectError::Refused { response, body } = error else { panic!("{error:?}") };
    assert_eq!((response.status(), &body[..]), (401, &b"who are you?"[..]));
    assert_eq!(response.header("www-authenticate"), Some(&b"Basic realm=\"x\""[..]));
    server.join().unwrap();
}

#[test]
fn connect_tells_what_went_wrong() {
    // A port that was free a moment ago refuses.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");

    assert!(matches!(connect("http://127.0.0.1/"), Err(ConnectError::Uri(_))));
    #[cfg(not(feature = "tls"))]
    assert!(matches!(connect("wss://127.0.0.1/"), Err(ConnectError::TlsUnsupported)));
}

#[test]
fn answers_that_are_none_are_told_apart() {
    for (bytes, message) in [
        (&b"SSH-2.0-OpenSSH\r\n"[..], "the response is not well-formed HTTP/1.1 (RFC 6455, section 4.1)"),
        (b"HTTP/1.1 101 \r\n\r\n", "the response's Upgrade header is missing or not websocket (RFC 6455, section 4.1)"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "the server refused: 302 Found"),
        (b"HTTP/1.1 1", "the opening handshake broke off: the stream ended inside the opening handshake"),
    ] {
        let (client, mut server) = sockets();
        let server = thread::spawn(move || {
            read_head(&mut server);
            server.write_all(bytes).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            server
        });
        let error = ConnectOptions::new().open(client, "ws://localhost/").unwrap_err();
        assert_eq!(error.to_string(), message);
        drop(server.join().unwrap());
    }
}

#[test]
fn the_same_origin_is_let_in() {
    let (mut client, server) = sockets();
    let server = thread::spawn(move || AcceptOptions::new().accept(server).map(drop));
    client.write_all(&request(&["Origin: http://localhost"])).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    server.join().unwrap().unwrap();

    let (mut client, server) = sockets();
    let only = AcceptOptions::new().origins(OriginPolicy::Only(&["https://example.com"]));
    let server = thread::spawn(move || only.accept(server).map(drop));
    client.write_all(&request(&["Origin: http://localhost"])).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 403 "));
    drop(client);
    server.join().unwrap().unwrap_err();
}

/// Opens a connection to a server of bare bytes, which answers with a good response and `behind` it in the same write: the key that the client has sent, and both ends.
fn open_bare(behind: &[u8]) -> (String, WebSocket<TcpStream>, TcpStream) {
    let (client, mut server) = sockets();
    let behind = behind.to_vec();
    let server = thread::spawn(move || {
        let head = read_head(&mut server);
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        // The engine makes the accept value of the key, as a server's.
        let mut answer = Vec::new();
        let mut handshake = ServerHandshake::new();
        let RequestProgress::Request(request) = handshake.receive(head.as_bytes(), &mut answer) else {
            panic!("{head}")
        };
        request.accept(&Accept::new(), &mut answer).unwrap();
        answer.extend(behind);
        server.write_all(&answer).unwrap();
        (key.to_owned(), server)
    });
    let client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    let (key, server) = server.join().unwrap();
    (key, client, server)
}

#[test]
fn rfc6455_4_1_each_connection_has_a_key_of_its_own() {
    let keys: HashSet<String> = (0..8).map(|_| open_bare(b"").0).collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
}

#[test]
fn rfc6455_4_1_the_first_frames_may_come_along_with_the_response() {
    let (_, mut client, _server) = open_bare(b"\x81\x05early");
    assert_eq!(client.read().unwrap(), Some(Message::Text("early")));
}

#[test]
fn rfc6455_4_1_nothing_is_sent_behind_the_request_before_the_response_has_come() {
    let (client, mut server) = sockets();
    let timeouts = Timeouts { open: Some(Duration::from_millis(500)), ..Timeouts::NONE };
    ConnectOptions::new().timeouts(timeouts).open(client, "ws://localhost/").unwrap_err();
    read_head(&mut server);
    assert_eq!(read_to_end(&mut server), b"");
}

/// A stream that has received something, and takes nothing until its time limit for writes strikes, which it does at once.
#[derive(Debug)]
struct Full<'r> {
    received: &'r [u8],
    limit: Option<Duration>,
    /// The limits with which it was written to.
    writes: Vec<Duration>,
}

impl<'r> Full<'r> {
    fn new(received: &'r [u8]) -> Self {
        Self { received, limit: None, writes: Vec::new() }
    }
}

impl Read for Full<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.received.read(buffer)
    }
}

impl Write for Full<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.writes.push(self.limit.expect("a write without a limit would last for ever"));
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for &mut Full<'_> {
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.limit = timeout;
        Ok(())
    }

    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.limit)
    }
}

#[test]
fn a_request_or_an_answer_that_cannot_be_written_is_given_up() {
    const OPEN: Duration = Duration::from_secs(600);
    let timeouts = Timeouts { open: Some(OPEN), ..Timeouts::NONE };
    let is_bounded = |stream: &Full<'_>| stream.writes.len() == 1 && stream.writes[0] <= OPEN;

    let mut stream = Full::new(b"");
    let error = ConnectOptions::new().timeouts(timeouts).open(&mut stream, "ws://localhost/").unwrap_err();
    assert!(matches!(&error, ConnectError::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error:?}");
    assert!(is_bounded(&stream), "{:?}", stream.writes);

    let request = request(&[]);
    let options = AcceptOptions::new().timeouts(timeouts);
    for looked_at in [false, true] {
        let mut stream = Full::new(&request);
        let opened = if looked_at {
            options.receive(&mut stream).unwrap().accept(&Accept::new())
        } else {
            options.accept(&mut stream)
        };
        let error = opened.unwrap_err();
        assert!(matches!(&error, AcceptError::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error:?}");
        assert!(is_bounded(&stream), "{:?}", stream.writes);
    }
}

#[test]
fn the_handshakes_limit_is_not_that_of_the_messages() {
    const OPEN: Option<Duration> = Some(Duration::from_millis(500));
    let (client, server) = sockets();
    server.set_write_timeout(None).unwrap();
    let options = open_to_all().timeouts(Timeouts { open: OPEN, ..Timeouts::NONE });
    let server = thread::spawn(move || {
        let mut server = options.accept(server).unwrap();
        // Nothing is read before the limit has struck.
        let socket = server.stream().try_clone().unwrap();
        let sending = thread::spawn(move || server.send(&vec![7; 32 << 20]));
        while socket.write_timeout().unwrap().is_some() && !sending.is_finished() {
            thread::yield_now();
        }
        sending
    });
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    let sending = server.join().unwrap();
    assert!(client.read().unwrap() == Some(Message::Binary(&vec![7; 32 << 20])));
    sending.join().unwrap().unwrap();
}

#[test]
fn a_connection_may_be_upgraded_by_somebody_else() {
    let (client, server) = sockets();
    // As an HTTP server and an HTTP client would do it.
    let uri = Uri::parse("ws://localhost/").unwrap();
    let offer = UpgradeOffer::new(&ClientRequest::new(&uri), rand::random()).unwrap();
    let headers: Vec<(&str, &[u8])> = offer.headers().map(|(name, value)| (name, value.as_bytes())).collect();
    let upgrade = Upgrade::check("GET", headers.iter().copied(), OriginPolicy::default()).unwrap();
    let (response, server_negotiated) = upgrade.accept(&Accept::new()).unwrap();
    let headers: Vec<(&str, &[u8])> = response.headers().map(|(name, value)| (name, value.as_bytes())).collect();
    let (client_negotiated, _) = offer.check(response.status(), headers.iter().copied()).unwrap();

    // Both have read a little too much: the first two bytes of a frame.
    let mut client = ConnectOptions::new().upgraded(client, client_negotiated, b"\x81\x05").unwrap();
    let mut server = AcceptOptions::new().upgraded(server, server_negotiated, b"\x81\x85").unwrap();
    client.stream_mut().write_all(b"\0\0\0\0hello").unwrap();
    server.stream_mut().write_all(b"there").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("hello")));
    assert_eq!(client.read().unwrap(), Some(Message::Text("there")));

    // From here on it is a connection like any other: each knows its role.
    client.send("masked").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("masked")));
    server.send("not masked").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("not masked")));
    assert_eq!((client.protocol(), client.response().is_none()), (None, true));
    let server = crate::common::echo(server);
    client.close(None, "").unwrap();
    server.join().unwrap().0.unwrap();
}

#[test]
fn the_options_hold_for_a_connection_that_somebody_else_has_upgraded() {
    let (mut client, server) = sockets();
    let limits = Limits { message: 3, ..Limits::DEFAULT };
    let timeouts = Timeouts { ping: Some(Duration::from_millis(20)), ..Timeouts::NONE };
    // Less room than what was read already.
    let options = AcceptOptions::new().limits(limits).timeouts(timeouts).read_buffer(1);
    let unread = crate::common::masked(0x81, b"abc");
    let mut server = options.upgraded(server, Negotiated::default(), &unread).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("abc")));
    let reading = thread::spawn(move || server.read().map(drop));
    let mut ping = [0; 2];
    client.read_exact(&mut ping).unwrap();
    assert_eq!(ping, [0x89, 0]);
    client.write_all(&crate::common::masked(0x81, b"abcd")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let error = reading.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::MessageTooBig)), "{error:?}");
}
