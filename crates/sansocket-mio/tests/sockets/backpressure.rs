//! Peers that read slowly, later, or never.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use sansocket_mio::{
    CloseCode, ConnectionId, Connections, EndedBy, Kind, Prepared, ProtocolError, SendError, Sent, Settings, Timeouts,
};
use sansocket_testkit::{BINARY, PING, TEXT};

use crate::common::{
    LIMIT, TIMELESS, close_frame, masked, masked_close, noise, read_frame, read_message, read_to_end, with_timeouts,
};
use crate::harness::{Heard, Local, Net, Probe, Running};

const KIB: usize = 1024;

/// What the server reads at once.
const READ: usize = 32 * KIB;

/// Message number `at` of a flood.
fn numbered(at: u32) -> Vec<u8> {
    let mut payload = vec![u8::try_from(at % 251).unwrap(); 5000];
    payload[..4].copy_from_slice(&at.to_be_bytes());
    payload
}

/// Sends numbered messages until the server takes no more. Gives how many were begun, and what is left of the last.
fn flood(peer: &mut TcpStream) -> (u32, Vec<u8>) {
    peer.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    for at in 0.. {
        let mut frame = masked(BINARY, numbered(at));
        while !frame.is_empty() {
            match peer.write(&frame) {
                Ok(count) => drop(frame.drain(..count)),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                    peer.set_write_timeout(Some(LIMIT)).unwrap();
                    return (at + 1, frame);
                }
            }
        }
    }
    unreachable!("the server goes on reading")
}

#[test]
fn a_peer_that_never_reads_gets_no_more_queued_than_the_mark_and_one_read_while_others_are_served() {
    let settings = Settings { high_mark: 64 * KIB, low_mark: 16 * KIB, ..TIMELESS };
    let running = Running::prepared(Probe::echo(), settings, |server| server.set_read_buffer(READ));
    let (id, mut greedy) = running.open_heard();
    let mut served = running.open();
    let mut most = 0;
    let (begun, rest) = thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&mut greedy));
        while !flooding.is_finished() {
            most = most.max(running.ask(move |connections| connections.queued(id)));
            served.write_all(&masked(TEXT, "hello")).unwrap();
            assert_eq!(read_message(&mut served), (TEXT, b"hello".to_vec()));
        }
        flooding.join().unwrap()
    });
    assert!(most > 64 * KIB, "nothing was queued: {most}");
    // A message that had begun in the read before ends in this one.
    assert!(most <= 64 * KIB + READ + 5004, "{most} bytes were queued");

    // Now it reads, and everything comes, in order.
    let mut writer = greedy.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&rest).unwrap());
    for at in 0..begun {
        assert!(read_message(&mut greedy) == (BINARY, numbered(at)), "message {at} of {begun}");
    }
    writing.join().unwrap();
    greedy.write_all(&masked(TEXT, "and on")).unwrap();
    assert_eq!(read_message(&mut greedy), (TEXT, b"and on".to_vec()));
    assert!(running.heard_so_far().contains(&Heard::Drained));
    assert_eq!(running.ask(move |connections| connections.queued(id)), 0);
}

#[test]
fn while_more_than_the_high_mark_is_queued_nothing_is_read() {
    fn over<S: Net>() {
        let probe = Probe::echo().on_message(|cx, message| match message.as_bytes() {
            b"feed me" => _ = cx.send(&vec![7; 8 << 20]),
            _ => _ = cx.send(message),
        });
        let mut local = Local::<S>::new(probe, TIMELESS);
        let (id, mut peer) = local.open();
        peer.write_all(&masked(TEXT, "feed me")).unwrap();
        assert_eq!(local.hear(), (id, Heard::Message(7)));
        assert!(local.server.connections().queued(id) > TIMELESS.high_mark, "the sockets hold more than 8 MiB");
        peer.write_all(&masked(TEXT, "second")).unwrap();
        local.turn();
        let reading = thread::spawn(move || {
            assert!(read_message(&mut peer).1 == vec![7; 8 << 20]);
            assert_eq!(read_message(&mut peer), (TEXT, b"second".to_vec()));
        });
        assert_eq!(local.hear(), (id, Heard::Drained), "before the message that was not read until then");
        assert!(local.server.connections().queued(id) <= TIMELESS.low_mark);
        assert_eq!(local.hear(), (id, Heard::Message(6)));
        local.serve(reading);
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

/// A connection whose socket takes no more, with some bytes queued.
fn stuffed(settings: Settings) -> (Running, ConnectionId, TcpStream, usize) {
    let running = Running::new(Probe::echo(), settings);
    let (id, peer) = running.open_heard();
    let mut sent = 0;
    let sent = running.ask(move |connections| {
        while connections.queued(id) == 0 {
            let _ = connections.send(id, &vec![0; 60_000]).unwrap();
            sent += 1;
        }
        sent
    });
    (running, id, peer, sent)
}

/// Fills the queue of a connection whose socket takes no more, up to `len` bytes.
fn fill(connections: &mut Connections<Probe<mio::net::TcpStream>>, id: ConnectionId, len: usize) {
    let _ = connections.send(id, &vec![0; len - connections.queued(id) - 4]).unwrap();
    assert_eq!(connections.queued(id), len);
}

#[test]
fn behind_a_queue_of_n_bytes_a_message_is_accepted() {
    let queue = 65_000;
    let (running, id, mut peer, sent) = stuffed(Settings { queue, ..TIMELESS });
    running.ask(move |connections| {
        fill(connections, id, queue);
        let _ = connections.send(id, &noise(100_000)).unwrap();
        assert!(connections.is_open(id));
    });
    for _ in 0..=sent {
        assert_ne!(read_message(&mut peer).1[..5], noise(5));
    }
    assert!(read_message(&mut peer) == (BINARY, noise(100_000)));
}

#[test]
fn behind_a_queue_of_n_plus_1_bytes_a_message_is_refused_and_the_connection_fails_with_1008() {
    let queue = 65_000;
    let (running, id, mut peer, sent) = stuffed(Settings { queue, ..TIMELESS });
    running.ask(move |connections| {
        fill(connections, id, queue + 1);
        assert_eq!(connections.send(id, "one more"), Err(SendError::NoRoom));
        assert!(!connections.is_open(id));
        assert_eq!(connections.send(id, "and more"), Err(SendError::Closing));
    });
    // It is told at once, though the peer does not read.
    assert_eq!(running.hear(), (id, Heard::failed(ProtocolError::QueueOverrun)));
    for _ in 0..=sent {
        assert_eq!(read_frame(&mut peer).opcode(), BINARY);
    }
    let overrun = ProtocolError::QueueOverrun;
    assert_eq!(read_to_end(&mut peer), close_frame(1008, overrun.text()), "and nothing of what was refused");
    drop(peer);
    assert_eq!(running.story(id), [], "nothing is told behind the end");
}

#[test]
fn parts_and_pings_are_refused_as_messages_are() {
    for what in ["parts", "long parts", "pings", "prepared"] {
        let queue = 100_000;
        let (running, id, _peer, _) = stuffed(Settings { queue, ..TIMELESS });
        running.ask(move |connections| {
            let prepared = Prepared::new(&noise(5000));
            let refused = loop {
                assert!(connections.queued(id) <= queue, "one more is accepted, and no second");
                let result = match what {
                    "parts" => connections.send_part(id, Kind::Binary, &[0; 1000], false).map(drop),
                    "long parts" => connections.send_part(id, Kind::Binary, &[0; 20_000], false).map(drop),
                    "pings" => connections.ping(id, &[0; 125]),
                    _ => connections.send_prepared(id, &prepared).map(drop),
                };
                if connections.queued(id) > queue {
                    break connections.send(id, "one more");
                }
                result.unwrap();
            };
            let refused = refused.unwrap_err();
            assert!(matches!(refused, SendError::NoRoom), "{what}: {refused:?}");
            assert!(!connections.is_open(id));
        });
        while running.hear() != (id, Heard::failed(ProtocolError::QueueOverrun)) {}
    }
}

#[test]
fn a_message_is_never_too_long_for_an_empty_queue() {
    let probe = Probe::echo().on_message(|cx, _| _ = cx.send(&noise(1 << 20)).unwrap());
    let running = Running::new(probe, Settings { queue: 1000, ..TIMELESS });
    let mut peer = running.open();
    for _ in 0..3 {
        peer.write_all(&masked(TEXT, "feed me")).unwrap();
        assert!(read_message(&mut peer) == (BINARY, noise(1 << 20)));
    }
}

#[test]
fn a_message_is_not_too_long_because_of_what_the_socket_was_not_asked_to_take_yet() {
    // In its own turn, behind another message.
    let probe = Probe::echo().on_message(|cx, message| {
        let _ = cx.send(message);
        let _ = cx.send(&noise(100_000));
    });
    let running = Running::new(probe, Settings { queue: 1000, ..TIMELESS });
    let mut peer = running.open();
    peer.write_all(&masked(TEXT, "both")).unwrap();
    assert_eq!(read_message(&mut peer), (TEXT, b"both".to_vec()));
    assert!(read_message(&mut peer) == (BINARY, noise(100_000)));
}

#[test]
fn a_message_is_not_too_long_because_of_a_pong_in_front_of_it() {
    let probe = Probe::echo().on_message(|cx, _| _ = cx.send(&noise(100_000)));
    let running = Running::new(probe, Settings { queue: 1000, ..TIMELESS });
    let mut peer = running.open();
    peer.write_all(&[masked(PING, "p"), masked(TEXT, "feed me")].concat()).unwrap();
    assert_eq!(read_frame(&mut peer).payload(), b"p");
    assert!(read_message(&mut peer) == (BINARY, noise(100_000)));
}

#[test]
fn a_message_from_outside_is_not_too_long_because_of_what_the_socket_was_not_asked_to_take_yet() {
    let running = Running::new(Probe::echo(), Settings { queue: 1000, ..TIMELESS });
    let (id, mut peer) = running.open_heard();
    running.ask(move |connections| {
        let _ = connections.send(id, "small");
        let _ = connections.send(id, &noise(100_000));
    });
    assert_eq!(read_message(&mut peer), (TEXT, b"small".to_vec()));
    assert!(read_message(&mut peer) == (BINARY, noise(100_000)));
}

#[test]
fn nobody_is_told_off_for_what_the_socket_was_not_asked_to_take() {
    let running = Running::new(Probe::echo(), Settings { queue: 1000, ..TIMELESS });
    let (id, mut peer) = running.open_heard();
    // From outside, in one command: the peer gets no chance to read in between.
    running.ask(move |connections| {
        for at in 0..10_u8 {
            let _ = connections.send(id, &[at; 600]);
        }
    });
    for at in 0..10 {
        assert_eq!(read_message(&mut peer), (BINARY, vec![at; 600]));
    }
}

#[test]
fn who_was_told_to_send_less_hears_of_it_when_the_queue_has_drained_in_its_own_turn() {
    let probe = Probe::echo().on_message(|cx, _| {
        let sent: Vec<_> = (0..3).map(|_| cx.send(&[7; 500]).unwrap()).collect();
        assert_eq!(sent, [Sent::Accepted, Sent::AboveMark, Sent::AboveMark]);
    });
    let settings = Settings { high_mark: 1000, low_mark: 100, ..TIMELESS };
    let mut local = Local::<mio::net::TcpStream>::new(probe, settings);
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(7)));
    // The socket takes all of it at once.
    for _ in 0..3 {
        assert_eq!(read_message(&mut peer).1.len(), 500);
    }
    assert_eq!(local.server.connections().queued(id), 0);
    // Behind the drained queue, or never, comes this.
    peer.write_all(&masked(PING, "")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Drained));
}

#[test]
fn who_was_told_to_send_less_hears_of_it_when_the_queue_has_drained_from_outside() {
    let settings = Settings { high_mark: 1000, low_mark: 100, ..TIMELESS };
    let mut local = Local::<mio::net::TcpStream>::new(Probe::echo(), settings);
    let (id, mut peer) = local.open();
    let connections = local.server.connections();
    let sent: Vec<_> = (0..3).map(|_| connections.send(id, &[7; 500]).unwrap()).collect();
    assert_eq!(sent, [Sent::Accepted, Sent::AboveMark, Sent::AboveMark]);
    local.turn();
    for _ in 0..3 {
        assert_eq!(read_message(&mut peer).1.len(), 500);
    }
    assert_eq!(local.server.connections().queued(id), 0);
    peer.write_all(&masked(PING, "")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Drained));
}

#[test]
fn a_pump_that_sends_below_the_mark_and_goes_on_when_drained_brings_everything_in_order() {
    const TOTAL: usize = 8 << 20;
    fn pump(len: usize) -> impl FnMut(&mut sansocket_mio::Context<'_, Probe<mio::net::TcpStream>>) + Send + Clone {
        move |cx| {
            loop {
                let at = cx.data().note.len();
                if at * len >= TOTAL {
                    break;
                }
                cx.data().note.push('x');
                let mut payload = vec![0; len];
                payload[..8].copy_from_slice(&(at as u64).to_be_bytes());
                if cx.send(&payload).unwrap() == Sent::AboveMark {
                    break;
                }
            }
        }
    }
    for len in [1000, 16 * KIB, 16 * KIB + 1, 300_000] {
        let probe = Probe::echo().on_open(pump(len)).on_drained(pump(len));
        let running = Running::new(probe, TIMELESS);
        let mut peer = running.open();
        for at in 0..TOTAL.div_ceil(len) {
            let (_, payload) = read_message(&mut peer);
            assert_eq!(payload.len(), len);
            assert_eq!(payload[..8], (at as u64).to_be_bytes());
        }
    }
}

#[test]
fn a_close_behind_a_full_queue_arrives_and_ends_clean() {
    let probe = Probe::echo().on_message(|cx, _| {
        let _ = cx.send(&vec![7; 8 << 20]).unwrap();
        cx.close(CloseCode::NORMAL, "").unwrap();
    });
    let mut local = Local::<mio::net::TcpStream>::new(probe, TIMELESS);
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(7)));
    peer.write_all(&masked_close(1000, "")).unwrap();
    let reading = thread::spawn(move || {
        assert_eq!(read_message(&mut peer).1.len(), 8 << 20);
        read_to_end(&mut peer)
    });
    let mut story = local.story(id);
    story.retain(|heard| *heard != Heard::Drained);
    assert_eq!(story, [Heard::closed(EndedBy::Local, 1000)]);
    assert_eq!(reading.join().unwrap(), b"\x88\x02\x03\xe8");
}

#[test]
fn nothing_is_told_behind_the_end_though_the_queue_drains_only_then() {
    let probe = Probe::echo().on_message(|cx, _| {
        let _ = cx.send(&vec![7; 8 << 20]).unwrap();
        // One too many.
        assert_eq!(cx.send("more"), Err(SendError::NoRoom));
    });
    let mut local = Local::<mio::net::TcpStream>::new(probe, Settings { queue: 1000, ..TIMELESS });
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(7)));
    let reading = thread::spawn(move || {
        assert_eq!(read_message(&mut peer).1.len(), 8 << 20);
        read_to_end(&mut peer).len()
    });
    assert_eq!(local.story(id), [Heard::failed(ProtocolError::QueueOverrun)]);
    assert!(reading.join().unwrap() > 4, "a Close");
}

#[test]
fn a_peer_that_reads_slowly_but_steadily_is_there_though_its_pongs_cannot_be_read() {
    const TOTAL: usize = 24 << 20;
    let timeouts =
        Timeouts { ping: Some(Duration::from_millis(500)), pong: Some(Duration::from_millis(500)), ..Timeouts::NONE };
    let probe = Probe::echo().on_message(|cx, _| _ = cx.send(&vec![7; TOTAL]).unwrap());
    let running = Running::new(probe, with_timeouts(timeouts));
    let (id, mut peer) = running.open_heard();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    let mut chunk = vec![0; TOTAL / 200];
    for _ in 0..200 {
        peer.read_exact(&mut chunk).unwrap();
        // As slow as its network: for longer than a silent one is waited for. What the system alone still has is no longer seen to move.
        if running.ask(move |connections| connections.queued(id)) > 0 {
            thread::sleep(Duration::from_millis(15));
        }
    }
    assert!(running.heard_so_far().iter().all(|heard| !matches!(heard, Heard::Close { .. })));
}
