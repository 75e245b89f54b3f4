//! Programs of what an owner and a network may do to an object, and what could be seen meanwhile.

use std::sync::Arc;

use sansocket::{CloseCode, OwnedMessage};
use sansocket_whatwg::machine::{Command, End, Machine, Task};
use sansocket_whatwg::{BinaryType, Event, Failure, Payload, Pumped, ReadyState};

/// One thing that happens to the object.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The owner sends a text, or bytes.
    Send(bool, usize),
    /// The owner closes with a code and a reason of so many bytes.
    Close(Option<u16>, usize),
    /// The owner is gone, with a code or without.
    GoAway(bool),
    SetBinaryType(BinaryType),
    Pump,
    Queue(News),
    /// The network takes some of what it was given and has not taken yet: this modulo what that can be.
    HandOver(u64),
}

/// What the network says, in whatever order.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Open,
    /// A text, or bytes.
    Message(bool, usize),
    Closing,
    Clean(u16),
    Lost(bool),
    Failed,
}

impl News {
    /// As a task. What is said in words has the number in it, so that each can be told from all others.
    pub(crate) fn task(&self, number: usize) -> Task {
        match *self {
            Self::Open => {
                Task::Open { protocol: format!("protocol-{number}"), extensions: format!("extension-{number}") }
            }
            Self::Message(is_text, len) => Task::Message(message(is_text, len, number)),
            Self::Closing => Task::Closing,
            Self::Clean(code) => Task::Closed(End::Clean { code, reason: format!("reason {number}") }),
            Self::Lost(is_known) => Task::Closed(End::Lost(is_known.then(|| failure(number)))),
            Self::Failed => Task::Closed(End::Failed(failure(number))),
        }
    }
}

pub(crate) fn message(is_text: bool, len: usize, number: usize) -> OwnedMessage {
    let letter = b'a' + (number % 26) as u8;
    if is_text {
        OwnedMessage::Text(char::from(letter).to_string().repeat(len))
    } else {
        OwnedMessage::Binary(vec![letter; len])
    }
}

pub(crate) fn payload(is_text: bool, len: usize) -> Payload {
    if is_text { "s".repeat(len).into() } else { vec![b's'; len].into() }
}

/// A failure that can be told from others.
pub(crate) fn failure(number: usize) -> Arc<Failure> {
    Arc::new(Failure::BlockedPort(number as u16))
}

/// What the owner can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) ready_state: ReadyState,
    pub(crate) buffered_amount: u64,
    pub(crate) protocol: String,
    pub(crate) extensions: String,
    pub(crate) binary_type: BinaryType,
    pub(crate) failure: Option<String>,
    pub(crate) is_over: bool,
}

impl Seen {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self {
            ready_state: machine.ready_state(),
            buffered_amount: machine.buffered_amount(),
            protocol: machine.protocol().to_owned(),
            extensions: machine.extensions().to_owned(),
            binary_type: machine.binary_type(),
            failure: machine.failure().map(ToString::to_string),
            is_over: machine.is_over(),
        }
    }
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// The exception's name.
    Threw(&'static str),
    Ordered(Option<Command>),
    Pumped(Pumped),
}

/// A step as it was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    /// What was handed over with it.
    pub(crate) bytes: u64,
    pub(crate) before: Seen,
    pub(crate) outcome: Outcome,
    pub(crate) after: Seen,
    /// What the network can read behind it.
    pub(crate) unread: u64,
    pub(crate) has_tasks: bool,
}

impl Taken {
    pub(crate) const fn event(&self) -> Option<&Event> {
        match &self.outcome {
            Outcome::Pumped(Pumped::Fired(event)) => Some(event),
            _ => None,
        }
    }
}

/// Carries a program out. Then, if the network has not said so, it is over, and the owner pumps until nothing happens any more.
pub(crate) fn run(limit: u64, program: &[Step]) -> Vec<Taken> {
    let mut machine = Machine::new("wss://example.com").with_buffer_limit(limit);
    let mut untaken = 0;
    let mut trace = Vec::new();
    for step in program {
        take(&mut machine, &mut untaken, &mut trace, step.clone());
    }
    if !machine.is_over() {
        take(&mut machine, &mut untaken, &mut trace, Step::Queue(News::Lost(false)));
    }
    while machine.has_tasks() {
        take(&mut machine, &mut untaken, &mut trace, Step::Pump);
    }
    take(&mut machine, &mut untaken, &mut trace, Step::Pump);
    trace
}

fn take(machine: &mut Machine, untaken: &mut u64, trace: &mut Vec<Taken>, step: Step) {
    let before = Seen::of(machine);
    let mut bytes = 0;
    let outcome = match &step {
        Step::Send(is_text, len) => ordered(machine.send(payload(*is_text, *len))),
        Step::Close(code, len) => ordered(machine.close(*code, &"r".repeat(*len))),
        Step::GoAway(has_code) => Outcome::Ordered(machine.go_away(has_code.then_some(CloseCode::GOING_AWAY))),
        Step::SetBinaryType(binary_type) => {
            machine.set_binary_type(*binary_type);
            Outcome::Nothing
        }
        Step::Pump => Outcome::Pumped(machine.pump()),
        Step::Queue(news) => {
            machine.queue(news.task(trace.len()));
            Outcome::Nothing
        }
        Step::HandOver(part) => {
            bytes = part % (*untaken + 1);
            *untaken -= bytes;
            machine.handed_over(bytes);
            Outcome::Nothing
        }
    };
    if let Outcome::Ordered(Some(Command::Send(payload))) = &outcome {
        *untaken += payload.len() as u64;
    }
    let (unread, has_tasks) = (machine.unread(), machine.has_tasks());
    trace.push(Taken { step, bytes, before, outcome, after: Seen::of(machine), unread, has_tasks });
}

fn ordered(result: Result<Option<Command>, sansocket_whatwg::DomException>) -> Outcome {
    result.map_or_else(|exception| Outcome::Threw(exception.name()), Outcome::Ordered)
}
