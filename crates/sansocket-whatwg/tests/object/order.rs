//! Events and tasks in order: rows 64 and 65.

use std::sync::{Arc, Mutex};

use sansocket_testkit::{BINARY, Frame, TEXT};
use sansocket_whatwg::{Data, Event, EventPhase, EventType, MessageEvent, Pumped, ReadyState, WebSocket};

use crate::peer::{Listener, clean, failed, message, next, open, step};

/// All that can be read.
fn readable(socket: &WebSocket) -> (ReadyState, u64, String, String) {
    (socket.ready_state(), socket.buffered_amount(), socket.protocol(), socket.extensions())
}

/// An object about which the network knows all, from the answer to the end of TCP, and the owner nothing yet.
fn with_all_queued(frames: &[Frame]) -> WebSocket {
    let listener = Listener::new();
    let socket = WebSocket::with_protocols(listener.url(), "chat").unwrap();
    let mut peer = listener.accept();
    let answer = peer.answer_of(&["Sec-WebSocket-Protocol: chat"]);
    let frames: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
    peer.send([answer.as_bytes(), &frames].concat());
    peer.shut_down();
    // The client ends TCP when it has seen the end: behind that, all is queued.
    let _ = peer.receive_close();
    peer.receive_end();
    socket
}

#[test]
fn row_64_nothing_changes_but_by_the_owners_steps_one_task_at_a_time() {
    let frames =
        [Frame::new(TEXT, "one"), Frame::new(BINARY, "two"), Frame::new(TEXT, "three"), Frame::close(1000, "done")];
    let socket = with_all_queued(&frames);
    let connecting = (ReadyState::Connecting, 0, String::new(), String::new());
    assert_eq!(readable(&socket), connecting);
    assert!(socket.has_tasks() && !socket.is_over());

    let with = |state| (state, 0, String::from("chat"), String::new());
    assert_eq!((step(&socket), readable(&socket)), (Pumped::Fired(Event::Open), with(ReadyState::Open)));
    for data in ["one", "two", "three"] {
        assert_eq!(message(&socket).as_bytes(), data.as_bytes());
        assert_eq!(readable(&socket), with(ReadyState::Open));
    }
    assert_eq!((step(&socket), readable(&socket)), (Pumped::Quiet, with(ReadyState::Closing)));
    assert!(!socket.is_over());
    let close = Pumped::Fired(clean(1000, "done"));
    assert_eq!((step(&socket), readable(&socket)), (close, with(ReadyState::Closed)));
    assert!(socket.is_over() && !socket.has_tasks());
    assert_eq!((socket.pump(), socket.wait()), (Pumped::Idle, false));
}

#[test]
fn row_64_a_failure_is_two_events_and_the_state_is_closed_for_both() {
    let socket = with_all_queued(&[Frame::new(TEXT, "one"), Frame::new(3, "")]);
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert_eq!(step(&socket), Pumped::Fired(Event::Open));
    assert_eq!((message(&socket), socket.ready_state()), (Data::from("one"), ReadyState::Open));
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Fired(failed()[0].clone()), ReadyState::Closed));
    assert!(socket.has_tasks() && !socket.is_over());
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Fired(failed()[1].clone()), ReadyState::Closed));
    assert!(socket.is_over());
}

#[test]
fn row_64_within_a_listener_only_the_owner_changes_something() {
    let socket = with_all_queued(&[Frame::new(TEXT, "one"), Frame::close(1000, "")]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let in_listener = Arc::clone(&seen);
    socket.add_event_listener(EventType::Open, move |socket, _| {
        in_listener.lock().unwrap().push(socket.ready_state());
        socket.send("too late, and counted").unwrap();
        in_listener.lock().unwrap().push(socket.ready_state());
        assert_eq!((socket.pump(), socket.wait()), (Pumped::Idle, false));
        assert_eq!(socket.buffered_amount(), 21);
    });
    assert_eq!(next(&socket), Event::Open);
    assert_eq!(message(&socket), Data::from("one"));
    assert_eq!((step(&socket), socket.ready_state()), (Pumped::Quiet, ReadyState::Closing));
    assert_eq!(next(&socket), clean(1000, ""));
    assert_eq!(*seen.lock().unwrap(), [ReadyState::Open; 2]);
}

#[test]
fn row_64_closing_between_two_tasks_drops_the_messages_and_keeps_the_servers_close() {
    let socket = with_all_queued(&[Frame::new(TEXT, "one"), Frame::new(TEXT, "two"), Frame::close(4000, "mine")]);
    assert_eq!(next(&socket), Event::Open);
    assert_eq!(message(&socket), Data::from("one"));
    socket.close_with(3000, "ours").unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(next(&socket), clean(4000, "mine"));
    assert!(socket.is_over());
}

#[test]
fn row_64_thousands_of_messages_keep_their_order() {
    let (socket, mut peer) = open();
    let mut bytes = Vec::new();
    for number in 0..5000_u32 {
        let opcode = if number % 2 == 0 { TEXT } else { BINARY };
        bytes.extend(Frame::new(opcode, number.to_string()).bytes());
    }
    peer.send(bytes);
    for number in 0..5000_u32 {
        let data = message(&socket);
        assert_eq!(data.as_bytes(), number.to_string().as_bytes());
        assert_eq!(data.as_text().is_some(), number % 2 == 0);
    }
}

#[test]
fn row_65_events_neither_bubble_nor_can_be_cancelled_and_are_at_their_target() {
    let message = Event::Message(MessageEvent::new("data", "ws://example.com"));
    let [error, close] = failed();
    let types = [EventType::Open, EventType::Message, EventType::Error, EventType::Close];
    for (event, event_type) in [Event::Open, message, error, close].into_iter().zip(types) {
        assert_eq!(event.event_type(), event_type);
        assert!(!event.bubbles() && !event.cancelable());
        assert_eq!(event.event_phase(), EventPhase::AtTarget);
        assert_eq!(event.event_phase() as u16, 2);
    }
    assert_eq!(types.map(EventType::as_str), ["open", "message", "error", "close"]);
}

#[test]
fn row_65_the_target_of_every_event_is_the_object() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let other = WebSocket::new("ws://127.0.0.1:1/").unwrap();
    let (copy, heard) = (socket.clone(), Arc::new(Mutex::new(Vec::new())));
    for event_type in [EventType::Open, EventType::Message, EventType::Error, EventType::Close] {
        let (copy, heard) = (copy.clone(), Arc::clone(&heard));
        socket.add_event_listener(event_type, move |target, event| {
            assert!(*target == copy, "target and current target");
            heard.lock().unwrap().push(event.event_type());
        });
    }
    assert!(socket != other);
    let mut peer = listener.accept();
    peer.answer(&[]);
    peer.send([Frame::new(TEXT, "x").bytes(), Frame::new(3, "").bytes()].concat());
    peer.shut_down();
    socket.run();
    let all = [EventType::Open, EventType::Message, EventType::Error, EventType::Close];
    assert_eq!(*heard.lock().unwrap(), all);
}
