//! The ways in which an owner gets its events: rows 19 and 64 as far as they are about the owner's loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{Event, EventLoop, EventType, Pumped, ReadyState, WebSocket};

use crate::peer::{Listener, PATIENCE, Peer, clean, failed, lost, message, open, rest};

/// A connecting object with its listeners, what they hear, and its peer.
pub(crate) fn watched() -> (WebSocket, Peer, Arc<Mutex<Vec<Event>>>) {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for event_type in [EventType::Open, EventType::Message, EventType::Error, EventType::Close] {
        let heard = Arc::clone(&heard);
        socket.add_event_listener(event_type, move |_, event| heard.lock().unwrap().push(event.clone()));
    }
    (socket, listener.accept(), heard)
}

/// Accepts, sends two messages, and closes.
pub(crate) fn serve(peer: &mut Peer) {
    peer.answer(&[]);
    peer.frame(Frame::new(TEXT, "one"));
    peer.frame(Frame::new(TEXT, "two"));
    peer.frame(Frame::close(1000, "done"));
    peer.shut_down();
}

#[track_caller]
pub(crate) fn expect_served(events: &[Event]) {
    let [Event::Open, Event::Message(one), Event::Message(two), close] = events else { panic!("{events:?}") };
    assert_eq!((one.data().as_text(), two.data().as_text()), (Some("one"), Some("two")));
    assert_eq!(*close, clean(1000, "done"));
}

#[test]
fn row_64_run_returns_when_it_is_over() {
    let (socket, mut peer, heard) = watched();
    serve(&mut peer);
    socket.run();
    expect_served(&heard.lock().unwrap());
    assert!(socket.is_over());
    // Again, it returns at once.
    socket.run();
}

#[test]
fn row_64_spawn_runs_on_a_thread_of_its_own() {
    let (socket, mut peer, heard) = watched();
    let (sender, thread) = mpsc::channel();
    socket.add_event_listener(EventType::Open, move |_, _| sender.send(std::thread::current().id()).unwrap());
    let handle = socket.spawn();
    serve(&mut peer);
    let id = handle.thread().id();
    assert_eq!(thread.recv_timeout(PATIENCE), Ok(id));
    handle.join().unwrap();
    expect_served(&heard.lock().unwrap());
}

#[test]
fn row_64_events_are_an_iterator_that_ends_with_the_close_event() {
    let (socket, mut peer, heard) = watched();
    serve(&mut peer);
    let events: Vec<_> = socket.events().collect();
    expect_served(&events);
    assert_eq!(events, *heard.lock().unwrap(), "listeners hear of it, too");
    assert_eq!(socket.events().next(), None);
}

#[test]
fn row_64_the_iterator_can_be_left_and_taken_up_again() {
    let (socket, mut peer, _) = watched();
    serve(&mut peer);
    let mut events: Vec<_> = socket.events().take(2).collect();
    assert_eq!(socket.ready_state(), ReadyState::Open);
    events.extend(socket.events());
    expect_served(&events);
}

#[test]
fn row_64_a_loop_runs_many_objects_and_keeps_the_order_of_each() {
    let events = EventLoop::new();
    assert!(events.is_empty() && !events.wait() && !events.pump());
    let mut heard = Vec::new();
    for number in 0..10 {
        let (socket, mut peer, of_one) = watched();
        if number % 2 == 0 {
            events.add(&socket);
            serve(&mut peer);
        } else {
            // Tasks that were there before it comes to the loop count as well.
            serve(&mut peer);
            assert!(socket.wait_timeout(PATIENCE));
            events.add(&socket);
            events.add(&socket);
        }
        heard.push((of_one, peer));
    }
    assert_eq!(events.len(), 10);
    events.run();
    assert!(events.is_empty());
    heard.iter().for_each(|(of_one, _)| expect_served(&of_one.lock().unwrap()));
}

#[test]
fn row_64_a_loop_lets_objects_take_turns() {
    let events = EventLoop::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut peers = Vec::new();
    for number in 0..2 {
        let (socket, mut peer) = open();
        let order = Arc::clone(&order);
        socket.set_onmessage(move |_, _| order.lock().unwrap().push(number));
        peer.send(Frame::new(TEXT, "x").bytes().repeat(100));
        // All of them are here when the pong is.
        peer.frame(Frame::new(sansocket_testkit::PING, ""));
        let _ = peer.receive();
        events.add(&socket);
        peers.push(peer);
    }
    for _ in 0..200 {
        assert!(events.pump());
    }
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 200);
    assert!(order.chunks(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[test]
fn row_64_a_loop_takes_objects_in_while_it_runs() {
    let events = EventLoop::new();
    let (first, mut first_peer, _) = watched();
    let (second, mut second_peer, heard) = watched();
    let (clone, to_add) = (events.clone(), second.clone());
    first.set_onclose(move |_, _| clone.add(&to_add));
    drop(second);
    events.add(&first);
    serve(&mut first_peer);
    let thread = events.spawn();
    serve(&mut second_peer);
    thread.join().unwrap();
    expect_served(&heard.lock().unwrap());
}

#[test]
fn row_64_a_loop_sees_the_end_of_an_object_that_another_one_pumps() {
    let events = EventLoop::new();
    let (socket, mut peer, heard) = watched();
    events.add(&socket);
    serve(&mut peer);
    socket.run();
    events.run();
    assert!(events.is_empty());
    expect_served(&heard.lock().unwrap());
    // What is over when it comes does not stay.
    events.add(&socket);
    events.run();
    assert!(events.is_empty());
}

#[test]
fn row_64_waiting_ends_when_its_time_is_over() {
    let (socket, mut peer) = open();
    let began = Instant::now();
    assert!(!socket.wait_timeout(Duration::from_millis(30)));
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert!(!socket.wait_timeout(Duration::ZERO));
    peer.frame(Frame::new(TEXT, "x"));
    assert!(socket.wait_timeout(Duration::MAX));
    // It takes nothing away.
    assert!(socket.wait_timeout(Duration::ZERO) && socket.wait());
    let _ = message(&socket);
    assert!(!socket.wait_timeout(Duration::ZERO));
    drop(peer);
    assert_eq!(rest(&socket), [lost()]);
    assert!(!socket.wait_timeout(PATIENCE) && !socket.wait());
}

#[test]
fn row_64_a_waker_is_called_when_there_is_something_again_and_behind_the_end() {
    let (socket, mut peer) = open();
    let (sender, woken) = mpsc::channel();
    socket.add_waker(move || {
        let _ = sender.send(());
    });
    assert!(woken.try_recv().is_err(), "there is nothing yet");
    let mut heard = 0;
    for round in 1..=3 {
        let burst = Frame::new(TEXT, "x").bytes().repeat(round);
        peer.send(burst);
        while heard < round {
            woken.recv_timeout(PATIENCE).unwrap();
            // As the contract has it: until there is nothing any more.
            while let Pumped::Fired(Event::Message(_)) = socket.pump() {
                heard += 1;
            }
        }
        heard = 0;
    }
    drop(peer);
    loop {
        woken.recv_timeout(PATIENCE).unwrap();
        match socket.pump() {
            Pumped::Idle => {}
            other => break assert_eq!(other, Pumped::Fired(lost())),
        }
    }
    // And once more, so that a loop lets it go; then no more, since it is let go itself.
    woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(woken.recv(), Err(mpsc::RecvError));
}

#[test]
fn row_64_a_waker_that_comes_late_is_called_at_once() {
    let (socket, mut peer) = open();
    let calls = Arc::new(AtomicUsize::new(0));
    let set = || {
        let calls = Arc::clone(&calls);
        socket.add_waker(move || {
            calls.fetch_add(1, Ordering::SeqCst);
        });
    };
    peer.frame(Frame::new(TEXT, "x"));
    assert!(socket.wait_timeout(PATIENCE));
    set();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let _ = message(&socket);
    set();
    assert_eq!(calls.load(Ordering::SeqCst), 1, "there is nothing");
    drop(peer);
    assert_eq!(rest(&socket), [lost()]);
    let before = calls.load(Ordering::SeqCst);
    set();
    assert_eq!(calls.load(Ordering::SeqCst), before + 1, "it is over");
}

#[test]
fn row_64_a_waker_hears_of_what_was_taken_to_be_sent() {
    let (socket, mut peer) = open();
    let (sender, woken) = mpsc::channel();
    socket.add_waker(move || {
        let _ = sender.send(());
    });
    socket.send("four").unwrap();
    woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!((socket.pump(), socket.buffered_amount()), (Pumped::Quiet, 0));
    assert_eq!(peer.receive_message().1, b"four");
}

#[test]
fn row_64_a_refused_connection_wakes_and_runs_to_its_end() {
    let port = Listener::new().port();
    let socket = WebSocket::new(format!("ws://127.0.0.1:{port}/")).unwrap();
    let (sender, woken) = mpsc::channel();
    socket.add_waker(move || {
        let _ = sender.send(());
    });
    woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(socket.events().collect::<Vec<_>>(), failed());
}

#[test]
fn row_64_a_waker_that_panics_takes_nobody_along() {
    let (bad, mut bad_peer) = open();
    let (good, mut good_peer) = open();
    bad.add_waker(|| panic!("a waker's own affair"));
    bad_peer.frame(Frame::new(TEXT, "x"));
    assert_eq!(message(&bad).as_bytes(), b"x");
    good.send("still here").unwrap();
    assert_eq!(good_peer.receive_message().1, b"still here");
}

#[test]
fn row_64_a_waker_is_not_called_for_messages_that_come_too_late() {
    let (socket, mut peer) = open();
    let (sender, woken) = mpsc::channel();
    socket.add_waker(move || {
        let _ = sender.send(());
    });
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    for _ in 0..10 {
        peer.frame(Frame::new(TEXT, "too late"));
    }
    peer.frame(Frame::close(1000, ""));
    peer.shut_down();
    assert_eq!(rest(&socket), [clean(1000, "")]);
    // For the close event, and behind it; then it is let go.
    let mut calls = 0;
    while woken.recv_timeout(PATIENCE).is_ok() {
        calls += 1;
    }
    assert_eq!(calls, 2);
}
