//! Through a proxy, by CONNECT.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{Data, DomExceptionKind, Event, Failure, ProxyError, TimeLimits, WebSocket};

use crate::peer::{Listener, PATIENCE, Peer, clean, failed, message, next, rest};

const FINE: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// An object that has asked a proxy, and the proxy's end of that.
fn asking(url: &str, user: &str) -> (WebSocket, Peer) {
    let proxy = Listener::new();
    // A failure that is none would make it wait.
    let limits = TimeLimits { open: Some(PATIENCE / 4), ..TimeLimits::DEFAULT };
    let builder = WebSocket::builder(url).proxy(&format!("http://{user}127.0.0.1:{}", proxy.port()));
    // Other tests connect to the same names.
    let socket = builder.time_limits(limits).one_at_a_time(false).build().unwrap();
    let peer = proxy.accept();
    (socket, peer)
}

/// The proxy's answer is taken for a tunnel.
#[track_caller]
fn assert_opens(socket: &WebSocket, mut peer: Peer) {
    peer.read_head();
    assert!(peer.head().starts_with("GET / HTTP/1.1\r\n"), "{}", peer.head());
    peer.answer(&[]);
    assert_eq!(next(socket), Event::Open, "{:?}", socket.failure());
}

/// The proxy's answer is taken for a refusal.
#[track_caller]
fn assert_refused(answer: &[u8]) -> ProxyError {
    let (socket, mut peer) = asking("ws://something.invalid", "");
    peer.send(answer);
    peer.shut_down();
    assert_eq!(rest(&socket), failed());
    match socket.failure() {
        Some(Failure::Proxy(error)) => error,
        failure => panic!("{:?}: {failure:?}", String::from_utf8_lossy(answer)),
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[test]
fn a_tunnel_carries_everything_both_ways() {
    let (proxy, target) = (Listener::new(), Listener::new());
    let builder = WebSocket::builder(format!("ws://chat.invalid:{}/room", target.port()));
    let socket = builder.proxy(&format!("http://127.0.0.1:{}/", proxy.port())).build().unwrap();
    let mut inbound = proxy.accept();
    let name = format!("chat.invalid:{}", target.port());
    assert_eq!(
        inbound.head(),
        format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n"),
        "the name is the proxy's to resolve"
    );
    let outbound = TcpStream::connect(("127.0.0.1", target.port())).unwrap();
    forward(inbound.stream.try_clone().unwrap(), outbound.try_clone().unwrap());
    inbound.send(FINE);
    forward(outbound, inbound.stream);

    let mut peer = target.accept();
    assert!(peer.head().starts_with("GET /room HTTP/1.1\r\n"));
    assert_eq!((peer.headers("Host"), peer.headers("Proxy-Authorization")), (vec![&name[..]], vec![]));
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    let long = "x".repeat(300_000);
    socket.send(&long[..]).unwrap();
    assert_eq!(peer.receive_message(), (TEXT, long.clone().into_bytes()));
    peer.frame(Frame::new(TEXT, &long));
    assert_eq!(message(&socket), Data::Text(long));
    socket.close();
    peer.finish();
    assert_eq!(rest(&socket), [clean(1005, "")]);
}

#[test]
fn the_target_is_host_and_port_whatever_the_scheme() {
    for (url, target) in [
        ("ws://chat.invalid", "chat.invalid:80"),
        ("wss://chat.invalid", "chat.invalid:443"),
        ("ws://user:pass@CHAT.invalid:8080/path", "chat.invalid:8080"),
        ("ws://b\u{FC}cher.invalid", "xn--bcher-kva.invalid:80"),
        ("ws://[::1]", "[::1]:80"),
        ("wss://192.0.2.1:1234", "192.0.2.1:1234"),
    ] {
        let (_socket, peer) = asking(url, "");
        assert_eq!(peer.head(), format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    }
}

#[test]
fn user_name_and_password_of_the_proxy_are_for_the_proxy() {
    for (user, expected) in [("user:pass@", "Basic dXNlcjpwYXNz"), ("us%65r:@", "Basic dXNlcjo="), ("", "")] {
        let (socket, mut peer) = asking("ws://chat.invalid", user);
        let expected: Vec<_> = [expected].into_iter().filter(|value| !value.is_empty()).collect();
        assert_eq!(peer.headers("Proxy-Authorization"), expected);
        assert_eq!(peer.headers("Authorization"), [""; 0]);
        peer.send(FINE);
        peer.read_head();
        assert_eq!((peer.headers("Proxy-Authorization"), peer.headers("Authorization")), (vec![], vec![]));
        peer.answer(&[]);
        assert_eq!(next(&socket), Event::Open);
    }
    // That of the URL is for the server.
    let (_socket, mut peer) = asking("ws://user:pass@chat.invalid", "");
    assert_eq!((peer.headers("Proxy-Authorization"), peer.headers("Authorization")), (vec![], vec![]));
    peer.send(FINE);
    peer.read_head();
    assert_eq!(peer.headers("Authorization"), ["Basic dXNlcjpwYXNz"]);
}

#[test]
fn every_status_of_success_makes_a_tunnel() {
    for answer in [
        FINE,
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 299 Whatever\r\nVia: 1.1 proxy\r\n\r\n",
        // RFC 9110, 9.3.6: these are to be ignored.
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        for bytewise in [false, true] {
            let (socket, mut peer) = asking("ws://chat.invalid", "");
            if bytewise {
                peer.send_bytewise(answer);
            } else {
                peer.send(answer);
            }
            assert_opens(&socket, peer);
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_known_by_its_status() {
    for status in [300, 302, 400, 403, 404, 407, 500, 502, 503, 504, 999] {
        let answer =
            format!("HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nbody");
        let (socket, mut peer) = asking("ws://something.invalid", "user:pass@");
        peer.send(answer);
        assert_eq!(rest(&socket), failed());
        assert!(matches!(socket.failure(), Some(Failure::Proxy(ProxyError::Refused(code))) if code == status));
        peer.receive_end();
    }
}

#[test]
fn a_proxy_that_refuses_and_ends_the_connection_is_known_by_its_status_too() {
    // Several times, because the end may come with the answer or behind it.
    for _ in 0..20 {
        let error = assert_refused(b"HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n\r\n");
        assert!(matches!(error, ProxyError::Refused(407)), "{error:?}");
    }
}

#[test]
fn what_is_no_answer_to_connect_fails() {
    let answers: [&[u8]; 6] = [
        b"garbage\r\n\r\n",
        b"\x05\x00",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
    ];
    for answer in answers {
        let (socket, mut peer) = asking("ws://something.invalid", "");
        peer.send(answer);
        assert_eq!(rest(&socket), failed());
        let failure = socket.failure().unwrap();
        assert!(matches!(failure, Failure::Proxy(ProxyError::Malformed)), "{}: {failure:?}", answer.escape_ascii());
    }
}

#[test]
fn a_proxy_that_ends_the_connection_inside_of_its_answer_fails() {
    let interim = format!("HTTP/1.1 103 Early Hints\r\n\r\n{FINE}");
    for answer in [FINE, &interim] {
        for at in 0..answer.len() {
            let error = assert_refused(&answer.as_bytes()[..at]);
            assert!(matches!(error, ProxyError::Io(_)), "behind {at} bytes: {error:?}");
        }
    }
}

#[test]
fn the_head_of_a_proxys_answer_may_have_16_kib_and_no_more() {
    let head = |len: usize| {
        let rest = len - "HTTP/1.1 200 OK\r\nX: \r\n\r\n".len();
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(rest))
    };
    let (socket, mut peer) = asking("ws://chat.invalid", "");
    peer.send(head(16 * 1024));
    assert_opens(&socket, peer);

    let (socket, mut peer) = asking("ws://chat.invalid", "");
    peer.send(head(16 * 1024 + 1));
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::Proxy(ProxyError::Malformed))), "{:?}", socket.failure());
}

#[test]
fn interim_answers_of_a_proxy_may_be_many() {
    let interim = format!("HTTP/1.1 103 Early Hints\r\nX: {}\r\n\r\n", "x".repeat(1000));
    let (socket, mut peer) = asking("ws://chat.invalid", "");
    peer.send(interim.repeat(40) + FINE);
    peer.read_head();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open, "{:?}", socket.failure());
}

#[test]
fn a_proxy_that_is_not_there_fails_and_one_that_says_nothing_does_in_time() {
    let port = Listener::new().port();
    let socket = WebSocket::builder("ws://chat.invalid").proxy(&format!("http://127.0.0.1:{port}")).build().unwrap();
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::Connect { to, .. }) if to.port() == port));

    let socket = WebSocket::builder("ws://127.0.0.1:1234").proxy("http://something.invalid").build().unwrap();
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::Resolve { host, .. }) if host == "something.invalid"));

    let proxy = Listener::new();
    let limits = TimeLimits { open: Some(Duration::from_millis(500)), ..TimeLimits::DEFAULT };
    let builder = WebSocket::builder("ws://chat.invalid").time_limits(limits);
    let socket = builder.proxy(&format!("http://127.0.0.1:{}", proxy.port())).build().unwrap();
    let peer = proxy.accept();
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::TimedOut(limit)) if Some(limit) == limits.open));
    peer.receive_end();
}

#[test]
fn an_object_that_is_closed_while_the_proxy_connects_gives_up() {
    let (socket, peer) = asking("ws://chat.invalid", "");
    socket.close();
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::Aborted)));
    peer.receive_end();
}

#[test]
fn bad_ports_are_bad_behind_a_proxy_too_and_the_proxys_own_may_be_any() {
    let proxy = Listener::new();
    let builder = || WebSocket::builder("ws://chat.invalid:25").proxy(&format!("http://127.0.0.1:{}", proxy.port()));
    let socket = builder().build().unwrap();
    assert_eq!(rest(&socket), failed());
    assert!(matches!(socket.failure(), Some(Failure::BlockedPort(25))) && proxy.is_idle());
    let _socket = builder().block_bad_ports(false).build().unwrap();
    assert!(proxy.accept().head().starts_with("CONNECT chat.invalid:25 "));

    let socket = WebSocket::builder("ws://chat.invalid").proxy("http://127.0.0.1:1").build().unwrap();
    assert_eq!(rest(&socket), failed());
    assert!(!matches!(socket.failure(), Some(Failure::BlockedPort(_))));
}

#[test]
fn connections_to_one_target_take_turns_behind_a_proxy_and_those_to_others_do_not() {
    let proxy = Listener::new();
    let to = |url: &str| WebSocket::builder(url).proxy(&format!("http://127.0.0.1:{}", proxy.port())).build().unwrap();
    let (one, two, other) = (to("ws://turns.invalid/1"), to("ws://turns.invalid/2"), to("ws://zone.invalid/3"));
    let mut first = [proxy.accept(), proxy.accept()];
    first.sort_by_key(|peer| peer.head().to_owned());
    let [mut of_one, of_other] = first;
    assert!(of_one.head().starts_with("CONNECT turns.invalid:80 "));
    assert!(of_other.head().starts_with("CONNECT zone.invalid:80 "), "{}", of_other.head());
    assert!(proxy.is_idle());
    of_one.send("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    let of_two = proxy.accept();
    assert!(of_two.head().starts_with("CONNECT turns.invalid:80 "));
    assert_eq!(rest(&one), failed());
    drop((of_two, of_other));
    assert_eq!((rest(&two), rest(&other)), (failed().to_vec(), failed().to_vec()));
}

#[test]
fn a_proxy_that_cannot_be_one_is_a_syntax_error() {
    for proxy in [
        "",
        "127.0.0.1",
        "127.0.0.1:3128",
        "proxy.example:3128",
        "//proxy.example",
        "https://proxy.example",
        "socks5://proxy.example",
        "ws://proxy.example",
        "http://",
        "http://a b",
        "http://proxy.example:65536",
    ] {
        let error = WebSocket::builder("ws://127.0.0.1:1").proxy(proxy).build().err();
        let error = error.unwrap_or_else(|| panic!("{proxy:?} passes"));
        assert_eq!(error.kind(), DomExceptionKind::Syntax, "{proxy}");
    }
}
