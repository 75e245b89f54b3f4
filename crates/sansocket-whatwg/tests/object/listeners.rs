//! Who hears of an event, and in which order: rows 5 to 7. Most of it needs no network, because an object gives its listeners events of one's own as well.

use std::sync::{Arc, Mutex};

use sansocket_whatwg::{
    AbortSignal, CloseEvent, Event, EventPhase, EventType, Listener, ListenerOptions, MessageEvent, ReadyState,
    WebSocket,
};

use crate::peer;

/// What was called, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// What was called since the last look.
    #[track_caller]
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// A listener that notes its name.
    pub(crate) fn noting(&self, name: &str) -> impl Fn(&WebSocket, &Event) + Send + Sync + use<> {
        let (log, name) = (self.clone(), name.to_owned());
        move |_, _| log.note(&*name)
    }
}

/// An object to which nobody answers.
pub(crate) fn unanswered() -> (WebSocket, peer::Listener) {
    let listener = peer::Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    (socket, listener)
}

const TYPES: [EventType; 4] = [EventType::Open, EventType::Message, EventType::Error, EventType::Close];

fn event_of(event_type: EventType) -> Event {
    match event_type {
        EventType::Open => Event::Open,
        EventType::Message => Event::Message(MessageEvent::new("text", "ws://example.com")),
        EventType::Error => Event::Error,
        EventType::Close => Event::Close(CloseEvent::default()),
    }
}

#[test]
fn row_05_there_is_no_handler_at_first_and_none_once_it_is_cleared() {
    let (socket, _listener) = unanswered();
    for event_type in TYPES {
        assert!(!socket.has_handler(event_type));
        socket.dispatch_event(&event_of(event_type));
        socket.clear_handler(event_type);
        assert!(!socket.has_handler(event_type));
    }
    let log = Log::default();
    socket.set_onopen(log.noting("open"));
    socket.set_onerror(log.noting("error"));
    let of_messages = log.clone();
    socket.set_onmessage(move |_, event| of_messages.note(format!("message {}", event.data())));
    let of_close = log.clone();
    socket.set_onclose(move |_, event| of_close.note(format!("close {}", event.code())));
    for event_type in TYPES {
        assert!(socket.has_handler(event_type));
        socket.dispatch_event(&event_of(event_type));
    }
    assert_eq!(log.take(), ["open", "message text", "error", "close 0"]);
    for (at, event_type) in TYPES.into_iter().enumerate() {
        socket.clear_handler(event_type);
        assert_eq!(TYPES.map(|other| socket.has_handler(other)), [false, at < 1, at < 2, at < 3]);
        socket.dispatch_event(&event_of(event_type));
    }
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn row_05_a_handler_is_called_at_the_place_where_it_was_first_set() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    socket.add_event_listener(EventType::Open, log.noting("before"));
    socket.set_onopen(log.noting("first"));
    socket.add_event_listener(EventType::Open, log.noting("behind"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["before", "first", "behind"]);
    socket.set_onopen(log.noting("second"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["before", "second", "behind"], "it is replaced where it is");
}

#[test]
fn row_05_a_handler_that_was_cleared_is_set_anew_behind_the_others() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    socket.set_onopen(log.noting("first"));
    socket.add_event_listener(EventType::Open, log.noting("listener"));
    socket.clear_handler(EventType::Open);
    socket.set_onopen(log.noting("second"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["listener", "second"]);
}

#[test]
fn row_05_a_handler_and_a_listener_for_the_same_event_are_two() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    socket.set_onclose({
        let log = log.clone();
        move |_, _| log.note("handler")
    });
    let listener = Listener::new(log.noting("listener"));
    let id = socket.add_listener(EventType::Close, &listener, ListenerOptions::new());
    assert!(socket.remove_event_listener(id) && socket.has_handler(EventType::Close));
    socket.dispatch_event(&event_of(EventType::Close));
    assert_eq!(log.take(), ["handler"]);
}

#[test]
fn row_05_a_handler_that_is_replaced_during_the_dispatch_is_called_as_it_is_then() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let new = log.clone();
    socket.add_event_listener(EventType::Open, move |socket, _| socket.set_onopen(new.noting("new")));
    socket.set_onopen(log.noting("old"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["new"]);
}

#[test]
fn row_05_a_handler_that_replaces_itself_ends_its_call_first() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let (old, held) = (log.clone(), Arc::new(()));
    let holds = Arc::clone(&held);
    socket.set_onopen(move |socket, _| {
        socket.set_onopen(old.noting("new"));
        // What it holds is still there.
        old.note(format!("old, held {}", Arc::strong_count(&holds)));
    });
    socket.dispatch_event(&Event::Open);
    assert_eq!((log.take(), Arc::strong_count(&held)), (vec![String::from("old, held 2")], 1));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["new"]);
}

#[test]
fn row_05_a_handler_that_is_cleared_during_the_dispatch_is_not_called() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let id = socket.add_event_listener(EventType::Open, |socket, _| socket.clear_handler(EventType::Open));
    socket.set_onopen(log.noting("handler"));
    socket.dispatch_event(&Event::Open);
    assert!(!socket.has_handler(EventType::Open) && socket.remove_event_listener(id));

    // Set anew, it is a new one, and those are not called for an event that is under way.
    let new = log.clone();
    socket.add_event_listener(EventType::Open, move |socket, _| {
        socket.clear_handler(EventType::Open);
        socket.set_onopen(new.noting("new"));
    });
    socket.set_onopen(log.noting("old"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [""; 0]);
    socket.clear_handler(EventType::Open);
}

#[test]
fn row_05_a_handler_may_clear_itself() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let once = log.clone();
    socket.set_onerror(move |socket, _| {
        socket.clear_handler(EventType::Error);
        once.note("cleared");
    });
    socket.add_event_listener(EventType::Error, log.noting("other"));
    socket.dispatch_event(&Event::Error);
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take(), ["cleared", "other", "other"]);
}

#[test]
fn row_06_a_close_event_has_defaults_and_what_it_was_made_of() {
    let event = CloseEvent::default();
    assert_eq!((event.was_clean(), event.code(), event.reason()), (false, 0, ""));
    let event = CloseEvent::new(true, 4000, "because");
    assert_eq!((event.was_clean(), event.code(), event.reason()), (true, 4000, "because"));
    let event = Event::Close(event);
    assert_eq!((event.event_type(), event.event_type().as_str()), (EventType::Close, "close"));
    assert_eq!((event.bubbles(), event.cancelable(), event.event_phase()), (false, false, EventPhase::AtTarget));
}

#[test]
fn row_06_an_event_of_ones_own_reaches_the_listeners_as_it_is_and_changes_nothing() {
    let (socket, _listener) = unanswered();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for event_type in TYPES {
        let seen = Arc::clone(&seen);
        socket.add_event_listener(event_type, move |_, event| seen.lock().unwrap().push(event.clone()));
    }
    let events = [
        Event::Open,
        Event::Message(MessageEvent::new(vec![1, 2], "wss://example.com")),
        Event::Error,
        Event::Close(CloseEvent::new(true, 4999, "own")),
    ];
    events.iter().for_each(|event| socket.dispatch_event(event));
    assert_eq!(*seen.lock().unwrap(), events);
    assert_eq!((socket.ready_state(), socket.is_over(), socket.has_tasks()), (ReadyState::Connecting, false, false));
}

#[test]
fn row_07_the_same_listener_counts_once_for_a_type_and_a_capture_flag() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let listener = Listener::new(log.noting("called"));
    let plain = socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    let again = socket.add_listener(EventType::Open, &listener.clone(), ListenerOptions::new().once(true));
    assert_eq!(plain, again, "its other options do not tell it apart");
    let capturing = socket.add_listener(EventType::Open, &listener, ListenerOptions::new().capture(true));
    let of_errors = socket.add_listener(EventType::Error, &listener, ListenerOptions::new());
    assert!(plain != capturing && plain != of_errors && capturing != of_errors);

    socket.dispatch_event(&Event::Open);
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take().len(), 4, "twice each, plain and capturing: what was added first was not to be called once");
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take().len(), 1);
    assert!(socket.remove_event_listener(capturing) && !socket.remove_event_listener(capturing));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take().len(), 1);
    assert!(socket.remove_event_listener(plain) && !socket.remove_event_listener(again));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [""; 0]);
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take().len(), 1);
}

#[test]
fn row_07_the_same_listener_added_twice_keeps_its_first_place_until_it_is_removed() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let listener = Listener::new(log.noting("same"));
    let id = socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    socket.add_event_listener(EventType::Open, log.noting("other"));
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["same", "other"]);
    socket.remove_event_listener(id);
    assert_ne!(socket.add_listener(EventType::Open, &listener, ListenerOptions::new()), id);
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["other", "same"]);
}

#[test]
fn row_07_equal_closures_are_not_the_same_listener() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let of_log = || Listener::new(log.noting("called"));
    socket.add_listener(EventType::Open, &of_log(), ListenerOptions::new());
    socket.add_listener(EventType::Open, &of_log(), ListenerOptions::new());
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take().len(), 2);
}

#[test]
fn row_07_one_listener_serves_several_objects() {
    let ((one, _first), (two, _second)) = (unanswered(), unanswered());
    let log = Log::default();
    let urls = log.clone();
    let listener = Listener::new(move |socket, _| urls.note(socket.url()));
    let _of_one = one.add_listener(EventType::Open, &listener, ListenerOptions::new());
    let of_two = two.add_listener(EventType::Open, &listener, ListenerOptions::new());
    one.dispatch_event(&Event::Open);
    two.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [one.url(), two.url()]);
    assert!(two.remove_event_listener(of_two));
    one.dispatch_event(&Event::Open);
    two.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [one.url()]);
}

#[test]
fn row_07_a_place_belongs_to_one_object() {
    let ((one, _first), (two, _second)) = (unanswered(), unanswered());
    let of_one = one.add_event_listener(EventType::Open, |_, _| ());
    two.add_event_listener(EventType::Open, |_, _| ());
    assert!(!two.remove_event_listener(of_one));
}

#[test]
fn row_07_capturing_listeners_are_called_before_the_others() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let add = |name: &str, options| socket.add_listener(EventType::Open, &Listener::new(log.noting(name)), options);
    add("first", ListenerOptions::new());
    add("capturing", ListenerOptions::new().capture(true));
    socket.set_onopen(log.noting("handler"));
    add("capturing, too", ListenerOptions::new().capture(true));
    add("last", ListenerOptions::new().capture(false));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["capturing", "capturing, too", "first", "handler", "last"]);
}

#[test]
fn row_07_a_listener_for_once_is_gone_before_its_call() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let once = log.clone();
    let listener = Listener::new(move |socket, event| {
        once.note("once");
        // It does not hear of this one.
        socket.dispatch_event(event);
    });
    let id = socket.add_listener(EventType::Open, &listener, ListenerOptions::new().once(true));
    socket.add_event_listener(EventType::Open, log.noting("always"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["once", "always", "always"]);
    assert!(!socket.remove_event_listener(id));

    let closure = log.clone();
    let id = socket.add_once_listener(EventType::Error, move |_, _| closure.note("closure"));
    socket.dispatch_event(&Event::Open);
    socket.dispatch_event(&Event::Error);
    socket.dispatch_event(&Event::Error);
    assert_eq!((log.take(), socket.remove_event_listener(id)), (vec!["always".into(), "closure".into()], false));
}

#[test]
fn row_07_a_listener_for_once_that_is_removed_is_never_called() {
    let (socket, _listener) = unanswered();
    let log = Log::default();
    let id = socket.add_once_listener(EventType::Open, log.noting("once"));
    assert!(socket.remove_event_listener(id));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn row_07_a_signal_removes_all_that_were_added_with_it() {
    let (socket, _listener) = unanswered();
    let (log, signal) = (Log::default(), AbortSignal::new());
    let with_signal = || ListenerOptions::new().signal(&signal);
    let listener = Listener::new(log.noting("open"));
    socket.add_listener(EventType::Open, &listener, with_signal());
    socket.add_listener(EventType::Error, &Listener::new(log.noting("error")), with_signal());
    socket.add_event_listener(EventType::Open, log.noting("other"));
    socket.dispatch_event(&Event::Open);
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take(), ["open", "other", "error"]);

    assert!(!signal.is_aborted());
    signal.clone().abort();
    assert!(signal.is_aborted());
    socket.dispatch_event(&Event::Open);
    socket.dispatch_event(&Event::Error);
    assert_eq!(log.take(), ["other"]);
    // A signal that was given adds nothing, and does not stand in the way of another time without it.
    socket.add_listener(EventType::Open, &listener, with_signal());
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["other"]);
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new());
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["other", "open"]);
}

#[test]
fn row_07_what_a_signal_has_removed_is_not_there_to_be_removed() {
    let (socket, _listener) = unanswered();
    let signal = AbortSignal::new();
    let options = ListenerOptions::new().signal(&signal);
    let id = socket.add_listener(EventType::Open, &Listener::new(|_, _| ()), options);
    signal.abort();
    assert!(!socket.remove_event_listener(id));
}

#[test]
fn row_07_a_signal_that_is_given_during_the_dispatch_counts_at_once() {
    let (socket, _listener) = unanswered();
    let (log, signal) = (Log::default(), AbortSignal::new());
    let gives = signal.clone();
    socket.add_event_listener(EventType::Open, move |_, _| gives.abort());
    let listener = Listener::new(log.noting("with the signal"));
    socket.add_listener(EventType::Open, &listener, ListenerOptions::new().signal(&signal));
    socket.add_event_listener(EventType::Open, log.noting("without"));
    socket.dispatch_event(&Event::Open);
    assert_eq!(log.take(), ["without"]);
}
