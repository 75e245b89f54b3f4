//! Connections over blocking transports that delay, split and interrupt, and that break at every byte and at every call.

mod faulty;

use std::io::ErrorKind;

use proptest::prelude::*;
use sansocket_std::EndedBy;
use sansocket_testkit::Side;
use sansocket_testkit::conversation::{Conversation, Story};
use sansocket_testkit::faults::{Break, Call, Point, Program, Turn};

use crate::faulty::{COMPRESSES, How, Manner, run};

const SIDES: [Side; 2] = [Side::Server, Side::Client];

/// How reads break, and calls of all kinds.
const BREAKS: [Break; 5] = [
    Break::End,
    Break::Once(ErrorKind::ConnectionReset),
    Break::ForEver(ErrorKind::ConnectionReset),
    Break::ForEver(ErrorKind::HostUnreachable),
    Break::ForEver(ErrorKind::Other),
];

const WRITES_BREAK: [Break; 4] = [
    Break::Once(ErrorKind::BrokenPipe),
    Break::ForEver(ErrorKind::ConnectionReset),
    Break::Writing(ErrorKind::BrokenPipe),
    Break::Writing(ErrorKind::Other),
];

/// The ways to use a connection that matter to where it stands when its transport breaks.
fn manners() -> [Manner; 4] {
    let default = Manner::DEFAULT;
    let short = Manner { buffer: 130, ..default };
    [
        default,
        Manner { how: How::Pieces, ..short },
        Manner { how: How::Halves, ..default },
        Manner { closes: true, ..short },
    ]
}

fn whole(conversation: &Conversation, manner: Manner) -> Story {
    let story = run(conversation, &Program::default(), manner);
    let by = if manner.closes { EndedBy::Local } else { EndedBy::Peer };
    story.expect_whole(conversation, by, false);
    story
}

/// Says of what it was if a test fails.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Breaks a conversation at all of these points: in all of these ways where the connection is used as always, and in each in turn otherwise.
fn expect_cuts(points: impl Fn(&Story) -> Vec<Point>, breaks: &[Break]) {
    for side in SIDES {
        let conversation = Conversation::new(side, 450, COMPRESSES);
        for (number, manner) in manners().into_iter().enumerate() {
            let whole = whole(&conversation, manner);
            for (at, point) in points(&whole).into_iter().enumerate() {
                let breaks = if number == 0 { breaks } else { &breaks[at % breaks.len()..][..1] };
                for &how in breaks {
                    let _case = Case(format!("{side:?}, {manner:?}: {point:?}, {how:?}"));
                    let story = run(&conversation, &Program::cut(point, how), manner);
                    story.expect_cut(point, how, &whole, &conversation, false);
                }
            }
        }
    }
}

#[test]
fn a_transport_that_ends_or_fails_behind_any_byte_received_is_told_once() {
    expect_cuts(|whole| (0..whole.transport.received()).map(Point::Received).collect(), &BREAKS);
}

#[test]
fn a_transport_that_fails_behind_any_byte_sent_is_told_once() {
    expect_cuts(|whole| (0..whole.transport.written().len()).map(Point::Sent).collect(), &WRITES_BREAK);
}

#[test]
fn a_call_that_fails_is_told_once_whichever_it_is() {
    let calls = |call| move |whole: &Story| (0..whole.transport.calls(call)).map(|at| Point::Call(call, at)).collect();
    expect_cuts(calls(Call::Read), &BREAKS);
    expect_cuts(calls(Call::Write), &WRITES_BREAK);
    expect_cuts(calls(Call::Flush), &WRITES_BREAK);
}

/// Turns that lose nothing, not all of which put a call off.
fn turns() -> impl Strategy<Value = [Vec<Turn>; 3]> {
    let turn = prop_oneof![
        3 => (1_usize..40).prop_map(Turn::UpTo),
        2 => (40_usize..3000).prop_map(Turn::UpTo),
        1 => Just(Turn::UpTo(usize::MAX)),
        2 => Just(Turn::Later),
        1 => Just(Turn::Interrupted),
    ];
    let some = || {
        prop::collection::vec(turn.clone(), 0..8).prop_map(|mut turns| {
            turns.push(Turn::UpTo(1000));
            turns
        })
    };
    [some(), some(), some()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_splits_and_interruptions_change_nothing(
        turns in turns(),
        is_server: bool,
        longest in prop_oneof![Just(600_usize), Just(5000), Just(70_000)],
        buffer in prop_oneof![Just(130_usize), Just(700), Just(16 << 10)],
        how in prop_oneof![Just(How::Whole), Just(How::Pieces), Just(How::Halves)],
        closes: bool,
    ) {
        let conversation = Conversation::new(SIDES[usize::from(is_server)], longest, COMPRESSES);
        let manner = Manner { buffer, how, closes };
        let without = self::whole(&conversation, manner);
        let story = run(&conversation, &Program { turns, cut: None }, manner);
        story.expect_same(&without, &conversation);
    }
}
