//! What happens to objects whose owner is gone: row 63.

use sansocket_testkit::{CLOSE, Frame, TEXT, close_body};
use sansocket_whatwg::{Data, Event, EventLoop, EventType, ReadyState, WebSocket};

use std::sync::{Arc, mpsc};

use crate::peer::{Listener, PATIENCE, Peer, clean, failed, next, open, rest};

const GOING_AWAY: u16 = 1001;

#[test]
fn row_63_the_last_handle_closes_behind_what_was_sent() {
    let (socket, mut peer) = open();
    let other = socket.clone();
    let long = vec![b'x'; 8 * 1024 * 1024];
    socket.send(&*String::from_utf8(long.clone()).unwrap()).unwrap();
    drop(socket);
    other.send("last").unwrap();
    drop(other);
    assert!(peer.receive_message() == (TEXT, long));
    assert_eq!(peer.receive_message(), (TEXT, b"last".to_vec()));
    assert_eq!(peer.receive_close(), b"");
    // The network does the rest.
    peer.frame(Frame::new(CLOSE, ""));
    peer.shut_down();
    peer.receive_end();
}

#[test]
fn row_63_what_comes_for_nobody_is_read_all_the_same() {
    let (socket, mut peer) = open();
    drop(socket);
    assert_eq!(peer.receive_close(), b"");
    // More than all buffers hold: if nobody read it, this would not end.
    let frame = Frame::new(TEXT, vec![b'x'; 1024 * 1024]).bytes();
    (0..32).for_each(|_| peer.send(&frame));
    peer.frame(Frame::new(CLOSE, ""));
    peer.shut_down();
    peer.receive_end();
}

#[test]
fn row_63_an_object_that_is_dropped_with_much_unread_closes() {
    let (socket, mut peer) = open();
    let frame = Frame::new(TEXT, vec![b'x'; 1024 * 1024]).bytes();
    // More than an object takes without its owner.
    let writer = std::thread::spawn(move || {
        (0..32).for_each(|_| peer.send(&frame));
        peer
    });
    assert!(socket.wait_timeout(PATIENCE));
    drop(socket);
    let mut peer = writer.join().unwrap();
    assert_eq!(peer.receive_close(), b"");
    peer.frame(Frame::new(CLOSE, ""));
    peer.shut_down();
    peer.receive_end();
}

#[test]
fn row_63_an_object_that_is_dropped_while_it_connects_is_given_up() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let peer = listener.accept();
    drop(socket);
    peer.receive_end();
}

#[test]
fn row_63_an_object_that_is_dropped_before_it_knows_that_it_is_open_is_given_up() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert!(socket.wait_timeout(PATIENCE));
    drop(socket);
    let _ = peer.receive_close();
    peer.shut_down();
    peer.receive_end();
}

#[test]
fn row_63_a_dropped_object_lets_go_what_its_listeners_hold() {
    let (socket, mut peer) = open();
    let held = Arc::new(());
    let in_listener = Arc::clone(&held);
    socket.add_event_listener(EventType::Message, move |_, _| drop(Arc::clone(&in_listener)));
    let in_handler = Arc::clone(&held);
    socket.set_onclose(move |_, _| drop(Arc::clone(&in_handler)));
    let in_waker = Arc::clone(&held);
    socket.add_waker(move || drop(Arc::clone(&in_waker)));
    assert_eq!(Arc::strong_count(&held), 4);
    drop(socket);
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(peer.receive_close(), b"");
}

#[test]
fn row_63_a_closed_object_lets_go_what_its_listeners_hold_even_itself() {
    let (socket, peer) = open();
    let held = Arc::new(());
    let (in_listener, itself) = (Arc::clone(&held), socket.clone());
    socket.add_event_listener(EventType::Message, move |_, _| drop((Arc::clone(&in_listener), itself.clone())));
    drop(peer);
    socket.run();
    assert_eq!(Arc::strong_count(&held), 1);
}

/// An object in a loop, whose handles are gone but for the loop's, and its peer.
fn kept_by(events: &EventLoop) -> (mpsc::Receiver<(ReadyState, Event)>, Peer) {
    let (socket, peer) = open();
    let (sender, receiver) = mpsc::channel();
    for event_type in [EventType::Message, EventType::Error, EventType::Close] {
        let sender = sender.clone();
        socket.add_event_listener(event_type, move |socket, event| {
            sender.send((socket.ready_state(), event.clone())).unwrap();
        });
    }
    events.add(&socket);
    (receiver, peer)
}

#[test]
fn row_63_a_loop_keeps_its_objects_alive_until_they_are_over() {
    let events = EventLoop::new();
    let (heard, mut peer) = kept_by(&events);
    assert_eq!(events.len(), 1);
    peer.frame(Frame::new(TEXT, "still there"));
    peer.frame(Frame::close(1000, ""));
    peer.shut_down();
    events.run();
    let (state, event) = heard.recv().unwrap();
    let Event::Message(event) = event else { unreachable!() };
    assert_eq!((state, event.data()), (ReadyState::Open, &Data::from("still there")));
    assert_eq!(heard.recv(), Ok((ReadyState::Closed, clean(1000, ""))));
    assert!(events.is_empty() && heard.recv().is_err());
}

#[test]
fn row_63_a_loop_that_goes_away_closes_its_objects_with_1001() {
    let events = EventLoop::new();
    let (heard, mut peer) = kept_by(&events);
    let (open_one, mut other_peer) = open();
    events.add(&open_one);
    let listener = Listener::new();
    let connecting = WebSocket::new(listener.url()).unwrap();
    let third_peer = listener.accept();
    events.add(&connecting);
    open_one.send("before").unwrap();
    events.go_away();
    assert_eq!(open_one.ready_state(), ReadyState::Closing);
    assert_eq!(connecting.ready_state(), ReadyState::Closing);
    assert_eq!(peer.receive_close(), GOING_AWAY.to_be_bytes());
    assert_eq!(other_peer.receive_message().1, b"before");
    assert_eq!(other_peer.receive_close(), GOING_AWAY.to_be_bytes());
    third_peer.receive_end();
    for peer in [&mut peer, &mut other_peer] {
        peer.frame(Frame::new(CLOSE, close_body(1001, "")));
        peer.shut_down();
    }
    events.run();
    assert_eq!(heard.recv(), Ok((ReadyState::Closed, clean(GOING_AWAY, ""))));
    assert_eq!((open_one.ready_state(), connecting.ready_state()), (ReadyState::Closed, ReadyState::Closed));
}

#[test]
fn row_63_a_loop_that_is_dropped_closes_its_objects_with_1001() {
    let events = EventLoop::new();
    let clone = events.clone();
    let (heard, mut peer) = kept_by(&events);
    let (held, mut other_peer) = open();
    events.add(&held);
    drop(events);
    assert_eq!((clone.len(), held.ready_state()), (2, ReadyState::Open));
    drop(clone);
    // One has gone with the loop, and is told nothing more.
    assert_eq!(peer.receive_close(), GOING_AWAY.to_be_bytes());
    assert!(heard.recv_timeout(PATIENCE).is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected));
    // Who has a handle of its own can pump it on.
    assert_eq!(other_peer.receive_close(), GOING_AWAY.to_be_bytes());
    other_peer.frame(Frame::close(GOING_AWAY, ""));
    other_peer.shut_down();
    assert_eq!(rest(&held), [clean(GOING_AWAY, "")]);
}

#[test]
fn row_63_a_loop_that_is_dropped_gives_up_what_connects() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let peer = listener.accept();
    let events = EventLoop::new();
    events.add(&socket);
    drop(events);
    assert_eq!(next(&socket), Event::Error);
    assert_eq!(rest(&socket), failed()[1..]);
    peer.receive_end();
}

#[test]
fn row_63_a_spawned_object_lives_as_long_as_its_thread() {
    let (socket, mut peer) = open();
    let (sender, heard) = mpsc::channel();
    socket.set_onmessage(move |socket, event| {
        sender.send(event.data().clone()).unwrap();
        socket.send("heard").unwrap();
    });
    let thread = socket.spawn();
    drop(socket);
    peer.frame(Frame::new(TEXT, "hello"));
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(Data::from("hello")));
    assert_eq!(peer.receive_message().1, b"heard");
    peer.frame(Frame::close(1000, ""));
    assert_eq!(peer.receive_close(), 1000_u16.to_be_bytes());
    peer.shut_down();
    thread.join().unwrap();
    peer.receive_end();
}
