//! Flaws that other implementations of WebSocket have had, where the object is what they need. `docs/security.md` tells of them; those that need
//! no object are in the engine's tests.

#[path = "object/peer.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod peer;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{DomExceptionKind, TimeLimits, WebSocket};

use crate::peer::{Listener, clean, message, next, open, open_with};

/// CVE-2026-1527 (undici): what a program gets from elsewhere became headers of a request.
#[test]
fn cve_2026_1527_a_request_carries_no_header_that_was_smuggled_into_another_part() {
    for byte in ["\r", "\n", "\0", "\r\nX: y"] {
        let evil = format!("a{byte}b");
        let builder = || WebSocket::builder("ws://127.0.0.1:1/");
        for builder in [
            builder().header("X", &evil),
            builder().header(&evil, "y"),
            builder().origin(&evil),
            builder().origin(&format!("https://{evil}")),
            builder().protocols([&*evil]),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), DomExceptionKind::Syntax, "{evil:?}");
        }
    }
    // In a URL, browsers leave out line breaks and encode the rest. Neither makes a line of its own.
    let listener = Listener::new();
    for (path, target) in
        [("a\r\nX: y", "/aX:%20y"), ("?a\nX:\0y", "/?aX:%00y"), ("a HTTP/1.1\r\n\r\n", "/a%20HTTP/1.1")]
    {
        let _socket = WebSocket::new(format!("{}{path}", listener.url())).unwrap();
        let peer = listener.accept();
        let mut lines = peer.head().lines();
        assert_eq!(lines.next(), Some(&*format!("GET {target} HTTP/1.1")), "{path:?}");
        assert!(lines.all(|line| !line.starts_with("X")), "{}", peer.head());
    }
}

/// The same in what a proxy is asked: its target is a host, and what stands in a URL for user and password goes out in base64.
#[test]
fn cve_2026_1527_a_proxy_is_asked_for_a_host_and_nothing_else() {
    for host in ["a%0D%0AX:%20y", "a b", "a\0b", "a%20b"] {
        let error = WebSocket::builder(format!("ws://{host}/")).proxy("http://127.0.0.1:1").build().unwrap_err();
        assert_eq!(error.kind(), DomExceptionKind::Syntax, "{host:?}");
    }
    let proxy = Listener::new();
    let url = format!("http://us%0D%0AX:pass%0AX@127.0.0.1:{}", proxy.port());
    let _socket = WebSocket::builder("ws://something.invalid:81/").proxy(&url).build().unwrap();
    let peer = proxy.accept();
    let lines: Vec<_> = peer.head().lines().collect();
    assert_eq!(lines[0], "CONNECT something.invalid:81 HTTP/1.1");
    assert!(lines.iter().all(|line| !line.starts_with('X')), "{lines:?}");
}

/// CVE-2026-12151 (undici): fragments of no bytes were kept, each of them. The object has no limit of its own on fragments, as browsers have none: a
/// quarter of a million of them is an empty message, and nothing before.
#[test]
fn cve_2026_12151_fragments_of_no_bytes_are_no_tasks() {
    let (socket, mut peer) = open();
    let begin = Frame::new(TEXT, "").fin(false).bytes();
    let go_on = Frame::new(0, "").fin(false).bytes();
    peer.send([begin, go_on.repeat(250_000)].concat());
    // Its answer shows that all of them have been read.
    peer.frame(Frame::new(9, "still there"));
    assert_eq!(peer.receive().payload(), b"still there");
    assert!(!socket.has_tasks());
    peer.frame(Frame::new(0, ""));
    assert_eq!(message(&socket).to_string(), "");
}

/// CVE-2020-36406 (uWebSockets): what a peer sends made the stack grow. A listener that pumps, or makes room for the next message, is not called
/// from within itself.
#[test]
fn cve_2020_36406_messages_do_not_nest_though_a_listener_pumps() {
    const COUNT: usize = 5000;
    let (socket, mut peer) = open();
    let (depth, deepest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, most) = (Arc::clone(&depth), Arc::clone(&deepest));
    socket.set_onmessage(move |socket, _| {
        most.fetch_max(inside.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        socket.pump();
        inside.fetch_sub(1, Ordering::Relaxed);
    });
    peer.send(Frame::new(TEXT, "x").bytes().repeat(COUNT));
    for _ in 0..COUNT {
        assert_eq!(message(&socket).to_string(), "x");
    }
    assert_eq!((depth.load(Ordering::Relaxed), deepest.load(Ordering::Relaxed)), (0, 1));
}

/// CVE-2024-23672 (Tomcat): a server that has sent its Close, and goes on living.
#[test]
fn cve_2024_23672_a_server_that_does_not_end_behind_its_close_is_left() {
    let limits = TimeLimits { end: Some(Duration::from_millis(50)), ..TimeLimits::DEFAULT };
    let (socket, mut peer) = open_with(|builder| builder.time_limits(limits));
    peer.frame(Frame::close(1000, "bye"));
    // As long as somebody takes it.
    let living = std::thread::spawn(move || while peer.stream.write_all(&Frame::new(9, "").bytes()).is_ok() {});
    assert_eq!(next(&socket), clean(1000, "bye"));
    living.join().unwrap();
}
