//! Flaws that other implementations of WebSocket have had, where an event loop is what they need. `docs/security.md` tells of them; those that
//! need no transport are in the engine's tests.

#[path = "driver/fake.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod fake;

use std::time::Duration;

use allocation_counter::measure;
use sansocket_mio::{Common, Driver, Limits, Message, OpenError, ProtocolError, SendError, Settings, Timeouts};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, PING, TEXT};

use crate::fake::{Coming, Fake, Going, Heard, REQUEST, Rig, masked, message, open};

const READ: usize = 64 * 1024;
const TIMELESS: Settings = Settings { timeouts: Timeouts::NONE, ..Settings::DEFAULT };

/// CVE-2020-35896 (ws-rs): what is queued for a peer that does not read.
#[test]
fn cve_2020_35896_what_is_queued_for_a_peer_that_does_not_read_is_refused_at_the_limit() {
    let settings = Settings { queue: 1 << 20, ..TIMELESS };
    let mut rig = open(settings, READ);
    rig.stream().going.push_back(Going::Takes(0));
    let message = vec![7; 64 << 10];
    let (mut accepted, mut most) = (0, 0);
    for _ in 0..10_000 {
        rig.stream().going.push_back(Going::Takes(0));
        let sent = rig.driver.turn(&mut rig.common).send(&message);
        most = most.max(rig.driver.queued());
        match sent {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, SendError::NoRoom | SendError::Closing), "{error:?}"),
        }
    }
    assert!((15..=17).contains(&accepted), "{accepted}");
    assert!(most <= (1 << 20) + message.len() + 200, "{most}");
    assert!(!rig.driver.may_send(), "the connection has failed");
}

/// CVE-2020-35896 again, and OkHttp's queue of pongs: pings of a peer that does not read.
#[test]
fn cve_2020_35896_a_flood_of_pings_is_left_unread_above_the_mark() {
    let settings = Settings { high_mark: 64 << 10, low_mark: 16 << 10, ..TIMELESS };
    let mut rig = open(settings, READ);
    rig.stream().going.extend((0..100_000).map(|_| Going::Takes(0)));
    rig.stream().push(Coming::Bytes(masked(PING, [7; 125]).repeat(100_000)));
    for _ in 0..1000 {
        rig.turn((true, false, true));
    }
    assert!(rig.most_queued <= (64 << 10) + READ + 200, "{}", rig.most_queued);
    assert!(rig.driver.queued() > 64 << 10 && !rig.driver.may_read(), "it waits for the peer");
    let read = rig.stream().reads;
    assert!(read < 10, "of 200 that there are: {read}");
    // Once the peer reads, it goes on, and every ping has its pong.
    rig.stream().going.clear();
    rig.run();
    rig.turn((true, false, true));
    rig.run();
    assert_eq!(rig.stream().written.len(), 127 * 100_000);
}

/// kemal #767 and 0ang3el's websocket-smuggle: a refused request, behind which the next one was read.
#[test]
fn kemal_767_websocket_smuggle_behind_a_refused_request_nothing_is_read() {
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    for (first, status) in [(request.replace(": 13", ": 777"), 426), (request.replace("GET", "PUT"), 405)] {
        let both = format!("{first}{}", request.replace("/chat", "/secret"));
        for packets in [vec![both.clone().into_bytes()], both.bytes().map(|byte| vec![byte]).collect()] {
            let mut rig = Rig::server(Fake::new(packets.into_iter().map(Coming::Bytes)).ending(), TIMELESS, READ);
            rig.run();
            let answer = String::from_utf8(rig.stream().written.clone()).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
            assert!(matches!(&rig.heard[..], [Heard::NotOpened(_)]), "{:?}", rig.heard);
            assert!(rig.stream().is_shut && rig.driver.is_finished());
        }
    }
}

/// CVE-2017-2670 (Undertow): an end without a Close, and a loop that was woken for it again and again.
#[test]
fn cve_2017_2670_the_end_of_the_stream_is_told_once_and_then_there_is_nothing_to_do() {
    let frames = [masked(TEXT, "hello"), masked(TEXT, "cut")[..7].to_vec()].concat();
    for cut in 0..=frames.len() {
        let mut rig = open(TIMELESS, READ);
        if cut > 0 {
            rig.stream().push(Coming::Bytes(frames[..cut].to_vec()));
        }
        rig.stream().ends = true;
        rig.turn((true, true, false));
        rig.run();
        assert!(rig.driver.is_finished(), "{cut}");
        let ends = rig.heard.iter().filter(|heard| matches!(heard, Heard::End(_))).count();
        let calls = rig.calls();
        for _ in 0..10 {
            rig.turn((true, true, true));
        }
        assert_eq!((ends, rig.calls()), (1, (0, 0)), "{cut}: {calls:?} before");
        assert_eq!(rig.heard.iter().filter(|heard| matches!(heard, Heard::End(_))).count(), 1);
        assert!(!rig.driver.wants_turn() && rig.driver.deadline(&rig.common).is_none());
    }
}

/// A warm driver takes these packets, and how much of the heap it holds at most meanwhile.
fn held(limits: Limits, packets: Vec<Vec<u8>>) -> (Rig, u64) {
    let mut rig = open(Settings { limits, ..TIMELESS }, READ);
    let mut peak = 0;
    for packet in packets {
        rig.stream().push(Coming::Bytes(packet));
        peak = peak.max(measure(|| rig.run()).bytes_max);
    }
    (rig, peak)
}

/// CVE-2022-35922 (rust-websocket), gobwas/ws #223: memory for what a header announces.
#[test]
fn cve_2022_35922_an_announced_length_takes_no_memory() {
    let header = [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    let limits = Limits { message: u64::MAX, ..Limits::DEFAULT };
    for there in [0, 10, 1000] {
        let (rig, peak) = held(limits, vec![[&header[..], &vec![1; there]].concat()]);
        // What has come, and room for one read.
        assert!(peak < 8 << 10, "{there}: {peak}");
        assert_eq!(rig.heard, [], "it goes on");
    }
    let (rig, _) = held(Limits::DEFAULT, vec![[0x82, 0xFF, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0].to_vec()]);
    assert!(!rig.driver.may_send(), "64 MiB and a byte");
}

/// CVE-2026-48779 (ws), CVE-2014-0193 (Netty): fragments without end, empty ones too.
#[test]
fn cve_2026_48779_fragments_without_end_are_counted_and_take_no_memory() {
    let begin = Frame::new(BINARY, "").fin(false).masked([0; 4]).bytes();
    let go_on = Frame::new(CONTINUATION, "").fin(false).masked([0; 4]).bytes();
    let (mut rig, peak) = held(Limits::DEFAULT, vec![begin, go_on.repeat(200_000)]);
    assert!(peak < 8 << 10, "{peak}");
    rig.stream().ends = true;
    rig.turn((true, true, false));
    rig.run();
    let error = ProtocolError::TooManyFragments;
    let told = rig
        .heard
        .iter()
        .any(|heard| matches!(heard, Heard::End(ending) if ending.by() == sansocket_mio::EndedBy::Failure(error)));
    assert!(told, "{:?}", rig.heard);
}

/// aiohttp #13743 and #13749: what came behind a violation was kept.
#[test]
fn aiohttp_13743_nothing_is_kept_of_what_comes_behind_a_violation() {
    let flood = vec![0x89; 1 << 20];
    let (mut rig, peak) = held(Limits::DEFAULT, [vec![vec![0x83]], vec![flood; 100]].concat());
    assert!(peak < 8 << 10, "{peak}");
    assert!(rig.driver.is_finished(), "nor is it read without end");
    assert!(rig.stream().reads < 400, "{}", rig.stream().reads);
    assert!(rig.stream().written.starts_with(b"\x88"));
}

/// rama #895: each of many small frames in one read moved all that lay behind it.
#[test]
fn rama_895_many_small_frames_in_one_read_take_one_read_and_one_write() {
    let mut rig = open(TIMELESS, 1 << 20);
    rig.stream().push(Coming::Bytes((0..1000_u32).flat_map(|at| masked(BINARY, at.to_be_bytes())).collect()));
    rig.run();
    assert!((0..1000_u32).map(|at| message(Message::Binary(&at.to_be_bytes()))).eq(rig.heard.iter().cloned()));
    assert_eq!(rig.calls(), (1, 1));
}

/// CVE-2021-42340 (Tomcat): each connection left something behind.
#[test]
fn cve_2021_42340_ten_thousand_connections_leave_nothing_behind() {
    let mut common = Common::new(TIMELESS);
    let mut buffer = vec![0; READ];
    let frames = [REQUEST.to_vec(), masked(TEXT, "hello"), masked(BINARY, "cut")[..8].to_vec()].concat();
    let mut cycle = |at: usize| {
        let wire = frames[..frames.len() - at % frames.len()].to_vec();
        let mut driver = Driver::server(Fake::new([Coming::Bytes(wire)]).ending(), &common);
        for _ in 0..4 {
            let mut turn = driver.turn(&mut common);
            turn.on_readable(true);
            let mut input = turn.read(&mut buffer);
            while let Some(event) = turn.next(&mut input) {
                match event {
                    sansocket_mio::Event::Request(request) => {
                        turn.answer(Some(&request), &sansocket_mio::Answer::accept());
                    }
                    sansocket_mio::Event::Message(message) => _ = turn.send(message.as_message()),
                    _ => {}
                }
            }
        }
    };
    (0..200).for_each(&mut cycle);
    let taken = measure(|| (0..10_000).for_each(&mut cycle));
    assert_eq!((taken.count_current, taken.bytes_current), (0, 0));
}

/// Whoever sends a byte a minute makes progress, and is late all the same.
#[test]
fn slowloris_no_byte_of_a_request_moves_its_deadline() {
    let timeouts = Timeouts { open: Some(Duration::from_secs(1000)), ..Timeouts::NONE };
    let mut rig = Rig::server(Fake::default(), Settings { timeouts, ..Settings::DEFAULT }, READ);
    let deadline = rig.driver.deadline(&rig.common);
    assert!(deadline.is_some());
    for byte in &REQUEST[..REQUEST.len() - 1] {
        rig.stream().push(Coming::Bytes(vec![*byte]));
        rig.run();
        assert_eq!(rig.driver.deadline(&rig.common), deadline);
    }
    assert_eq!(rig.heard, []);
}

/// The error of a deadline has a name of its own, so that nobody takes it for an end of the peer's.
#[test]
fn slowloris_a_request_that_is_late_is_told_as_late() {
    let timeouts = Timeouts { open: Some(Duration::ZERO), ..Timeouts::NONE };
    let mut rig = Rig::server(Fake::default(), Settings { timeouts, ..Settings::DEFAULT }, READ);
    let Rig { driver, common, .. } = &mut rig;
    let mut turn = driver.turn(common);
    turn.on_deadline();
    let told = turn.next(&mut &mut [][..]);
    assert!(matches!(told, Some(sansocket_mio::Event::NotOpened(OpenError::TimedOut))), "{told:?}");
    drop(turn);
    assert!(rig.stream().written.starts_with(b"HTTP/1.1 408 "));
}
