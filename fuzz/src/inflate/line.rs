//! A connection and its decompressor behind a line that cuts, and what must hold in each call by itself.

use allocation_counter::measure;
use sansocket::deflate::{Decompressor, Pool, PoolLimits};
use sansocket::{Client, Connection, Either, Event, MAX_REPLY, Negotiated, NextStep};
use sansocket_testkit::{Keys, Recorder, Side};

use super::Case;
use crate::connection::line::Outcome;
use crate::invariants::{FRAME, Work};

/// What lies behind the scratch and must not change.
const CANARY: [u8; 32] = [0xC5; 32];

/// The most memory that inflating takes: a decompressor.
const MAX_CODEC: u64 = 48 * 1024;

/// Feeds the stream, cut at `cuts`, inflates what comes with so much scratch, then ends the transport.
pub(crate) fn drive(case: &Case, cuts: &[usize], scratch: usize) -> Outcome {
    let (mut line, work) = (Line::new(case, scratch), Work::begin());
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    cuts.push(case.bytes.len());
    let (mut start, pieces) = (0, cuts.len());
    for end in cuts {
        line.feed(&case.bytes[start..end]);
        start = end;
    }
    // What was made by the call that has failed is not given.
    let lost = line.connection.failure().map_or(0, |_| scratch);
    work.check(FRAME, line.bytes + line.out.len() + lost, pieces);
    line.end()
}

/// A connection, its decompressor, and what has come of it.
struct Line<'c> {
    /// The case.
    case: &'c Case,
    /// The connection.
    connection: Connection<Either<Keys>>,
    /// Its decompressor.
    decompressor: Decompressor,
    /// Where that borrows from.
    pool: Pool,
    /// Memory that is lent to each call, and the canary.
    scratch: Vec<u8>,
    /// Bytes that the message under way has given.
    given: u64,
    /// Calls that have inflated, and how many there may be: each takes a byte, makes one, or ends something.
    calls: usize,
    /// See there.
    calls_expected: usize,
    /// Bytes that have come, and that were made of them.
    bytes: usize,
    /// Its output.
    out: Vec<u8>,
    /// What was received.
    recorder: Recorder,
}

impl<'c> Line<'c> {
    /// A connection right behind its handshake.
    fn new(case: &'c Case, scratch: usize) -> Self {
        let role = match case.reader {
            Side::Server => Either::Server,
            Side::Client => Either::Client(Client::new(Keys::default())),
        };
        // One codec at a time, and none that is kept: what is taken is seen, and what is not given back is missed.
        let pool = Pool::new(PoolLimits { lent: 1, kept: 0 });
        Self {
            case,
            connection: Connection::new(role, Negotiated::new(Some(case.parameters)), case.limits),
            decompressor: Decompressor::new(case.parameters, case.reader == Side::Server, &pool),
            pool,
            scratch: [&vec![0xC5; scratch], &CANARY[..]].concat(),
            given: 0,
            calls: 0,
            calls_expected: 16,
            bytes: 0,
            out: Vec::new(),
            recorder: Recorder::new(),
        }
    }

    /// Feeds one chunk. It must be used up.
    fn feed(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        let mut memory: Box<[u8]> = chunk.into();
        let mut input = &mut memory[..];
        loop {
            self.out.reserve(MAX_REPLY);
            let mut event = None;
            let taken = measure(|| event = self.connection.receive(&mut input, &mut self.out));
            assert_eq!(taken.count_total, 0, "receive has taken memory");
            match event {
                None => break,
                Some(Event::Compressed(piece)) => self.inflate(piece),
                Some(event) => self.recorder.record(&self.connection, event),
            }
        }
        assert!(input.is_empty(), "input was left");
    }

    /// Inflates a piece.
    fn inflate(&mut self, mut piece: sansocket::Compressed<'_>) {
        self.calls_expected += 4 + piece.as_bytes().len();
        let Self { connection, decompressor, out, recorder, .. } = self;
        let room = self.scratch.len() - CANARY.len();
        loop {
            self.calls += 1;
            assert!(decompressor.inflate(&mut piece, &mut [], connection, out).is_none(), "something in no room");
            let held = !decompressor.is_idle();
            let (scratch, canary) = self.scratch.split_at_mut(room);
            out.reserve(MAX_REPLY);
            let mut event = None;
            let taken = measure(|| event = decompressor.inflate(&mut piece, scratch, connection, out));
            assert_eq!(canary, CANARY, "scratch was written past its end");
            assert!(taken.bytes_max <= if held { 0 } else { MAX_CODEC }, "{} bytes taken", taken.bytes_max);
            let Some(event) = event else { break };
            let (given, last) = event.piece().map_or((0, false), |piece| (piece.as_bytes().len(), piece.is_last()));
            self.given += given as u64;
            self.calls_expected += 2 * given;
            self.bytes += given;
            assert!(self.given <= self.case.limits.message, "more than the limit");
            if last {
                self.given = 0;
            }
            recorder.record(connection, event);
            let again = decompressor.piece(&self.scratch[..room]).map(|piece| piece.as_bytes().len());
            assert_eq!(again, connection.failure().is_none().then_some(given), "the piece once more");
        }
        assert!(piece.as_bytes().is_empty() || connection.failure().is_some(), "a piece was left");
        assert!(decompressor.inflate(&mut piece, &mut [0; 64], connection, out).is_none(), "more of what is used up");
    }

    /// Ends the transport.
    fn end(mut self) -> Outcome {
        assert!(self.calls <= self.calls_expected, "{} calls", self.calls);
        let next_step = self.connection.next_step();
        if next_step != NextStep::Open {
            let written = self.out.len();
            // A compressed message, for either role.
            self.feed(b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00");
            self.feed(b"\xC1\x87\0\0\0\0\xF2\x48\xCD\xC9\xC9\x07\x00");
            assert_eq!((self.connection.next_step(), self.out.len()), (next_step, written), "changed behind the end");
        }
        if self.connection.failure().is_some() || !self.case.takeover() && next_step != NextStep::Open {
            // What failed by itself did not ask its decompressor any more.
            drop(self.decompressor);
            assert_eq!(self.pool.lent(), (0, 0), "a decompressor was not given back");
        }
        self.connection.receive_eof();
        let ending = self.connection.ending().expect("the transport has ended");
        assert_eq!(self.connection.next_step(), NextStep::Closed);
        let failure = self.connection.failure();
        Outcome { transcript: self.recorder.finish(ending), output: self.out, failure, next_step, ending }
    }
}
