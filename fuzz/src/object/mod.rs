//! The browser's object without a network, and a program of what its owner and a network do to it, in whatever order.
//!
//! 1. Each call gives what the naive model of the object's own tests gives, and what can be read behind it is what that says.
//! 2. The state moves forward only, and nothing but a pump and the owner's own calls changes anything that can be read.
//! 3. Events come in order: open, messages, error, close; one close event ends every life, and behind it there is none.
//! 4. The buffered amount is what was sent less what was taken as of the last pump.
//! 5. The network is told messages and then one end.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the limit of what waits to be sent, and 1; 0 is no limit |
//! | rest | the program, see [`op`] |

// The object's own tests have these two.
#[allow(clippy::missing_docs_in_private_items, reason = "the tests of the object say by their names what they mean")]
#[path = "../../../crates/sansocket-whatwg/tests/machine/model.rs"]
mod model;
#[allow(clippy::missing_docs_in_private_items, reason = "the tests of the object say by their names what they mean")]
#[path = "../../../crates/sansocket-whatwg/tests/machine/program.rs"]
mod program;

use arbitrary::{Arbitrary, Unstructured};
use sansocket_whatwg::machine::Command;
use sansocket_whatwg::{BinaryType, Event, EventType, Pumped, ReadyState};

use crate::bytes::{byte, word};
use model::Model;
use program::{News, Outcome, Seen, Step, Taken, run};

/// Operations: an operation byte's lower four bits. Bit 7 makes a message a text, and sets what else can be set.
pub(crate) mod op {
    /// The owner pumps.
    pub(crate) const PUMP: u8 = 0;
    /// The owner sends: bytes.
    pub(crate) const SEND: u8 = 1;
    /// The owner closes: index of the code, bytes of reason.
    pub(crate) const CLOSE: u8 = 2;
    /// The owner is gone; with [`SET`] it has a code.
    pub(crate) const GO_AWAY: u8 = 3;
    /// The owner sets how binary messages are given; with [`SET`] as an `ArrayBuffer`.
    pub(crate) const BINARY_TYPE: u8 = 4;
    /// The network says that it is open.
    pub(crate) const OPEN: u8 = 5;
    /// The network has a message: bytes.
    pub(crate) const MESSAGE: u8 = 6;
    /// The network says that the server closes.
    pub(crate) const CLOSING: u8 = 7;
    /// The network says that it is over, cleanly: index of the code.
    pub(crate) const CLEAN: u8 = 8;
    /// The network says that it is lost; with [`SET`] it knows why.
    pub(crate) const LOST: u8 = 9;
    /// The network says that it has failed.
    pub(crate) const FAILED: u8 = 10;
    /// The network has taken some of what it was given: two bytes.
    pub(crate) const HAND_OVER: u8 = 11;
    /// See the others.
    pub(crate) const SET: u8 = 0x80;
}

/// Codes of a close, those that are refused too.
const CODES: [Option<u16>; 13] = [
    None,
    Some(1000),
    Some(3000),
    Some(4999),
    Some(0),
    Some(999),
    Some(1001),
    Some(1005),
    Some(1006),
    Some(1015),
    Some(2999),
    Some(5000),
    Some(65535),
];

/// An object's life.
#[derive(Debug)]
pub struct Case {
    /// How many bytes may wait to be sent.
    limit: u64,
    /// What happens.
    program: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let limit = byte(u).checked_sub(1).map_or(u64::MAX, u64::from);
        let mut program = Vec::new();
        while !u.is_empty() {
            program.push(step(u));
        }
        Ok(Self { limit, program })
    }
}

/// One operation.
fn step(u: &mut Unstructured<'_>) -> Step {
    let code = byte(u);
    let set = code & op::SET != 0;
    match code & 0xF {
        op::SEND => Step::Send(set, usize::from(byte(u))),
        op::CLOSE => Step::Close(CODES[usize::from(byte(u)) % CODES.len()], usize::from(byte(u))),
        op::GO_AWAY => Step::GoAway(set),
        op::BINARY_TYPE => Step::SetBinaryType(if set { BinaryType::ArrayBuffer } else { BinaryType::Blob }),
        op::OPEN => Step::Queue(News::Open),
        op::MESSAGE => Step::Queue(News::Message(set, usize::from(byte(u)))),
        op::CLOSING => Step::Queue(News::Closing),
        op::CLEAN => Step::Queue(News::Clean(CODES[usize::from(byte(u)) % CODES.len()].unwrap_or(1005))),
        op::LOST => Step::Queue(News::Lost(set)),
        op::FAILED => Step::Queue(News::Failed),
        op::HAND_OVER => Step::HandOver(u64::from(word(u))),
        _ => Step::Pump,
    }
}

/// Lives a life and holds the object against everything that is promised of it.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    let trace = run(case.limit, &case.program);
    let mut model = Model::new(case.limit);
    for (number, taken) in trace.iter().enumerate() {
        assert_eq!(model.take(number, &taken.step, taken.bytes), taken.outcome, "{number}: {taken:?}");
        assert_eq!(model.seen(), taken.after, "{number}: {taken:?}");
        assert_eq!((model.unread(), model.has_tasks()), (taken.unread, taken.has_tasks), "{number}: {taken:?}");
    }
    // The model might share a mistake with the object. What follows does without it.
    trace.iter().for_each(check_step);
    check_events(&trace);
    check_amount(&trace);
    check_commands(&trace);
}

/// What must hold of each step by itself.
fn check_step(Taken { step, before, outcome, after, .. }: &Taken) {
    assert!(before.ready_state <= after.ready_state && before.is_over <= after.is_over, "{before:?}, {after:?}");
    let expected = match (step, outcome) {
        (Step::Pump, Outcome::Pumped(pumped)) if *pumped != Pumped::Idle => return,
        (Step::Send(_, len), Outcome::Ordered(_)) => {
            Seen { buffered_amount: before.buffered_amount + *len as u64, ..before.clone() }
        }
        (Step::Close(..) | Step::GoAway(_), Outcome::Ordered(_)) => {
            Seen { ready_state: before.ready_state.max(ReadyState::Closing), ..before.clone() }
        }
        (Step::SetBinaryType(binary_type), _) => Seen { binary_type: *binary_type, ..before.clone() },
        _ => before.clone(),
    };
    assert_eq!(*after, expected, "{step:?}");
}

/// Open comes first and once, an error last but one, a close last and once.
fn check_events(trace: &[Taken]) {
    let types: Vec<_> = trace.iter().filter_map(Taken::event).map(Event::event_type).collect();
    let mut rest = &types[..];
    if let [EventType::Open, tail @ ..] = rest {
        rest = tail;
        while let [EventType::Message, tail @ ..] = rest {
            rest = tail;
        }
    }
    assert!(matches!(rest, [EventType::Close] | [EventType::Error, EventType::Close]), "{types:?}");
}

/// What was sent less what was taken as of the last pump; behind the end it only grows.
fn check_amount(trace: &[Taken]) {
    let (mut amount, mut taken_since) = (0, 0);
    for Taken { step, bytes, before, outcome, after, .. } in trace {
        match (step, outcome) {
            (Step::Send(_, len), Outcome::Ordered(_)) => amount += *len as u64,
            (Step::HandOver(_), _) => taken_since += bytes,
            (Step::Pump, _) if before.ready_state != ReadyState::Closed => amount -= std::mem::take(&mut taken_since),
            _ => {}
        }
        assert_eq!(after.buffered_amount, amount);
    }
}

/// Messages while it is open, and then one end.
fn check_commands(trace: &[Taken]) {
    let mut has_ended = false;
    for Taken { before, outcome, .. } in trace {
        let Outcome::Ordered(Some(command)) = outcome else { continue };
        assert!(!has_ended, "{command:?} behind the end");
        match command {
            Command::Send(_) => assert_eq!(before.ready_state, ReadyState::Open),
            Command::Close { .. } | Command::Fail => has_ended = true,
        }
    }
}
