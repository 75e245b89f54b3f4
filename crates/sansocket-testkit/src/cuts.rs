//! A conversation whose transport breaks behind every byte and at every call, one after the other.

use std::fmt::Debug;
use std::io::ErrorKind;
use std::thread;

use sansocket::EndedBy;

use crate::Side;
use crate::conversation::{Conversation, Story};
use crate::faults::{Break, Call, Point, Program};

/// A way to use an adapter.
pub trait Manner: Copy + Debug {
    /// Whether the adapter compresses.
    const COMPRESSES: bool;
    /// Whether it tells of pings and pongs.
    const TELLS_CONTROLS: bool;
    /// What it is told by a transport that has lost the other side, and takes for nothing else.
    const LOST: ErrorKind;
    /// How many bytes lie between two places where it is broken. Not all are tried where each try takes a handshake of TLS.
    const STEP: usize = 1;

    /// Those that matter to where a connection stands when its transport breaks; the usual one first.
    fn all() -> Vec<Self>;

    /// Whether it closes first, behind the last message.
    fn closes(self) -> bool;

    /// What becomes of the conversation over a transport that does as the program says.
    fn run(self, conversation: &Conversation, program: &Program) -> Story;

    /// What becomes of it without faults.
    ///
    /// # Panics
    ///
    /// If anything is missing.
    #[track_caller]
    fn run_whole(self, conversation: &Conversation) -> Story {
        let story = self.run(conversation, &Program::default());
        let by = if self.closes() { EndedBy::Local } else { EndedBy::Peer };
        story.expect_whole(conversation, by, Self::TELLS_CONTROLS);
        story
    }
}

/// Ends or breaks the transport behind each byte that was received.
///
/// # Panics
///
/// If that is not told once, or costs more than what comes behind it.
pub fn at_each_byte_received<M: Manner>() {
    let bytes =
        |whole: &Story| (0..whole.transport.received_from_wire()).step_by(M::STEP).map(Point::Received).collect();
    at_each::<M>(bytes, &reads_break::<M>());
}

/// Breaks the transport behind each byte that was sent.
///
/// # Panics
///
/// As [`at_each_byte_received`].
pub fn at_each_byte_sent<M: Manner>() {
    let bytes = |whole: &Story| (0..whole.transport.written_to_wire()).step_by(M::STEP).map(Point::Sent).collect();
    at_each::<M>(bytes, &writes_break::<M>());
}

/// Breaks the transport at each call of each kind.
///
/// # Panics
///
/// As [`at_each_byte_received`].
pub fn at_each_call<M: Manner>() {
    let calls = |call| move |whole: &Story| (0..whole.transport.calls(call)).map(|at| Point::Call(call, at)).collect();
    at_each::<M>(calls(Call::Read), &reads_break::<M>());
    at_each::<M>(calls(Call::Write), &writes_break::<M>());
    at_each::<M>(calls(Call::Flush), &writes_break::<M>());
    at_each::<M>(calls(Call::Shut), &writes_break::<M>());
}

/// How reads break, and calls of all kinds.
fn reads_break<M: Manner>() -> [Break; 5] {
    [
        Break::End,
        Break::Once(ErrorKind::ConnectionReset),
        Break::ForEver(ErrorKind::ConnectionReset),
        Break::ForEver(M::LOST),
        Break::ForEver(ErrorKind::Other),
    ]
}

fn writes_break<M: Manner>() -> [Break; 5] {
    [
        Break::Once(ErrorKind::BrokenPipe),
        Break::ForEver(ErrorKind::ConnectionReset),
        Break::Writing(ErrorKind::BrokenPipe),
        Break::Writing(M::LOST),
        Break::Writing(ErrorKind::Other),
    ]
}

/// Breaks a conversation at all of these points: in all of these ways where the adapter is used as always, and in each in turn otherwise.
fn at_each<M: Manner>(points: impl Fn(&Story) -> Vec<Point>, breaks: &[Break]) {
    for side in Side::BOTH {
        let conversation = Conversation::new(side, 450, M::COMPRESSES);
        for (number, manner) in M::all().into_iter().enumerate() {
            let whole = manner.run_whole(&conversation);
            for (at, point) in points(&whole).into_iter().enumerate() {
                let breaks = if number == 0 { breaks } else { &breaks[at % breaks.len()..][..1] };
                for &how in breaks {
                    let _case = Case(format!("{side:?}, {manner:?}: {point:?}, {how:?}"));
                    let story = manner.run(&conversation, &Program::cut(point, how));
                    story.expect_cut(point, how, &whole, &conversation, M::TELLS_CONTROLS);
                }
            }
        }
    }
}

/// Says of what it was if a test fails.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
