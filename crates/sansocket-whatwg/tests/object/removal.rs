//! Listeners that go: row 7 as far as it is about that.

use std::sync::Arc;

use sansocket_whatwg::{AbortSignal, Event, EventType, Listener, ListenerOptions, WebSocket};

use crate::listeners::{Log, unanswered};

#[test]
fn row_07_what_a_signal_has_removed_is_let_go_with_the_next_event_or_change_of_listeners() {
    type Way = fn(&WebSocket);
    let ways: [(&str, Way); 4] = [
        ("an event of its type", |socket| socket.dispatch_event(&Event::Open)),
        ("an event of another type", |socket| socket.dispatch_event(&Event::Error)),
        ("another listener", |socket| {
            socket.add_event_listener(EventType::Error, |_, _| ());
        }),
        ("a handler", |socket| socket.set_onerror(|_, _| ())),
    ];
    for (name, way) in ways {
        let (socket, _listener) = unanswered();
        let (signal, held) = (AbortSignal::new(), Arc::new(()));
        let in_listener = Arc::clone(&held);
        let listener = Listener::new(move |_, _| drop(Arc::clone(&in_listener)));
        socket.add_listener(EventType::Open, &listener, ListenerOptions::new().signal(&signal));
        drop(listener);
        way(&socket);
        assert_eq!(Arc::strong_count(&held), 2, "{name}: the signal was not given yet");
        signal.abort();
        way(&socket);
        assert_eq!(Arc::strong_count(&held), 1, "{name}");
    }
}

#[test]
fn row_07_a_listener_is_removed_by_its_function_its_type_and_whether_it_captures() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let listener = Listener::new(log.noting("one"));
    let capturing = ListenerOptions::new().capture(true);
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    socket.add_listener(EventType::Open, &listener, capturing.clone());
    socket.add_listener(EventType::Error, &listener, ListenerOptions::new());
    socket.add_listener(EventType::Open, &Listener::new(log.noting("other")), ListenerOptions::new());
    let heard = |event: &Event| {
        socket.dispatch_event(event);
        log.take()
    };
    assert_eq!(heard(&Event::Open), ["one", "one", "other"]);

    // Another function, another type.
    assert!(!socket.remove_listener(EventType::Open, &Listener::new(log.noting("one")), false));
    assert!(!socket.remove_listener(EventType::Close, &listener, false));
    assert!(!socket.remove_listener(EventType::Error, &listener, true));
    assert_eq!((heard(&Event::Open), heard(&Event::Error)), (log_of(["one", "one", "other"]), log_of(["one"])));

    // A clone is the same one.
    assert!(socket.remove_listener(EventType::Open, &listener.clone(), true));
    assert!(!socket.remove_listener(EventType::Open, &listener, true));
    assert_eq!((heard(&Event::Open), heard(&Event::Error)), (log_of(["one", "other"]), log_of(["one"])));
    assert!(socket.remove_listener(EventType::Open, &listener, false));
    assert_eq!((heard(&Event::Open), heard(&Event::Error)), (log_of(["other"]), log_of(["one"])));
    // It can come back, behind the others.
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    assert_eq!(heard(&Event::Open), ["other", "one"]);
}

fn log_of<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(String::from).to_vec()
}

#[test]
fn row_07_a_listener_that_was_called_once_or_whose_signal_was_given_is_not_there_to_be_removed() {
    let (socket, _listener) = unanswered();
    let (listener, signal) = (Listener::new(|_, _| ()), AbortSignal::new());
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new().once(true));
    socket.dispatch_event(&Event::Open);
    assert!(!socket.remove_listener(EventType::Open, &listener, false));
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new().signal(&signal));
    signal.abort();
    assert!(!socket.remove_listener(EventType::Open, &listener, false));
}
