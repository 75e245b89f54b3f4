//! Opening handshakes of clients that are slow, wrong or hasty.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sansocket::handshake::HeadLimits;
use sansocket_mio::{Answer, Settings, Timeouts};
use sansocket_testkit::{BINARY, TEXT};

use crate::common::{
    SHORT, TIMELESS, masked, masked_close, noise, read_frame, read_head, read_message, read_to_end, request,
    with_timeouts,
};
use crate::harness::{Heard, Local, Net, Probe, Running};

#[test]
fn a_head_that_comes_byte_by_byte_and_never_ends_is_answered_with_408_while_others_are_served() {
    let open = Some(Duration::from_secs(1));
    let running = Running::new(Probe::echo(), with_timeouts(Timeouts { open, ..Timeouts::NONE }));
    let mut served = running.open();
    let mut slow = running.connect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            slow.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
            let head = request(&[]);
            let trickle = head[..head.len() - 1].iter();
            let header_lines = b"X-Line: and so on\r\n".iter().cycle();
            let mut answer = vec![0; 1024];
            for byte in trickle.chain(header_lines) {
                slow.write_all(&[*byte]).unwrap();
                if let Ok(count @ 1..) = slow.read(&mut answer) {
                    answer.truncate(count);
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
            slow.set_read_timeout(Some(crate::common::LIMIT)).unwrap();
            answer.extend(read_to_end(&mut slow));
            drop(slow);
            String::from_utf8(answer).unwrap()
        });
        let mut echoes = 0;
        while !is_over.load(Ordering::Relaxed) {
            served.write_all(&masked(TEXT, "hello")).unwrap();
            assert_eq!(read_message(&mut served), (TEXT, b"hello".to_vec()));
            echoes += 1;
        }
        assert!(echoes > 10, "{echoes} echoes beside a handshake that takes half a second");
        let answer = slow.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    });
    let story: Vec<_> = running.heard_so_far().into_iter().filter(|heard| *heard != Heard::Message(5)).collect();
    assert_eq!(story[..2], [Heard::Open, Heard::not_opened("TimedOut")]);
}

#[test]
fn a_head_may_be_cut_anywhere() {
    fn over<S: Net>() {
        let head = request(&["X-More: a b c"]);
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        for cut in 1..head.len() {
            let mut peer = local.connect();
            peer.write_all(&head[..cut]).unwrap();
            local.turn();
            // The frame as well is cut.
            let rest = [&head[cut..], &masked(TEXT, "cut")].concat();
            peer.write_all(&rest[..rest.len() - 1]).unwrap();
            let (id, heard) = local.hear();
            assert_eq!(heard, Heard::Open, "cut at {cut}");
            peer.write_all(&rest[rest.len() - 1..]).unwrap();
            assert_eq!(local.hear(), (id, Heard::Message(3)));
            assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
            assert_eq!(read_message(&mut peer), (TEXT, b"cut".to_vec()), "cut at {cut}");
            drop(peer);
            assert_eq!(local.story(id).len(), 1);
        }
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

#[test]
fn a_head_and_frames_may_come_byte_by_byte() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let mut peer = local.connect();
        for byte in request(&[]).iter().chain(&masked(TEXT, "größer")).chain(&masked(BINARY, noise(200))) {
            peer.write_all(&[*byte]).unwrap();
            local.turn();
        }
        let (id, _) = local.hear();
        assert_eq!((local.hear(), local.hear()), ((id, Heard::Message(8)), (id, Heard::Message(200))));
        assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        assert_eq!(read_message(&mut peer), (TEXT, "größer".as_bytes().to_vec()));
        assert_eq!(read_message(&mut peer), (BINARY, noise(200)));
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

/// A request with one line of it replaced.
fn with_line(old: &str, new: &str) -> Vec<u8> {
    let head = String::from_utf8(request(&[])).unwrap();
    assert!(head.contains(old));
    head.replace(old, new).into_bytes()
}

#[test]
fn rfc6455_4_2_1_a_bad_request_is_answered_with_its_status_and_the_connection_ends() {
    let cases = [
        ("HttpVersion", 505, with_line("HTTP/1.1", "HTTP/1.0")),
        ("MethodNotAllowed", 405, with_line("GET", "POST")),
        ("InvalidHost", 400, with_line("Host: localhost\r\n", "")),
        ("NotAnUpgrade", 426, with_line("Upgrade: websocket\r\n", "")),
        ("ConnectionNotUpgrade", 400, with_line("Connection: Upgrade", "Connection: close")),
        ("MissingVersion", 400, with_line("Sec-WebSocket-Version: 13\r\n", "")),
        ("UnsupportedVersion", 426, with_line("Version: 13", "Version: 12")),
        ("InvalidKey", 400, with_line("dGhlIHNhbXBsZSBub25jZQ==", "short")),
        ("InvalidProtocols", 400, request(&["Sec-WebSocket-Protocol: a, a"])),
        ("InvalidExtensions", 400, request(&["Sec-WebSocket-Extensions: =;"])),
        ("BodyNotAllowed", 400, request(&["Content-Length: 5"])),
        ("Malformed", 400, b"\x16\x03\x01\x02\x00\x01\x00".to_vec()),
        ("Malformed", 400, with_line("\r\n", "\n")),
        ("HeadTooLarge", 431, request(&[&format!("X: {}", "x".repeat(20_000))])),
        ("TooManyHeaders", 431, request(&["X: y"; 200])),
    ];
    let running = Running::new(Probe::echo(), TIMELESS);
    for (error, status, head) in cases {
        let mut peer = running.connect();
        // A lot behind it that the server does not want: closed over it, the socket would be reset, and the answer lost.
        peer.write_all(&head).unwrap();
        peer.write_all(&noise(100_000)).unwrap();
        let answer = String::from_utf8(read_to_end(&mut peer)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{error}: {answer}");
        assert!(answer.contains("\r\nConnection: "), "{answer}");
        drop(peer);
        assert_eq!(running.next_story(), [Heard::NotOpened(format!("Request({error})"))]);
    }
    assert_eq!(running.ask(|connections| connections.len()), 0);
}

#[test]
fn a_head_of_n_bytes_is_let_in_and_one_of_n_plus_1_is_not() {
    let len = request(&["X: "]).len() + 5000;
    let limits = HeadLimits { bytes: len, ..HeadLimits::DEFAULT };
    let running = Running::new(Probe::echo(), Settings { head_limits: limits, ..TIMELESS });
    for (more, status) in [(5000, 101), (5001, 431)] {
        let head = request(&[&format!("X: {}", "x".repeat(more))]);
        let mut peer = running.connect();
        peer.write_all(&head).unwrap();
        let answer = read_head(&mut peer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[test]
fn rfc6455_4_2_2_a_refusal_has_the_handlers_status_headers_and_body() {
    let probe = Probe::echo()
        .on_request(|_, _| Answer::reject(401).header("WWW-Authenticate", "Basic").body(String::from("who are you?")));
    let running = Running::new(probe, TIMELESS);
    let mut peer = running.connect();
    peer.write_all(&request(&[])).unwrap();
    peer.write_all(&noise(100_000)).unwrap();
    let answer = String::from_utf8(read_to_end(&mut peer)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("\r\nWWW-Authenticate: Basic\r\n") && answer.contains("\r\nConnection: close\r\n"));
    assert!(answer.ends_with("\r\n\r\nwho are you?"), "{answer}");
    drop(peer);
    assert_eq!(running.next_story(), [Heard::not_opened("Rejected(401)")]);
}

#[test]
fn an_answer_that_must_not_be_sent_is_a_500() {
    for (answer, error) in [
        (Answer::accept().protocol("chat"), "ProtocolNotOffered"),
        (Answer::accept().header("X", "a\r\nSet-Cookie: b"), "InvalidHeader"),
        (Answer::accept().header("Upgrade", "h2c"), "ReservedHeader"),
        (Answer::reject(200), "InvalidStatus"),
    ] {
        let running = Running::new(Probe::echo().on_request(move |_, _| answer.clone()), TIMELESS);
        let mut peer = running.connect();
        peer.write_all(&request(&[])).unwrap();
        let answer = String::from_utf8(read_to_end(&mut peer)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        drop(peer);
        assert_eq!(running.next_story(), [Heard::NotOpened(format!("Answer({error})"))]);
    }
}

#[test]
fn rfc6455_1_9_a_protocol_out_of_those_offered_and_headers_are_sent() {
    let probe = Probe::echo().on_request(|_, request| {
        assert_eq!(request.protocols().collect::<Vec<_>>(), ["chat", "superchat"]);
        Answer::accept().protocol("superchat").header("Set-Cookie", "a=b")
    });
    let running = Running::new(probe, TIMELESS);
    let mut peer = running.connect();
    peer.write_all(&request(&["Sec-WebSocket-Protocol: chat, superchat"])).unwrap();
    let answer = read_head(&mut peer);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Protocol: superchat\r\n") && answer.contains("Set-Cookie: a=b\r\n"));
}

#[test]
fn rfc6455_10_2_pages_of_another_origin_are_refused_unless_the_handler_says_otherwise() {
    /// A handler that leaves everything to the defaults.
    struct Default;
    impl sansocket_mio::Handler for Default {
        type Stream = mio::net::TcpStream;
        type Data = ();
        fn message(&mut self, _: &mut sansocket_mio::Context<'_, Self>, _: sansocket_mio::Message<'_>) {}
    }
    let mut server = sansocket_mio::Server::new(Default, TIMELESS).unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();
    let handle = server.handle();
    let client = thread::spawn(move || {
        for (line, status) in
            [("Origin: http://evil.example", 403), ("Origin: http://localhost", 101), ("X: no page at all", 101)]
        {
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(&request(&[line])).unwrap();
            let answer = read_head(&mut peer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        }
        handle.shut_down(Duration::ZERO);
    });
    server.run().unwrap();
    client.join().unwrap();
}

#[test]
fn frames_in_the_packet_of_the_head_are_not_lost() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let mut peer = local.connect();
        let packet =
            [request(&[]), masked(TEXT, "one"), masked(9, "ping"), masked(BINARY, noise(5000)), masked_close(1000, "")];
        peer.write_all(&packet.concat()).unwrap();
        let story = local.next_story();
        let expected = [Heard::Open, Heard::Message(3), Heard::Ping(b"ping".to_vec()), Heard::Message(5000)];
        assert_eq!(story[..4], expected);
        assert_eq!(story[4..], [Heard::closed(sansocket_mio::EndedBy::Peer, 1000)]);
        assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        assert_eq!(read_message(&mut peer), (TEXT, b"one".to_vec()));
        assert_eq!(read_frame(&mut peer).payload(), b"ping");
        assert_eq!(read_message(&mut peer), (BINARY, noise(5000)));
        assert_eq!(read_to_end(&mut peer), b"\x88\x02\x03\xe8");
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

#[test]
fn a_message_longer_than_the_buffer_right_behind_the_head_is_not_lost() {
    let running = Running::new(Probe::echo(), TIMELESS);
    let mut peer = running.connect();
    let mut writer = peer.try_clone().unwrap();
    let packet = [request(&[]), masked(BINARY, noise(3_000_000)), masked(TEXT, "behind")].concat();
    let writing = thread::spawn(move || writer.write_all(&packet).unwrap());
    assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert!(read_message(&mut peer).1 == noise(3_000_000));
    assert_eq!(read_message(&mut peer), (TEXT, b"behind".to_vec()));
    writing.join().unwrap();
}

#[test]
fn a_refused_peer_that_does_not_end_is_not_waited_for() {
    let running = Running::new(Probe::echo(), with_timeouts(Timeouts { end: SHORT, ..Timeouts::NONE }));
    let mut peer = running.connect();
    peer.write_all(b"GARBAGE\r\n").unwrap();
    assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 400 "));
    assert_eq!(running.next_story(), [Heard::not_opened("Request(Malformed)")]);
    // It is gone though the peer has not ended.
    assert_eq!(running.ask(|connections| connections.len()), 0);
    assert!(matches!(peer.read(&mut [0]).map_err(|error| error.kind()), Ok(0) | Err(ErrorKind::ConnectionReset)));
}

#[test]
fn a_refused_peer_that_goes_on_sending_is_cut_off_behind_16_mib() {
    let running = Running::new(Probe::echo(), TIMELESS);
    let mut peer = running.connect();
    peer.write_all(b"GARBAGE\r\n").unwrap();
    assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 400 "));
    let chunk = noise(1 << 16);
    let mut sent = 0_u64;
    while peer.write_all(&chunk).is_ok() {
        sent += chunk.len() as u64;
        assert!(sent < 64 << 20, "the server goes on reading");
    }
    assert!(sent >= 16 << 20, "{sent}");
    assert_eq!(running.next_story(), [Heard::not_opened("Request(Malformed)")]);
}
