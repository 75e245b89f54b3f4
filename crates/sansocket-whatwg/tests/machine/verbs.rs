//! Objects in their states, and what is said to them.

use sansocket::OwnedMessage;
use sansocket_whatwg::machine::{Command, End, Machine, Task};
use sansocket_whatwg::{CloseEvent, DomException, Event, Payload, Pumped};

pub(crate) fn opening() -> Task {
    Task::Open { protocol: String::from("chat"), extensions: String::from("permessage-deflate") }
}

pub(crate) fn text(text: &str) -> Task {
    Task::Message(OwnedMessage::Text(text.to_owned()))
}

pub(crate) fn binary(bytes: &[u8]) -> Task {
    Task::Message(OwnedMessage::Binary(bytes.to_owned()))
}

pub(crate) fn clean(code: u16, reason: &str) -> Task {
    Task::Closed(End::Clean { code, reason: reason.to_owned() })
}

pub(crate) fn connecting() -> Machine {
    Machine::new("wss://example.com")
}

pub(crate) fn open_with_limit(limit: u64) -> Machine {
    let mut machine = connecting().with_buffer_limit(limit);
    machine.queue(opening());
    assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
    machine
}

pub(crate) fn open() -> Machine {
    open_with_limit(u64::MAX)
}

pub(crate) fn closed() -> Machine {
    let mut machine = open();
    machine.queue(Task::Closed(End::Lost(None)));
    assert_eq!(rest(&mut machine), [unclean()]);
    machine
}

pub(crate) fn unclean() -> Event {
    Event::Close(CloseEvent::new(false, 1006, ""))
}

pub(crate) fn rest(machine: &mut Machine) -> Vec<Event> {
    let mut events = Vec::new();
    while machine.has_tasks() {
        events.extend(machine.pump().event());
    }
    assert_eq!(machine.pump(), Pumped::Idle);
    events
}

pub(crate) fn sends(machine: &mut Machine, payload: impl Into<Payload>) {
    let payload = payload.into();
    assert_eq!(machine.send(payload.clone()), Ok(Some(Command::Send(payload))));
}

/// The name and the old number of what a call throws.
pub(crate) fn thrown<T: std::fmt::Debug>(result: Result<T, DomException>) -> (&'static str, u16) {
    let exception = result.expect_err("it had to throw");
    assert!(!exception.message().is_empty());
    (exception.name(), exception.legacy_code())
}

pub(crate) const INVALID_ACCESS: (&str, u16) = ("InvalidAccessError", 15);
pub(crate) const INVALID_STATE: (&str, u16) = ("InvalidStateError", 11);
pub(crate) const SYNTAX: (&str, u16) = ("SyntaxError", 12);
