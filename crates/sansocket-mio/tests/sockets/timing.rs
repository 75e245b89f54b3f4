//! Time limits: peers that are silent, and peers that take too long.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpStream, UnixStream};
use sansocket::Place;
use sansocket_mio::{CloseCode, EndedBy, ProtocolError, Settings, Timeouts};
use sansocket_testkit::{BINARY, PING, PONG, TEXT};

use crate::common::{
    LIMIT, SHORT, TIMELESS, close_frame, fragment, masked, masked_close, read_frame, read_head, read_message,
    read_to_end, request, with_timeouts,
};
use crate::harness::{Heard, Local, Net, Probe, Running};

const NONE: Timeouts = Timeouts::NONE;

fn text_of(error: ProtocolError) -> Vec<u8> {
    close_frame(error.close_code().get(), error.text())
}

#[test]
fn a_peer_that_connects_and_says_nothing_is_answered_with_408() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), with_timeouts(Timeouts { open: SHORT, ..NONE }));
        let mut peer = local.connect();
        let (id, heard) = local.hear();
        assert_eq!(heard, Heard::not_opened("TimedOut"));
        assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 408 "));
        drop(peer);
        assert_eq!(local.story(id), []);
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn many_that_say_nothing_all_go_in_time_and_others_are_served() {
    let open = Some(Duration::from_secs(1));
    let running = Running::new(Probe::echo(), with_timeouts(Timeouts { open, ..NONE }));
    let (_, mut served) = running.open_heard();
    let mut silent: Vec<_> = (0..200).map(|_| running.connect()).collect();
    served.write_all(&masked(TEXT, "hello")).unwrap();
    assert_eq!(read_message(&mut served), (TEXT, b"hello".to_vec()));
    for peer in &mut silent {
        assert!(read_to_end(peer).starts_with(b"HTTP/1.1 408 "));
    }
    drop(silent);
    let mut gone = 0;
    while gone < 200 {
        gone += usize::from(running.hear().1 == Heard::Gone);
    }
    assert_eq!(running.ask(|connections| connections.len()), 1);
    served.write_all(&masked(TEXT, "still")).unwrap();
    assert_eq!(read_message(&mut served), (TEXT, b"still".to_vec()));
}

#[test]
fn rfc6455_5_5_2_a_peer_that_goes_silent_gets_a_ping_and_then_a_close_1008() {
    fn over<S: Net>() {
        let timeouts = Timeouts { ping: SHORT, pong: SHORT, end: SHORT, ..NONE };
        let mut local = Local::<S>::new(Probe::echo(), with_timeouts(timeouts));
        let (id, mut peer) = local.open();
        assert_eq!(local.story(id), [Heard::failed(ProtocolError::PongTimeout)]);
        assert_eq!(read_to_end(&mut peer), [vec![0x89, 0], text_of(ProtocolError::PongTimeout)].concat());
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn a_peer_that_answers_pings_is_kept() {
    let timeouts = Timeouts { ping: Some(Duration::from_millis(10)), pong: Some(LIMIT), ..NONE };
    let running = Running::new(Probe::echo(), with_timeouts(timeouts));
    let (id, mut peer) = running.open_heard();
    for _ in 0..10 {
        let frame = read_frame(&mut peer);
        assert_eq!((frame.opcode(), frame.payload()), (PING, &[][..]));
        peer.write_all(&masked(PONG, "")).unwrap();
        assert_eq!(running.hear(), (id, Heard::Pong(Vec::new())));
    }
}

#[test]
fn any_byte_of_a_long_message_counts_as_a_sign_of_life() {
    let timeouts = Timeouts { ping: Some(Duration::from_millis(10)), pong: Some(LIMIT), ..NONE };
    let running = Running::new(Probe::echo(), with_timeouts(timeouts));
    let (_, mut peer) = running.open_heard();
    let frame = masked(BINARY, vec![7; 100]);
    for byte in &frame[..10] {
        // Not answered by a pong: the peer is busy with its message.
        assert_eq!(read_frame(&mut peer).opcode(), PING);
        peer.write_all(&[*byte]).unwrap();
    }
    peer.write_all(&frame[10..]).unwrap();
    while read_frame(&mut peer).opcode() != BINARY {}
}

#[test]
fn a_connection_without_messages_is_closed_as_idle_with_1001() {
    let timeouts = Timeouts { idle: SHORT, close: SHORT, ..NONE };
    let mut local = Local::<TcpStream>::new(Probe::echo(), with_timeouts(timeouts));
    let (id, mut peer) = local.open();
    assert_eq!(local.story(id), [Heard::lost(Place::BetweenMessages)]);
    assert_eq!(read_to_end(&mut peer), close_frame(1001, "idle"));
}

#[test]
fn messages_that_are_only_sent_keep_a_connection_from_being_idle() {
    let timeouts = Timeouts { idle: Some(Duration::from_secs(1)), ..NONE };
    // A ping is no message: what keeps the connection is the tick that is sent for it.
    let probe = Probe::echo().on_ping(|cx| _ = cx.send("tick"));
    let running = Running::new(probe, with_timeouts(timeouts));
    let (_, mut peer) = running.open_heard();
    let start = Instant::now();
    // Time has to pass here: the limit is to come several times.
    while start.elapsed() < Duration::from_secs(3) {
        peer.write_all(&masked(PING, "")).unwrap();
        let (first, second) = (read_frame(&mut peer), read_frame(&mut peer));
        assert_eq!((first.opcode(), second.payload()), (PONG, &b"tick"[..]), "no Close");
        peer.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(matches!(
            peer.read(&mut [0]).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)
        ));
        peer.set_read_timeout(Some(LIMIT)).unwrap();
    }
}

#[test]
fn a_close_that_is_not_answered_ends_in_time_though_the_peer_goes_on_sending() {
    let probe = Probe::echo().on_open(|cx| cx.close(CloseCode::NORMAL, "").unwrap());
    let running = Running::new(probe, with_timeouts(Timeouts { close: SHORT, ..NONE }));
    let mut peer = running.open();
    let flood = thread::spawn(move || while peer.write_all(&masked(BINARY, [7])).is_ok() {});
    let mut story = running.next_story();
    story.retain(|heard| *heard != Heard::Message(1));
    assert_eq!(story[0], Heard::Open);
    assert!(matches!(story[1..], [Heard::Close { by: EndedBy::Loss(_), code: 1006, .. }]), "{story:?}");
    flood.join().unwrap();
}

#[test]
fn a_violating_peer_that_does_not_end_is_not_waited_for() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), with_timeouts(Timeouts { end: SHORT, ..NONE }));
        let (id, mut peer) = local.open();
        peer.write_all(&[0xFF, 0x80, 0, 0, 0, 0]).unwrap();
        assert_eq!(local.story(id), [Heard::failed(ProtocolError::ReservedOpcode)]);
        // The peer is still there: it was the limit that has ended the wait.
        assert_eq!(read_to_end(&mut peer), text_of(ProtocolError::ReservedOpcode));
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn limits_that_are_never_reached_do_not_keep_others_from_being_reached() {
    let day = Duration::from_secs(24 * 60 * 60);
    for never in [day * 20, day * 25, day * 30, day * 49, day * 365, day * 365 * 20, day * 365 * 40, Duration::MAX] {
        let timeouts = Timeouts { ping: Some(never), idle: Some(never), close: SHORT, ..NONE };
        let mut local = Local::<TcpStream>::new(Probe::echo(), with_timeouts(timeouts));
        let (id, _peer) = local.open();
        local.server.connections().close(id, CloseCode::NORMAL, "").unwrap();
        let deadline = Instant::now() + LIMIT;
        while !local.server.connections().is_empty() {
            local.server.run_once(Some(Duration::from_millis(100))).unwrap();
            assert!(Instant::now() < deadline, "a Close is waited for {SHORT:?}, though other limits are {never:?}");
        }
    }
}

#[test]
fn a_pong_timeout_is_told_to_a_peer_that_floods_and_reads_only_later() {
    let timeouts = Timeouts { ping: SHORT, pong: Some(Duration::from_millis(500)), ..NONE };
    let probe = Probe::echo().on_message(|cx, message| {
        // Far more than the sockets hold.
        for _ in 0..200 {
            if message.as_bytes() == b"feed me" {
                let _ = cx.send(&vec![7; 100_000]);
            }
        }
    });
    let settings = Settings { queue: 64 << 20, ..with_timeouts(timeouts) };
    let running = Running::new(probe, settings);
    let (id, mut peer) = running.open_heard();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    assert_eq!(running.hear(), (id, Heard::Message(7)));
    // While so much is queued nothing is read, and so nothing is heard: not even this.
    peer.write_all(&masked(TEXT, "unheard").repeat(1000)).unwrap();
    assert_eq!(running.hear(), (id, Heard::failed(ProtocolError::PongTimeout)));
    let mut received = read_to_end(&mut peer);
    let end = received.split_off(received.len() - text_of(ProtocolError::PongTimeout).len());
    assert_eq!(end, text_of(ProtocolError::PongTimeout));
}

#[test]
fn a_peer_that_ends_inside_its_head_is_gone_without_a_limit_having_to_pass() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let mut peer = local.connect();
        peer.write_all(&request(&[])[..50]).unwrap();
        local.turn();
        S::shut_down(&peer, std::net::Shutdown::Write);
        assert_eq!(local.next_story(), [Heard::not_opened("Request(Incomplete)")]);
        assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 400 "));
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn the_limit_for_opening_ends_with_the_opening() {
    let timeouts = Timeouts { open: SHORT, ..NONE };
    let mut local = Local::<TcpStream>::new(Probe::echo(), with_timeouts(timeouts));
    let (id, mut peer) = local.open();
    let start = Instant::now();
    while start.elapsed() < SHORT.unwrap() * 3 {
        local.server.run_once(SHORT).unwrap();
    }
    peer.write_all(&fragment(TEXT, "still ")).unwrap();
    peer.write_all(&masked(0, "here")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(10)));
    peer.write_all(&masked_close(1000, "")).unwrap();
    assert_eq!(local.story(id), [Heard::closed(EndedBy::Peer, 1000)]);
}

#[test]
fn deadlines_of_many_connections_pass_each_at_its_own_time() {
    let timeouts = Timeouts { ping: Some(Duration::from_millis(30)), ..NONE };
    let running = Running::new(Probe::echo(), with_timeouts(timeouts));
    let mut peers: Vec<_> = (0..100).map(|_| running.open()).collect();
    for _ in 0..3 {
        for peer in &mut peers {
            assert_eq!(read_frame(peer).opcode(), PING);
            peer.write_all(&masked(PONG, "")).unwrap();
        }
    }
    let mut late = running.connect();
    late.write_all(&request(&[])).unwrap();
    assert!(read_head(&mut late).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_frame(&mut late).opcode(), PING);
}
