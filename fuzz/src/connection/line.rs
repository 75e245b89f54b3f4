//! A connection behind a line that cuts, and what must hold in each call of `receive` by itself.

use allocation_counter::measure;
use sansocket::{
    Client, CloseCode, Connection, Either, Ending, Event, Limits, MAX_REPLY, Negotiated, NextStep, Output,
    ProtocolError, SendError,
};
use sansocket_testkit::{Keys, Recorder, Side, Transcript};

use super::Case;
use super::meter::Meter;
use crate::invariants::{FRAME, Work};

/// The code and the reason of a connection that closes first.
pub(super) const OWN_CLOSE: (CloseCode, &str) = (CloseCode::NORMAL, "bye");

/// The most output for a byte of input: a masked pong without payload is three times its ping.
const MAX_RATIO: usize = 3;

/// How many bytes are fed behind the end: more than one frame that could be answered.
const BEHIND: usize = 300;

/// What must not depend on how the stream was cut.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// What was received.
    pub(crate) transcript: Transcript,
    /// What was written.
    pub(crate) output: Vec<u8>,
    /// The failure.
    pub(crate) failure: Option<ProtocolError>,
    /// What was to be done with the transport before that ended.
    pub(crate) next_step: NextStep,
    /// How it ended, once the transport had.
    pub(crate) ending: Ending,
}

/// Feeds `bytes`, cut at `cuts`, then ends the transport. With `spare`, the output has room for a reply and so much more, and is
/// emptied once there is no room for another.
pub(super) fn drive(case: &Case, bytes: &[u8], cuts: &[usize], spare: Option<usize>) -> Outcome {
    let mut line = Line::new(case, spare);
    let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut start = 0;
    for end in cuts {
        line.feed(&bytes[start..end]);
        start = end;
    }
    line.end(bytes)
}

/// A connection, its output, and what has come of it.
struct Line {
    /// The connection.
    connection: Connection<Either<Keys>>,
    /// Its limits.
    limits: Limits,
    /// Its output.
    out: Meter,
    /// What was taken from the output.
    wire: Vec<u8>,
    /// Bytes of a Close that it has sent first.
    own: usize,
    /// What was received.
    recorder: Recorder,
    /// `completes_message` has said that a message's last piece comes without more input.
    promised: bool,
}

/// What there was in front of a call of `receive`.
struct Before {
    /// Bytes of input.
    input: usize,
    /// The output's room.
    room: usize,
    /// The connection has ended.
    over: bool,
    /// What `completes_message` has said.
    completes: bool,
    /// What `continues_message` has said.
    continues: bool,
}

impl Line {
    /// A connection right behind its handshake, or behind a Close of its own.
    fn new(case: &Case, spare: Option<usize>) -> Self {
        let role = match case.reader {
            Side::Server => Either::Server,
            Side::Client => Either::Client(Client::new(Keys::default())),
        };
        let mut connection = Connection::new(role, Negotiated::default(), case.limits);
        let mut wire = Vec::new();
        if case.closes_first {
            let (code, reason) = OWN_CLOSE;
            connection.close(Some(code), reason, &mut wire).expect("it is open");
        }
        let (own, out) = (wire.len(), Meter::new(spare));
        Self { connection, limits: case.limits, out, wire, own, recorder: Recorder::new(), promised: false }
    }

    /// Feeds one chunk. It must be used up.
    fn feed(&mut self, chunk: &[u8]) {
        // Exactly as large as the chunk: a sanitizer sees a byte touched behind it.
        let mut memory: Box<[u8]> = chunk.into();
        let mut input = &mut memory[..];
        while self.receive(&mut input) {}
        assert!(input.is_empty());
        assert!(!self.promised, "completes_message has promised what did not come");
    }

    /// Calls `receive` once. `false`: there is nothing more to be got from this input.
    fn receive<'b>(&mut self, input: &mut &'b mut [u8]) -> bool {
        let before = Before {
            input: input.len(),
            room: self.out.room(),
            over: self.connection.next_step() != NextStep::Open,
            completes: self.connection.completes_message(input),
            continues: self.connection.continues_message(input),
        };
        self.out.put = 0;
        let mut event: Option<Event<'b>> = None;
        // The engine holds nothing but itself.
        let work = Work::begin();
        let memory = measure(|| event = self.connection.receive(input, &mut self.out));
        work.check(FRAME, before.input - input.len() + self.out.put, 1);
        assert_eq!(memory.count_total, 0, "receive has taken memory");
        self.check_call(&before, input.len(), event.as_ref());
        let more = event.is_some() || !input.is_empty();
        if before.room < MAX_REPLY || self.out.is_unbounded() {
            self.out.empty_into(&mut self.wire);
        }
        if let Some(event) = event {
            self.recorder.record(&self.connection, event);
        }
        more
    }

    /// What must hold for each call.
    fn check_call(&mut self, before: &Before, left: usize, event: Option<&Event<'_>>) {
        let taken = before.input - left;
        let may_reply = matches!(event, Some(Event::Ping | Event::Close | Event::Failed(_)));
        assert!(self.out.put <= if may_reply { MAX_REPLY } else { 0 }, "{} bytes for {event:?}", self.out.put);
        assert!(self.connection.payload_left() <= self.limits.message);
        let has_room = before.room >= MAX_REPLY;
        match event {
            None if has_room || before.over => assert_eq!(left, 0, "input was left"),
            None => assert_eq!(taken, 0, "input was taken without room for a reply"),
            Some(event) => {
                assert!(!before.over, "{event:?} behind the end");
                assert!(has_room, "{event:?} without room for a reply");
                // A header that cannot be right is told and not taken.
                assert!(taken > 0 || matches!(event, Event::Failed(_)), "{event:?} out of nothing");
            }
        }
        if has_room {
            self.check_foretold(before, event);
        }
    }

    /// What `continues_message` and `completes_message` have said is what comes.
    fn check_foretold(&mut self, before: &Before, event: Option<&Event<'_>>) {
        let last = match event {
            Some(Event::Text(text)) => Some(text.is_last()),
            Some(Event::Binary(binary)) => Some(binary.is_last()),
            _ => None,
        };
        match (event, last) {
            (Some(Event::Failed(_)), _) => self.promised = false,
            (_, Some(last)) => {
                assert!(before.continues, "{event:?} was not foretold");
                assert!(before.completes || !last, "{event:?} was not foretold as a last piece");
                self.promised = (self.promised || before.completes) && !last;
            }
            _ => assert!(!before.continues && !before.completes && !self.promised, "foretold, and {event:?} came"),
        }
    }

    /// Ends the transport. The beginning of `bytes`, all that was fed, is then fed once more, and must not change anything.
    fn end(mut self, bytes: &[u8]) -> Outcome {
        let behind = &bytes[..bytes.len().min(BEHIND)];
        let next_step = self.connection.next_step();
        if next_step != NextStep::Open {
            self.expect_silence(behind);
        }
        self.connection.receive_eof();
        let ending = self.connection.ending().expect("the transport has ended");
        assert_eq!(self.connection.next_step(), NextStep::Closed);
        self.expect_silence(behind);
        let failure = self.connection.failure();
        self.out.empty_into(&mut self.wire);
        assert!(self.wire.len() <= self.own + MAX_RATIO * bytes.len() + MAX_REPLY);
        Outcome { transcript: self.recorder.finish(ending), output: self.wire, failure, next_step, ending }
    }

    /// Nothing can be got out of a connection that has ended, and nothing changes it.
    fn expect_silence(&mut self, behind: &[u8]) {
        let state = |line: &Self| {
            let connection = &line.connection;
            let close = connection.peer_close().map(|close| (close.code(), String::from(close.reason())));
            (connection.next_step(), connection.failure(), connection.ending(), close)
        };
        let before = state(self);
        let written = self.wire.len() + self.out.bytes.len();
        // Anything, a whole ping for either role, and a whole Close.
        for chunk in [behind, &[0x89, 0], &[0x89, 0x80, 0, 0, 0, 0], &[0x88, 0x80, 0, 0, 0, 0]] {
            self.feed(chunk);
        }
        let connection = &mut self.connection;
        assert_eq!(connection.send_text("", &mut self.out), Err(SendError::Closing));
        assert_eq!(connection.ping(&[], &mut self.out), Err(SendError::Closing));
        assert_eq!(connection.close(None, "", &mut self.out), Err(SendError::Closing));
        connection.fail(ProtocolError::PolicyViolation, &mut self.out);
        if before.0 == NextStep::Closed {
            connection.receive_eof();
        }
        assert!(!connection.may_send());
        assert_eq!(state(self), before);
        assert_eq!(self.wire.len() + self.out.bytes.len(), written, "written behind the end");
    }
}
