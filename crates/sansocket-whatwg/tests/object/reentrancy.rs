//! What a listener may do to the object that calls it: anything. Row 7.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{
    BinaryType, CloseEvent, Event, EventLoop, EventType, Listener, ListenerOptions, Pumped, ReadyState, WebSocket,
};

use crate::listeners::{Log, unanswered};
use crate::peer::{self, Peer, next, open, rest, step};

/// How a connection ends that its server has ended with an empty Close.
fn clean() -> Event {
    Event::Close(CloseEvent::new(true, 1005, ""))
}

/// Closes as a server does. When this returns, all that was sent before has come.
fn end(mut peer: Peer) {
    peer.send([0x88, 0]);
    assert_eq!(peer.receive_close(), b"");
    peer.shut_down();
}

#[test]
fn row_07_a_listener_that_is_removed_during_the_dispatch_is_not_called() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let later = Arc::new(Mutex::new(None));
    let removes = Arc::clone(&later);
    socket.add_event_listener(EventType::Open, move |socket, _| {
        socket.remove_event_listener(removes.lock().unwrap().take().unwrap());
    });
    *later.lock().unwrap() = Some(socket.add_event_listener(EventType::Open, log.noting("removed")));
    socket.add_event_listener(EventType::Open, log.noting("last"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["last"]);
}

#[test]
fn row_07_a_listener_that_is_added_during_the_dispatch_hears_of_the_next_event_first() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let adds = log.clone();
    socket.add_once_listener(EventType::Open, move |socket, _| {
        socket.add_event_listener(EventType::Open, adds.noting("added"));
        socket.set_onopen(adds.noting("handler"));
    });
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [""; 0]);
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["added", "handler"]);
}

/// The standard takes the list of listeners twice: once for those that capture, and behind them for the others.
#[test]
fn row_07_what_a_capturing_listener_adds_behind_itself_hears_of_the_same_event() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let adds = log.clone();
    let capturing = Listener::new(move |socket: &WebSocket, _: &Event| {
        socket.add_event_listener(EventType::Open, adds.noting("plain"));
        let also_capturing = Listener::new(adds.noting("capturing"));
        socket.add_listener(EventType::Open, &also_capturing, ListenerOptions::new().capture(true));
    });
    socket.add_listener(EventType::Open, &capturing, ListenerOptions::new().capture(true).once(true));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["plain"]);
}

#[test]
fn row_07_a_listener_that_removes_itself_ends_its_call_and_is_let_go_then() {
    let (socket, _listener) = unanswered();
    let (log, held, own_id) = (Log::default(), Arc::new(()), Arc::new(Mutex::new(None)));
    let (noting, holds, id) = (log.clone(), Arc::clone(&held), Arc::clone(&own_id));
    *own_id.lock().unwrap() = Some(socket.add_event_listener(EventType::Open, move |socket, _| {
        let was_there = socket.remove_event_listener(id.lock().unwrap().unwrap());
        noting.note(format!("{was_there}, held {}", Arc::strong_count(&holds)));
    }));
    socket.dispatch_event(&Event::Open);
    assert_eq!(Arc::strong_count(&held), 1);
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["true, held 2"]);
}

#[test]
fn row_07_an_event_that_a_listener_dispatches_is_heard_of_before_the_call_returns() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let outer = log.clone();
    socket.add_event_listener(EventType::Open, move |socket, _| {
        outer.note("begin");
        socket.dispatch_event(&Event::Error);
        outer.note("end");
    });
    socket.add_event_listener(EventType::Open, log.noting("behind"));
    socket.set_onerror(log.noting("error"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["begin", "error", "end", "behind"]);
}

#[test]
fn row_07_a_shared_listener_may_be_called_while_it_runs_and_a_changing_one_is_passed_over() {
    let (socket, _listener) = unanswered();
    let (log, depth) = (Log::default(), Arc::new(Mutex::new(0)));
    let shared = log.clone();
    let listener = Listener::new(move |socket, event| {
        *depth.lock().unwrap() += 1;
        let at = *depth.lock().unwrap();
        shared.note(format!("shared {at}"));
        if at < 3 {
            socket.dispatch_event(event);
        }
    });
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    let (changing, mut calls) = (log.clone(), 0);
    socket.add_event_listener(EventType::Error, move |socket, event| {
        calls += 1;
        changing.note(format!("changing {calls}"));
        socket.dispatch_event(event);
    });
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["shared 1", "shared 2", "shared 3"]);
    socket.dispatch_event(&Event::Error);
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take(), ["changing 1", "changing 2"]);
}

#[test]
fn row_07_nothing_happens_when_a_listener_pumps_or_waits() {
    let (socket, mut peer) = open();
    let (log, inner) = (Log::default(), Log::default());
    let (order, results) = (log.clone(), inner.clone());
    socket.set_onmessage(move |socket, event| {
        order.note(event.data().to_string());
        results.note(format!("{:?} {}", socket.pump(), socket.wait()));
        socket.run();
        assert_eq!(socket.events().next(), None);
    });
    for text in ["one", "two"] {
        peer.frame(Frame::new(TEXT, text));
    }
    end(peer);
    let _ = (next(&socket), next(&socket));
    assert_eq!(log.take(), ["one", "two"]);
    assert_eq!(inner.take(), ["Idle false", "Idle false"]);
    assert_eq!(rest(&socket), [clean()]);
}

#[test]
fn row_07_a_listener_may_send_and_close_in_every_event() {
    let listener = peer::Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let log = Log::default();
    socket.set_onopen(|socket, _| socket.send("from open").unwrap());
    socket.set_onmessage(|socket, event| {
        socket.send(format!("answer to {}", event.data())).unwrap();
        socket.close_with(3000, "enough").unwrap();
        assert_eq!(socket.ready_state(), ReadyState::Closing);
    });
    let of_close = log.clone();
    socket.set_onclose(move |socket, event| {
        let before = socket.buffered_amount();
        socket.send("nobody gets this").unwrap();
        socket.close();
        of_close.note(format!("{} {}", event.code(), socket.buffered_amount() - before));
    });
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    assert_eq!(peer.receive().payload(), b"from open");
    peer.frame(Frame::new(TEXT, "one"));
    peer.frame(Frame::new(TEXT, "dropped"));
    assert!(matches!(next(&socket), Event::Message(_)));
    assert_eq!(peer.receive().payload(), b"answer to one");
    peer.finish();
    assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(true, 3000, "enough"))]);
    assert_eq!(log.take(), ["3000 16"]);
}

#[test]
fn row_07_listeners_may_change_who_listens_while_an_event_of_the_network_is_under_way() {
    let (socket, mut peer) = open();
    let log = Log::default();
    let changes = log.clone();
    socket.set_onmessage(move |socket, _| {
        changes.note("old");
        socket.set_binary_type(BinaryType::ArrayBuffer);
        let new = changes.clone();
        socket.set_onmessage(move |socket, _| {
            new.note("new");
            socket.clear_handler(EventType::Message);
            socket.add_event_listener(EventType::Close, new.noting("close"));
        });
    });
    for _ in 0..3 {
        peer.frame(Frame::new(TEXT, ""));
        assert!(matches!(next(&socket), Event::Message(_)));
    }
    end(peer);
    assert_eq!(rest(&socket), [clean()]);
    assert_eq!(log.take(), ["old", "new", "close"]);
}

#[test]
fn row_07_a_listener_may_drop_the_last_other_handle() {
    let (socket, mut peer) = open();
    let mut other = Some(socket.clone());
    socket.set_onmessage(move |socket, _| {
        drop(other.take());
        socket.send("still there").unwrap();
    });
    peer.frame(Frame::new(TEXT, ""));
    assert!(matches!(next(&socket), Event::Message(_)));
    assert_eq!(peer.receive().payload(), b"still there");
    peer.frame(Frame::new(TEXT, ""));
    assert!(matches!(next(&socket), Event::Message(_)));
    drop(socket);
    peer.receive();
    assert_eq!(peer.receive_close(), b"", "that was the last handle");
}

#[test]
fn row_07_a_listener_that_holds_its_object_is_let_go_with_the_close_event() {
    let (socket, peer) = open();
    let held = Arc::new(());
    let (own_handle, holds) = (socket.clone(), Arc::clone(&held));
    socket.set_onclose(move |socket, _| {
        assert_eq!((socket, Arc::strong_count(&holds)), (&own_handle, 2));
    });
    let running = socket.spawn();
    drop(socket);
    end(peer);
    running.join().unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn row_07_what_is_dropped_with_a_listener_may_use_the_object() {
    /// Sends when it is dropped.
    struct LastWill(WebSocket);

    impl Drop for LastWill {
        fn drop(&mut self) {
            self.0.send("last will").unwrap();
            self.0.set_onopen(|_, _| ());
        }
    }

    let (socket, mut peer) = open();
    let will = LastWill(socket.clone());
    let id =
        socket.add_event_listener(EventType::Message, move |_, _| assert_eq!(will.0.ready_state(), ReadyState::Open));
    assert!(socket.remove_event_listener(id));
    assert_eq!(peer.receive().payload(), b"last will");

    let will = LastWill(socket.clone());
    socket.set_onerror(move |_, _| assert_eq!(will.0.ready_state(), ReadyState::Open));
    socket.set_onerror(|_, _| ());
    assert_eq!(peer.receive().payload(), b"last will");

    let will = LastWill(socket.clone());
    socket.set_onerror(move |_, _| assert_eq!(will.0.ready_state(), ReadyState::Open));
    socket.clear_handler(EventType::Error);
    assert_eq!(peer.receive().payload(), b"last will");
}

#[test]
fn row_07_a_listener_that_panics_leaves_the_object_usable() {
    let (socket, mut peer) = open();
    let log = Log::default();
    let (panics, mut calls) = (log.clone(), 0);
    socket.set_onmessage(move |_, event| {
        calls += 1;
        panics.note(format!("{calls}: {}", event.data()));
        assert_ne!(calls, 1, "as it has to");
    });
    for text in ["one", "two"] {
        peer.frame(Frame::new(TEXT, text));
    }
    assert!(socket.wait_timeout(peer::PATIENCE));
    let pumped = catch_unwind(AssertUnwindSafe(|| while socket.pump() != Pumped::Idle {}));
    assert!(pumped.is_err());
    assert_eq!((log.take(), socket.ready_state()), (vec![String::from("1: one")], ReadyState::Open));

    socket.send("still there").unwrap();
    assert_eq!(peer.receive().payload(), b"still there");
    // On another thread, too: nobody counts as the one that calls listeners.
    let on_another = socket.clone();
    std::thread::spawn(move || assert!(matches!(next(&on_another), Event::Message(_)))).join().unwrap();
    assert_eq!(log.take(), ["2: two"], "it is called again");
    end(peer);
    assert_eq!(rest(&socket), [clean()]);
}

#[test]
fn row_07_a_listener_of_the_error_that_panics_keeps_nobody_from_the_close_event() {
    let listener = peer::Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    socket.set_onerror(|_, _| panic!("as it has to"));
    listener.accept().send("HTTP/1.1 404 Not Found\r\n\r\n");
    assert!(catch_unwind(AssertUnwindSafe(|| step(&socket))).is_err());
    assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(false, 1006, ""))]);
}

#[test]
fn row_07_a_listener_of_the_close_event_that_panics_is_let_go_all_the_same() {
    let listener = peer::Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let held = Arc::new(());
    let (own_handle, holds) = (socket.clone(), Arc::clone(&held));
    socket.set_onclose(move |_, _| panic!("as it has to: {own_handle:?} {holds:?}"));
    listener.accept().send("HTTP/1.1 404 Not Found\r\n\r\n");
    assert_eq!(next(&socket), Event::Error);
    assert!(catch_unwind(AssertUnwindSafe(|| step(&socket))).is_err());
    assert!(socket.is_over() && !socket.wait());
    assert_eq!(Arc::strong_count(&held), 1, "it would hold its object for ever");
}

#[test]
fn row_07_a_listener_that_panics_in_an_event_loop_keeps_its_object_in_there() {
    let (socket, mut peer) = open();
    let (log, events) = (Log::default(), EventLoop::new());
    let (panics, mut calls) = (log.clone(), 0);
    socket.set_onmessage(move |_, event| {
        calls += 1;
        panics.note(event.data().to_string());
        assert_ne!(calls, 1, "as it has to");
    });
    for text in ["one", "two"] {
        peer.frame(Frame::new(TEXT, text));
    }
    end(peer);
    events.add(&socket);
    let pumped = catch_unwind(AssertUnwindSafe(|| while events.wait() && events.pump() {}));
    assert!(pumped.is_err());
    // What has come before is still to be done, whether or not anything comes from now on.
    assert!(events.pump());
    while !socket.is_over() {
        assert!(socket.has_tasks() || socket.wait_timeout(peer::PATIENCE));
        events.pump();
    }
    assert_eq!(log.take(), ["one", "two"]);
}

#[test]
fn row_07_a_listener_of_the_close_event_that_panics_in_an_event_loop_does_not_make_it_wait_for_ever() {
    let (socket, peer) = open();
    let events = EventLoop::new();
    socket.set_onclose(|_, _| panic!("as it has to"));
    end(peer);
    events.add(&socket);
    assert!(catch_unwind(AssertUnwindSafe(|| while events.wait() && events.pump() {})).is_err());
    assert!(socket.is_over() && events.is_empty());
}
