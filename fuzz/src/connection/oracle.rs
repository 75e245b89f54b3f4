//! What the naive codec says of a stream, and what follows from that for everything that can be seen of a connection.

use sansocket::{EndedBy, NextStep};
use sansocket_testkit::{CLOSE, End, PONG, Received, Side, Transcript, close_body, naive, split_frames};

use super::Case;
use super::line::{OWN_CLOSE, Outcome};

/// Holds what a connection has made of `bytes` against the naive codec.
pub(super) fn check(case: &Case, bytes: &[u8], outcome: &Outcome) {
    hold(case.reader, case.closes_first, &naive::decode(case.reader, bytes, &case.limits), outcome);
}

/// Holds what a connection has made of a stream against what there is in it.
pub(crate) fn hold(reader: Side, closes_first: bool, expected: &Transcript, outcome: &Outcome) {
    assert_eq!(outcome.transcript, *expected);
    assert_eq!(outcome.failure, expected.failure());
    assert_eq!(outcome.next_step, next_step(reader, &expected.end));
    assert_eq!((outcome.ending.by(), outcome.ending.code()), ending(closes_first, &expected.end));
    let frames = split_frames(reader, &outcome.output);
    assert!(frames.iter().all(|frame| frame.is_fin() && frame.reserved_bits() == 0));
    let written: Vec<_> = frames.iter().map(|frame| (frame.opcode(), frame.payload().to_vec())).collect();
    assert_eq!(written, replies(closes_first, expected));
}

/// 7.1.1: the server closes the transport first.
fn next_step(reader: Side, end: &End) -> NextStep {
    match (end, reader) {
        (End::Open(_), _) => NextStep::Open,
        (End::Closed { .. }, Side::Server) => NextStep::CloseAfterFlush,
        (End::Closed { .. }, Side::Client) => NextStep::AwaitEof,
        (End::Failed(_), _) => NextStep::DrainAfterFlush,
    }
}

/// 7.1.5: the code of the first Close, 1005 if it had none, 1006 if there was none.
fn ending(closes_first: bool, end: &End) -> (EndedBy, u16) {
    match end {
        End::Open(place) => (EndedBy::Loss(*place), 1006),
        End::Closed { code, .. } => (if closes_first { EndedBy::Local } else { EndedBy::Peer }, code.unwrap_or(1005)),
        End::Failed(error) => (EndedBy::Failure(*error), 1006),
    }
}

/// 5.5.2: a pong to each ping; 5.5.1: a Close to a Close; 7.1.7: a Close to a violation; 5.5.1: of Closes, one.
fn replies(closes_first: bool, transcript: &Transcript) -> Vec<(u8, Vec<u8>)> {
    let own = closes_first.then(|| (CLOSE, close_body(OWN_CLOSE.0.get(), OWN_CLOSE.1)));
    let pongs = transcript.received.iter().filter_map(|received| match received {
        Received::Ping(payload) => Some((PONG, payload.clone())),
        _ => None,
    });
    let close = match &transcript.end {
        _ if closes_first => None,
        End::Open(_) => None,
        End::Closed { code, .. } => Some((CLOSE, code.map_or(Vec::new(), |code| close_body(code, "")))),
        End::Failed(error) => Some((CLOSE, close_body(error.close_code().get(), error.text()))),
    };
    own.into_iter().chain(pongs).chain(close).collect()
}
