//! Requests whose answer comes later.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};

use mio::net::{TcpStream, UnixStream};
use sansocket_mio::{Answer, CloseCode, ConnectionId, EndedBy, Timeouts};
use sansocket_testkit::{BINARY, TEXT};

use crate::common::{
    SHORT, TIMELESS, masked, masked_close, noise, read_head, read_message, read_to_end, request, with_timeouts,
};
use crate::harness::{Heard, Local, Net, Probe, Running};

/// A handler that answers nobody at once, and who has asked.
fn later<S: Net>() -> (Probe<S>, Receiver<ConnectionId>) {
    let (asked, asking) = channel();
    let probe = Probe::echo().on_request(move |cx, _| {
        asked.send(cx.id()).unwrap();
        Answer::later()
    });
    (probe, asking)
}

#[test]
fn frames_behind_a_request_that_waits_for_its_answer_are_not_lost() {
    fn over<S: Net>() {
        let (probe, asking) = later();
        let mut local = Local::<S>::new(probe, TIMELESS);
        let mut peer = local.connect();
        // In the head's packet, and in others while the answer is awaited.
        let first = [request(&[]), masked(TEXT, "one"), masked(BINARY, noise(3000))[..1000].to_vec()].concat();
        peer.write_all(&first).unwrap();
        local.turn();
        let id = asking.try_recv().unwrap();
        peer.write_all(&masked(BINARY, noise(3000))[1000..]).unwrap();
        local.turn();
        peer.write_all(&masked_close(1000, "")).unwrap();
        local.turn();
        local.server.connections().answer(id, &Answer::accept());
        assert_eq!(
            local.story(id),
            [Heard::Open, Heard::Message(3), Heard::Message(3000), Heard::closed(EndedBy::Peer, 1000)]
        );
        assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        assert_eq!(read_message(&mut peer), (TEXT, b"one".to_vec()));
        assert_eq!(read_message(&mut peer), (BINARY, noise(3000)));
        assert_eq!(read_to_end(&mut peer), b"\x88\x02\x03\xe8");
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn far_more_than_a_buffer_behind_a_request_that_waits_is_not_lost() {
    let (probe, asking) = later();
    let running = Running::new(probe, TIMELESS);
    let mut peer = running.connect();
    let mut writer = peer.try_clone().unwrap();
    let packet = [request(&[]), masked(TEXT, "one").repeat(20_000), masked(BINARY, noise(1_000_000))].concat();
    let writing = std::thread::spawn(move || writer.write_all(&packet).unwrap());
    let id = asking.recv().unwrap();
    running.ask(move |connections| connections.answer(id, &Answer::accept()));
    assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
    for _ in 0..20_000 {
        assert_eq!(read_message(&mut peer), (TEXT, b"one".to_vec()));
    }
    assert!(read_message(&mut peer).1 == noise(1_000_000));
    writing.join().unwrap();
}

#[test]
fn a_late_refusal_reaches_a_peer_that_has_sent_frames_already() {
    fn over<S: Net>() {
        let (probe, asking) = later();
        let mut local = Local::<S>::new(probe, TIMELESS);
        let mut peer = local.connect();
        peer.write_all(&[request(&[]), masked(TEXT, "one")].concat()).unwrap();
        local.turn();
        peer.write_all(&masked(BINARY, noise(40_000))).unwrap();
        local.turn();
        let id = asking.try_recv().unwrap();
        local.server.connections().answer(id, &Answer::reject(403));
        assert_eq!(local.hear(), (id, Heard::not_opened("Rejected(403)")));
        let answer = String::from_utf8(read_to_end(&mut peer)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        drop(peer);
        assert_eq!(local.story(id), []);
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn the_handler_hears_of_the_opening_before_the_messages_though_somebody_elses_turn_has_answered() {
    let (asked, asking) = channel();
    let probe = Probe::echo()
        .on_request(move |cx, request| match request.target() {
            "/later" => {
                asked.send(cx.id()).unwrap();
                Answer::later()
            }
            _ => Answer::accept(),
        })
        .on_message(move |cx, message| match asking.try_recv() {
            Ok(id) => cx.connections().answer(id, &Answer::accept()),
            Err(_) => _ = cx.send(message),
        });
    let mut local = Local::<TcpStream>::new(probe, TIMELESS);
    let (doorman, mut door) = local.open();
    let mut waits = local.connect();
    let head = String::from_utf8(request(&[])).unwrap().replace("GET / ", "GET /later ");
    waits.write_all(head.as_bytes()).unwrap();
    local.turn();
    // Both are seen by one wait: the one who answers comes first.
    door.write_all(&masked(TEXT, "let them in")).unwrap();
    waits.write_all(&masked(TEXT, "early")).unwrap();
    assert_eq!(local.hear(), (doorman, Heard::Message(11)));
    let (id, heard) = local.hear();
    assert_eq!(heard, Heard::Open);
    assert_eq!(local.hear(), (id, Heard::Message(5)));
    assert!(read_head(&mut waits).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_message(&mut waits), (TEXT, b"early".to_vec()));
}

#[test]
fn the_handler_hears_of_the_opening_before_the_end_though_both_come_at_once() {
    let (probe, asking) = later();
    let mut local = Local::<TcpStream>::new(probe, TIMELESS);
    let mut peer = local.connect();
    peer.write_all(&request(&[])).unwrap();
    local.turn();
    let id = asking.try_recv().unwrap();
    local.server.connections().answer(id, &Answer::accept());
    local.server.connections().close(id, CloseCode::NORMAL, "no, wait").unwrap();
    local.turn();
    assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
    peer.write_all(&masked_close(1000, "")).unwrap();
    assert_eq!(local.story(id), [Heard::Open, Heard::closed(EndedBy::Local, 1000)]);
}

/// What a peer gets whose request was not answered in time, with what it has sent besides.
fn unanswered(behind: &[&[u8]]) -> String {
    let (probe, asking) = later();
    let timeouts = Timeouts { open: SHORT, ..Timeouts::NONE };
    let mut local = Local::<TcpStream>::new(probe, with_timeouts(timeouts));
    let mut peer = local.connect();
    peer.write_all(&request(&[])).unwrap();
    local.turn();
    let id = asking.try_recv().unwrap();
    for bytes in behind {
        peer.write_all(bytes).unwrap();
        local.turn();
    }
    assert_eq!(local.hear(), (id, Heard::not_opened("TimedOut")));
    let answer = String::from_utf8(read_to_end(&mut peer)).unwrap();
    drop(peer);
    assert_eq!(local.story(id), []);
    // Too late.
    local.server.connections().answer(id, &Answer::accept());
    assert_eq!(local.server.connections().len(), 0);
    answer
}

#[test]
fn a_request_that_nobody_answers_in_time_is_answered_with_408() {
    let answer = unanswered(&[]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_request_that_nobody_answers_in_time_is_answered_with_408_though_frames_have_come_behind_it() {
    let answer = unanswered(&[&masked(TEXT, "impatient")]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
}

#[test]
fn only_the_first_late_answer_counts() {
    let (probe, asking) = later();
    let mut local = Local::<TcpStream>::new(probe, TIMELESS);
    let mut peer = local.connect();
    peer.write_all(&request(&[])).unwrap();
    local.turn();
    let id = asking.try_recv().unwrap();
    let connections = local.server.connections();
    connections.answer(id, &Answer::later());
    assert!(!connections.is_open(id));
    connections.answer(id, &Answer::accept().header("X-Answer", "first"));
    connections.answer(id, &Answer::reject(403));
    connections.answer(id, &Answer::accept().header("X-Answer", "third"));
    assert_eq!(local.hear(), (id, Heard::Open));
    assert!(read_head(&mut peer).contains("X-Answer: first\r\n"));
    peer.write_all(&masked(TEXT, "open")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(4)));
    assert_eq!(read_message(&mut peer), (TEXT, b"open".to_vec()));
}

#[test]
fn a_late_answer_to_who_is_gone_does_not_reach_who_came_in_its_place() {
    let (probe, asking) = later();
    let timeouts = Timeouts { open: SHORT, ..Timeouts::NONE };
    let mut local = Local::<TcpStream>::new(probe, with_timeouts(timeouts));
    let mut first = local.connect();
    first.write_all(&request(&[])).unwrap();
    local.turn();
    let gone = asking.try_recv().unwrap();
    assert_eq!(local.hear(), (gone, Heard::not_opened("TimedOut")));
    drop(first);
    assert_eq!(local.story(gone), []);

    let mut second = local.connect();
    second.write_all(&request(&[])).unwrap();
    local.turn();
    let id = asking.try_recv().unwrap();
    assert_ne!(id, gone);
    local.server.connections().answer(gone, &Answer::accept());
    assert_eq!(local.hear(), (id, Heard::not_opened("TimedOut")), "the answer was for another one");
    assert!(read_to_end(&mut second).starts_with(b"HTTP/1.1 408 "));
}
