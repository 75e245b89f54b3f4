//! Floods of pings and pongs.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use sansocket_mio::{ProtocolError, Settings, Timeouts};
use sansocket_testkit::{CLOSE, CONTINUATION, PING, PONG, TEXT};

use crate::common::{
    LIMIT, SHORT, TIMELESS, close_frame, fragment, masked, read_frame, read_message, read_to_end, with_timeouts,
};
use crate::harness::{Heard, Local, Net, Probe, Running};

/// The payload of ping number `at`.
fn numbered(at: usize) -> Vec<u8> {
    let mut payload = vec![u8::try_from(at % 256).unwrap(); at % 122 + 4];
    payload[..4].copy_from_slice(&u32::try_from(at).unwrap().to_be_bytes());
    payload
}

#[test]
fn rfc6455_5_5_3_each_of_many_pings_gets_its_pong_in_order() {
    const COUNT: usize = 20_000;
    let running = Running::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = running.open_heard();
    let mut writer = peer.try_clone().unwrap();
    let writing = thread::spawn(move || {
        let pings: Vec<u8> = (0..COUNT).flat_map(|at| masked(PING, numbered(at))).collect();
        writer.write_all(&pings).unwrap();
    });
    for at in 0..COUNT {
        let frame = read_frame(&mut peer);
        assert_eq!((frame.opcode(), frame.payload()), (PONG, &numbered(at)[..]));
    }
    writing.join().unwrap();
    for at in 0..COUNT {
        assert_eq!(running.hear(), (id, Heard::Ping(numbered(at))));
    }
}

#[test]
fn rfc6455_5_5_2_pings_inside_of_a_fragmented_message_are_answered_before_it_ends() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let (id, mut peer) = local.open();
        peer.write_all(&[fragment(TEXT, "a"), masked(PING, "1"), fragment(CONTINUATION, "b")].concat()).unwrap();
        assert_eq!(local.hear(), (id, Heard::Ping(b"1".to_vec())));
        assert_eq!(read_frame(&mut peer).payload(), b"1");
        peer.write_all(&[masked(PONG, "2"), masked(CONTINUATION, "c")].concat()).unwrap();
        assert_eq!((local.hear(), local.hear()), ((id, Heard::Pong(b"2".to_vec())), (id, Heard::Message(3))));
        assert_eq!(read_message(&mut peer), (TEXT, b"abc".to_vec()));
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

#[test]
fn a_flood_of_pings_that_is_never_read_is_queued_up_to_the_mark_and_answered_when_it_is() {
    let settings = Settings { high_mark: 20_000, low_mark: 5_000, ..TIMELESS };
    let running = Running::prepared(Probe::echo(), settings, |server| server.set_read_buffer(32 * 1024));
    let (id, mut peer) = running.open_heard();
    peer.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut most = 0;
    let mut sent = 0;
    let rest = 'flood: loop {
        let pings: Vec<u8> = (sent..sent + 200).flat_map(|at| masked(PING, numbered(at))).collect();
        sent += 200;
        let mut left = &pings[..];
        while !left.is_empty() {
            most = most.max(running.ask(move |connections| connections.queued(id)));
            match peer.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                    break 'flood left.to_vec();
                }
            }
        }
    };
    assert!(most > 20_000, "nothing was queued: {most}");
    // The pongs to what was read at once, which are shorter than the pings.
    assert!(most <= 20_000 + 32 * 1024, "{most}");
    peer.set_write_timeout(Some(LIMIT)).unwrap();
    let mut writer = peer.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&rest).unwrap());
    for at in 0..sent {
        let frame = read_frame(&mut peer);
        assert_eq!((frame.opcode(), frame.payload()), (PONG, &numbered(at)[..]));
    }
    writing.join().unwrap();
}

#[test]
fn a_flood_of_pings_that_is_never_read_ends_in_time_while_others_are_served() {
    let timeouts = Timeouts { ping: SHORT, pong: SHORT, end: SHORT, ..Timeouts::NONE };
    let running = Running::new(Probe::echo(), with_timeouts(timeouts));
    let (_, mut peer) = running.open_heard();
    let flooding = thread::spawn(move || {
        let pings = masked(PING, [7; 125]).repeat(500);
        while peer.write_all(&pings).is_ok() {}
    });
    loop {
        match running.hear().1 {
            Heard::Ping(_) | Heard::Drained => {}
            heard => {
                assert_eq!(heard, Heard::failed(ProtocolError::PongTimeout));
                break;
            }
        }
    }
    let mut served = running.open();
    served.write_all(&masked(TEXT, "hello")).unwrap();
    assert_eq!(read_message(&mut served), (TEXT, b"hello".to_vec()));
    flooding.join().unwrap();
}

#[test]
fn a_flood_of_unasked_pongs_is_taken_and_not_answered() {
    let running = Running::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = running.open_heard();
    peer.write_all(&masked(PONG, "unasked").repeat(10_000)).unwrap();
    peer.write_all(&masked(TEXT, "behind")).unwrap();
    assert_eq!(read_message(&mut peer), (TEXT, b"behind".to_vec()));
    for _ in 0..10_000 {
        assert_eq!(running.hear(), (id, Heard::Pong(b"unasked".to_vec())));
    }
}

#[test]
fn rfc6455_5_5_a_control_frame_may_be_cut_anywhere() {
    let mut local = Local::<mio::net::TcpStream>::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = local.open();
    for cut in 1..masked(PING, [7; 125]).len() {
        let frame = masked(PING, [7; 125]);
        peer.write_all(&frame[..cut]).unwrap();
        local.turn();
        peer.write_all(&frame[cut..]).unwrap();
        assert_eq!(local.hear(), (id, Heard::Ping(vec![7; 125])));
        assert_eq!(read_frame(&mut peer).payload(), [7; 125]);
    }
    peer.write_all(&masked(PING, [7; 126])).unwrap();
    assert_eq!(local.hear(), (id, Heard::failed(ProtocolError::ControlTooLong)));
    assert_eq!(read_to_end(&mut peer), close_frame(1002, ProtocolError::ControlTooLong.text()));
}

#[test]
fn a_server_pings_and_hears_the_pong() {
    let mut local = Local::<mio::net::TcpStream>::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = local.open();
    let connections = local.server.connections();
    connections.ping(id, b"are you there?").unwrap();
    assert_eq!(connections.ping(id, &[0; 126]), Err(sansocket_mio::SendError::ControlTooLong));
    local.turn();
    let ping = read_frame(&mut peer);
    assert_eq!((ping.opcode(), ping.payload()), (PING, &b"are you there?"[..]));
    peer.write_all(&masked(PONG, ping.payload())).unwrap();
    assert_eq!(local.hear(), (id, Heard::Pong(b"are you there?".to_vec())));
    peer.write_all(&masked(CLOSE, "")).unwrap();
    assert_eq!(local.story(id).len(), 1);
}
