//! Loops of many objects, and objects of many loops: rows 63 and 64 as far as they are about that.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{EventLoop, WebSocket};

use crate::listeners::Log;
use crate::peer::{PATIENCE, open};
use crate::ways::{expect_served, serve, watched};

/// Says when there is something to do again for an object: those who were to be woken before it have been by then.
fn woken(socket: &WebSocket) -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    socket.add_waker(move || {
        let _ = sender.send(());
    });
    receiver
}

#[test]
fn row_64_an_object_that_gets_messages_faster_than_it_takes_them_leaves_the_others_their_turns() {
    const MESSAGES: usize = 10;
    let events = EventLoop::new();
    let log = Log::default();
    let (busy, mut busy_peer) = open();
    let (other, mut other_peer) = open();
    other.set_onmessage({
        let log = log.clone();
        move |_, _| log.note("other")
    });
    events.add(&busy);
    events.add(&other);
    let (of_busy, of_other) = (woken(&busy), woken(&other));
    assert!(!events.pump(), "there is nothing yet");
    busy_peer.frame(Frame::new(TEXT, "x"));
    of_busy.recv_timeout(PATIENCE).unwrap();

    let mut count = 0;
    let noting = log.clone();
    let peer = Arc::new(Mutex::new(busy_peer));
    let in_listener = Arc::clone(&peer);
    busy.set_onmessage(move |_, _| {
        noting.note("busy");
        count += 1;
        // While each is being taken, the next comes; with the last but one, the other object's, too.
        if count < MESSAGES {
            in_listener.lock().unwrap().frame(Frame::new(TEXT, "x"));
            of_busy.recv_timeout(PATIENCE).unwrap();
        }
        if count == MESSAGES - 2 {
            other_peer.frame(Frame::new(TEXT, "x"));
            of_other.recv_timeout(PATIENCE).unwrap();
        }
    });
    // None of the turns is for nothing.
    for turn in 0..=MESSAGES {
        assert!(events.pump(), "turn {turn}");
    }
    let order = log.take();
    assert_eq!(order.len(), MESSAGES + 1, "{order:?}");
    let at = order.iter().position(|name| name == "other").unwrap();
    // At most one of the first's.
    assert!((MESSAGES - 2..=MESSAGES - 1).contains(&at), "{order:?}");
    assert!(!events.pump(), "nothing is left");
}

#[test]
fn row_64_an_object_in_two_loops_lets_both_come_to_their_end() {
    let (socket, mut peer, heard) = watched();
    let (sender, done) = mpsc::channel();
    for _ in 0..2 {
        let events = EventLoop::new();
        events.add(&socket);
        let sender = sender.clone();
        thread::spawn(move || {
            events.run();
            sender.send(events.len()).unwrap();
        });
    }
    serve(&mut peer);
    for _ in 0..2 {
        assert_eq!(done.recv_timeout(PATIENCE), Ok(0));
    }
    expect_served(&heard.lock().unwrap());
}

/// Does something in a listener of a loop in which there is something to be done for another object, too.
fn inside(of_loop: impl FnOnce(&EventLoop) + Send + 'static) {
    let events = EventLoop::new();
    let log = Log::default();
    let (first, mut first_peer) = open();
    let (second, mut second_peer) = open();
    events.add(&first);
    events.add(&second);
    let (of_first, of_second) = (woken(&first), woken(&second));
    let (inner, noting, mut of_loop) = (events.clone(), log.clone(), Some(of_loop));
    first.set_onmessage(move |_, _| {
        noting.note("first begins");
        of_loop.take().unwrap()(&inner);
        noting.note("first ends");
    });
    let noting = log.clone();
    second.set_onmessage(move |_, _| noting.note("second"));
    first_peer.frame(Frame::new(TEXT, "x"));
    of_first.recv_timeout(PATIENCE).unwrap();
    second_peer.frame(Frame::new(TEXT, "x"));
    of_second.recv_timeout(PATIENCE).unwrap();
    assert!(events.pump() && events.pump());
    assert_eq!(log.take(), ["first begins", "first ends", "second"]);
    assert!(!events.pump());
}

#[test]
fn row_64_in_a_listener_its_own_loop_does_nothing_and_does_not_wait() {
    inside(|events| assert!(!events.wait()));
    inside(|events| assert!(!events.pump()));
    inside(EventLoop::run);
}

#[test]
fn row_64_in_a_listener_another_loop_or_object_can_be_run_to_its_end() {
    inside(|_| {
        let events = EventLoop::new();
        let (socket, mut peer, heard) = watched();
        events.add(&socket);
        serve(&mut peer);
        events.run();
        expect_served(&heard.lock().unwrap());

        let (socket, mut peer, heard) = watched();
        serve(&mut peer);
        socket.run();
        expect_served(&heard.lock().unwrap());
    });
}
