//! An object over a socket that delays, splits and interrupts, and that breaks at every byte and at every call.

mod story;
mod taken;

use std::io::ErrorKind;

use proptest::prelude::*;
use sansocket::OwnedMessage;
use sansocket_testkit::conversation::Conversation;
use sansocket_testkit::faults::{Break, Call, Point, Program, Turn};
use sansocket_testkit::{End, Received, Side};

use self::story::{Heard, Manner, ORIGIN, OWNERS_CODE, Story};
use crate::event::{CloseEvent, Event, MessageEvent};
use crate::failure::Failure;
use crate::network::reactor::{Reactor, Shared};

/// The most calls to a socket that has told of its end: a few are needed to end it in order, more are a loop that spins.
const MOST_BEHIND_END: usize = 16;

/// What the server closes with.
const CODE: u16 = 3000;

fn close(is_clean: bool) -> Event {
    Event::Close(if is_clean { CloseEvent::new(true, CODE, "that is all") } else { CloseEvent::new(false, 1006, "") })
}

/// What a server sends, and how long its answer to the request is.
struct Script {
    conversation: Conversation,
    head: usize,
}

impl Script {
    fn new(longest: usize, compressed: bool, shared: &mut Shared) -> Self {
        let conversation = Conversation::new(Side::Client, longest, compressed);
        let manner = Manner { compresses: compressed, ..ECHO };
        let whole = Story::of(manner, conversation.frames(), &Program::default(), shared);
        Self { head: whole.transport.received() - conversation.frames().len(), conversation }
    }

    /// The events of an object that was open, of whose server so much has come; and the payloads of the pings among it.
    fn expected(&self, received: usize, manner: Manner) -> (Vec<Event>, Vec<Vec<u8>>) {
        let (came, end) = self.conversation.expected(received - self.head);
        let (mut events, mut pings) = (vec![Event::Open], Vec::new());
        for came in came {
            match came {
                Received::Message(message) => {
                    let owned = match message.kind {
                        sansocket::Kind::Text => OwnedMessage::Text(String::from_utf8(message.bytes).unwrap()),
                        sansocket::Kind::Binary => OwnedMessage::Binary(message.bytes),
                    };
                    events.push(Event::Message(MessageEvent::received(owned, Default::default(), ORIGIN.into())));
                }
                Received::Ping(payload) => pings.push(payload),
                Received::Pong(_) => {}
            }
        }
        // Behind its own Close, the owner gets none.
        events.truncate(manner.closes_behind.map_or(usize::MAX, |count| count + 1));
        events.push(close(matches!(end, End::Closed { .. })));
        (events, pings)
    }

    fn run(&self, manner: Manner, program: &Program, shared: &mut Shared) -> Story {
        // Behind the handshake.
        let manner = Manner { held_at: manner.held_at.map(|_| self.head), ..manner };
        Story::of(manner, self.conversation.frames(), program, shared)
    }

    /// That a socket which has lost nothing has changed nothing.
    #[track_caller]
    fn expect_whole(&self, story: &Story, manner: Manner) {
        let all = self.head + self.conversation.frames().len();
        let (events, pings) = self.expected(all, manner);
        assert!(story.events == events, "{:?}, not {events:?}", story.events);
        assert!(story.is_gone && story.failure.is_none(), "{story:?}");
        let heard = self.expect_written(story, manner, true);
        // A pong behind the Close may come too late for the server.
        let answers_all = manner.closes_behind.is_none();
        assert!(pings.starts_with(&heard.pongs), "{:?}", heard.pongs);
        assert!(!answers_all || (heard.pongs == pings && story.transport.is_flushed()), "{:?}", heard.pongs);
        assert!(heard.close == Some(CODE) || (!answers_all && heard.close == Some(OWNERS_CODE)), "{:?}", heard.close);
        if manner.held_at.is_some() {
            assert_eq!(heard.close, Some(OWNERS_CODE));
            assert!(heard.messages == story.sent, "{} of {}", heard.messages.len(), story.sent.len());
            assert_eq!(story.buffered, 0);
        }
    }

    /// That what was written is what was sent, as far as it goes, and that the amount is what is left of it.
    #[track_caller]
    fn expect_written(&self, story: &Story, manner: Manner, takes_all: bool) -> Heard {
        let heard = Heard::from(story.transport.written());
        assert!(story.sent.starts_with(&heard.messages), "{:?}", heard.messages);
        let left = story.taken.left_of(&story.sent, manner.compresses);
        let is_right = if takes_all { left.contains(&story.buffered) } else { story.buffered >= *left.start() };
        assert!(is_right, "{} bytes wait to be sent, and {left:?} do", story.buffered);
        heard
    }

    /// That a socket which broke so has cost what was behind it, and that the end is told as it was.
    #[track_caller]
    fn expect_cut(&self, story: &Story, manner: Manner, point: Point, how: Break) {
        let behind_end = story.transport.calls_behind_end();
        assert!(behind_end <= MOST_BEHIND_END, "{behind_end} calls of a socket that has ended");
        assert!(story.is_gone, "it waits for something that will not come: {story:?}");
        let breaks_reads = matches!(point, Point::Received(_) | Point::Call(Call::Read, _));
        // What waits for room when the server ends the stream has nowhere to go.
        let takes_all = breaks_reads && how == Break::End && manner.room == usize::MAX;
        let heard = self.expect_written(story, manner, takes_all);
        let error = match &story.failure.as_deref() {
            Some(Failure::Lost(error)) => Some(error.kind()),
            Some(Failure::Open(error)) => match &**error {
                sansocket_mio::OpenError::Io(error) => Some(error.kind()),
                error => panic!("{error:?}"),
            },
            None => None,
            failure => panic!("{failure:?}"),
        };
        let received = story.transport.received();
        if received < self.head {
            assert_eq!(story.events, [Event::Error, close(false)]);
            let expected =
                if let Break::Once(kind) | Break::ForEver(kind) = how { kind } else { ErrorKind::UnexpectedEof };
            assert!(!breaks_reads || error == Some(expected), "{error:?}");
            return;
        }
        let (events, pings) = self.expected(received, manner);
        let is_lost = events.last() == Some(&close(false));
        if breaks_reads || matches!(how, Break::Writing(_)) {
            assert_eq!(story.events, events);
        } else {
            // What was read and not taken when the writing broke may be lost.
            let (end, before) = story.events.split_last().unwrap();
            assert!(events.starts_with(before) && (*end == close(false) || Some(end) == events.last()), "{story:?}");
        }
        assert!(pings.starts_with(&heard.pongs), "{:?}", heard.pongs);
        if breaks_reads {
            let told = if let Break::Once(kind) | Break::ForEver(kind) = how { Some(kind) } else { None };
            assert_eq!(error, told.filter(|_| is_lost));
        }
        if takes_all {
            // Who has only shut down writing gets all answers.
            assert_eq!((&heard.pongs, heard.close), (&pings, (!is_lost).then_some(CODE)));
        }
    }
}

/// An owner that sends back what comes, at once.
const ECHO: Manner =
    Manner { compresses: false, first: &[], closes_behind: None, patience: 1, held_at: None, room: usize::MAX };

/// Those that matter to where a connection stands when its socket breaks; the first in all ways to break, the others in each in turn.
fn manners() -> [Manner; 6] {
    let compressing = |manner| Manner { compresses: true, ..manner };
    let closing = Manner { closes_behind: Some(3), patience: 3, room: 61, ..ECHO };
    let sending = Manner { first: &[1, 1100, 0], closes_behind: Some(0), held_at: Some(0), room: 61, ..ECHO };
    [ECHO, compressing(ECHO), closing, compressing(closing), sending, compressing(sending)]
}

/// Breaks connections at all of these points.
fn at_each(points: impl Fn(&Story) -> Vec<Point>, breaks: &[Break]) {
    let mut reactor = Reactor::new().unwrap();
    let shared = &mut reactor.shared;
    let scripts = [false, true].map(|compressed| Script::new(130, compressed, shared));
    let mut turns = Program::default().turns;
    turns[Call::Read as usize] = vec![Turn::UpTo(97)];
    for (number, manner) in manners().into_iter().enumerate() {
        let script = &scripts[usize::from(manner.compresses)];
        turns[Call::Write as usize] = vec![Turn::UpTo(manner.room)];
        let whole = script.run(manner, &Program { turns: turns.clone(), cut: None }, shared);
        script.expect_whole(&whole, manner);
        for (at, point) in points(&whole).into_iter().enumerate() {
            let breaks = if number == 0 { breaks } else { &breaks[at % breaks.len()..][..1] };
            for &how in breaks {
                let _case = Case(format!("{manner:?}: {point:?}, {how:?}"));
                let story = script.run(manner, &Program { turns: turns.clone(), cut: Some((point, how)) }, shared);
                script.expect_cut(&story, manner, point, how);
            }
        }
    }
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

const READS_BREAK: [Break; 4] = [
    Break::End,
    Break::Once(ErrorKind::ConnectionReset),
    Break::ForEver(ErrorKind::ConnectionReset),
    Break::ForEver(ErrorKind::Other),
];

const WRITES_BREAK: [Break; 4] = [
    Break::Once(ErrorKind::BrokenPipe),
    Break::ForEver(ErrorKind::ConnectionReset),
    Break::Writing(ErrorKind::BrokenPipe),
    Break::Writing(ErrorKind::Other),
];

#[test]
fn a_socket_that_ends_or_fails_behind_any_byte_received_is_told_once_and_in_order() {
    at_each(|whole| (0..whole.transport.received()).map(Point::Received).collect(), &READS_BREAK);
}

#[test]
fn a_socket_that_fails_behind_any_byte_sent_is_told_once_and_what_it_has_not_taken_stays_buffered() {
    at_each(|whole| (0..whole.transport.written().len()).map(Point::Sent).collect(), &WRITES_BREAK);
}

#[test]
fn a_call_that_fails_is_told_once_whichever_it_is() {
    for call in Call::ALL {
        let breaks = if call == Call::Read { READS_BREAK } else { WRITES_BREAK };
        at_each(|whole| (0..whole.transport.calls(call)).map(|at| Point::Call(call, at)).collect(), &breaks);
    }
}

/// What an owner sends at first: much more than is given to the socket at once, too.
const FIRST: &[&[usize]] = &[&[], &[1, 300, 0, 130], &[70_000, 0, 5000], &[300_000, 1, 200_000]];

#[test]
fn all_that_is_sent_before_a_close_leaves_however_much_the_socket_takes_at_once() {
    let mut reactor = Reactor::new().unwrap();
    for compresses in [false, true] {
        let script = Script::new(130, compresses, &mut reactor.shared);
        for (&first, room) in FIRST.iter().flat_map(|first| [100, 70_000, usize::MAX].map(|room| (first, room))) {
            let manner = Manner { compresses, first, closes_behind: Some(0), held_at: Some(0), ..ECHO };
            let _case = Case(format!("{manner:?}, {room} at once"));
            let mut program = Program::default();
            program.turns[Call::Write as usize] = vec![Turn::UpTo(room)];
            script.expect_whole(&script.run(manner, &program, &mut reactor.shared), manner);
        }
    }
}

#[test]
fn an_owner_that_looks_seldom_holds_the_server_back_and_misses_nothing() {
    /// One of them is enough.
    const LONG: usize = 1_200_000;
    let mut reactor = Reactor::new().unwrap();
    let mut turns = Program::default().turns;
    turns[Call::Read as usize] = vec![Turn::UpTo(10_000), Turn::Interrupted, Turn::UpTo(100), Turn::Later];
    let program = Program { turns, cut: None };
    for compresses in [false, true] {
        let script = Script::new(LONG, compresses, &mut reactor.shared);
        let manner = Manner { compresses, patience: usize::MAX, ..ECHO };
        let story = script.run(manner, &program, &mut reactor.shared);
        script.expect_whole(&story, manner);
        assert!(story.most_unread < 2 * LONG as u64, "{} bytes are unread", story.most_unread);
    }
}

/// Turns that lose nothing, not all of which put a call off.
fn program() -> impl Strategy<Value = Program> {
    let turn = prop_oneof![
        3 => (1_usize..40).prop_map(Turn::UpTo),
        2 => (40_usize..3000).prop_map(Turn::UpTo),
        1 => Just(Turn::UpTo(usize::MAX)),
        2 => Just(Turn::Later),
        1 => Just(Turn::Interrupted),
    ];
    let of_a_call = prop::collection::vec(turn, 0..8);
    prop::collection::vec(of_a_call, Call::ALL.len()).prop_map(|of_each| {
        let mut program = Program::default();
        for (turns, some) in program.turns.iter_mut().zip(of_each) {
            *turns = some;
            turns.push(Turn::UpTo(1000));
        }
        program
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_splits_and_interruptions_change_nothing(
        program in program(),
        longest in prop_oneof![Just(600_usize), Just(5000), Just(70_000)],
        compresses: bool,
        first in prop::sample::select(FIRST),
        closes_behind in prop_oneof![Just(None), Just(Some(0)), (1_usize..9).prop_map(Some)],
        patience in 1_usize..20,
        is_held: bool,
    ) {
        let mut reactor = Reactor::new().unwrap();
        let held_at = (is_held && closes_behind == Some(0)).then_some(0);
        let manner = Manner { compresses, first, closes_behind, patience, held_at, ..ECHO };
        let script = Script::new(longest, compresses, &mut reactor.shared);
        let story = script.run(manner, &program, &mut reactor.shared);
        script.expect_whole(&story, manner);
    }
}
