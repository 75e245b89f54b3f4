//! One connection over a stream that is cut at given points.

use sansocket::{Connection, Ending, Event, NextStep, ProtocolError, Role};

use crate::{Recorder, Transcript};

/// What a connection has made of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    /// What it has received.
    pub transcript: Transcript,
    /// What it has written.
    pub output: Vec<u8>,
    /// Its failure.
    pub failure: Option<ProtocolError>,
    /// What it wanted done with the transport before that ended.
    pub next_step: NextStep,
    /// How it ended, once the transport has.
    pub ending: Option<Ending>,
    /// Before each call of `receive`: what was foretold, and what came.
    pub steps: Vec<Step>,
}

/// One call of [`Connection::receive`], and what the connection has said about its input before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What [`Connection::completes_message`] has said.
    pub completes: bool,
    /// What [`Connection::continues_message`] has said.
    pub continues: bool,
    /// What came.
    pub gave: Gave,
}

/// What a call of [`Connection::receive`] gives, as far as foretelling it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gave {
    /// Nothing: the input was used up.
    Nothing,
    /// A piece of a message, not its last.
    Piece,
    /// The last piece of a message.
    LastPiece,
    /// A ping, a pong or a Close.
    Control,
    /// A failure.
    Failure,
}

/// Feeds `bytes`, cut at `cuts`, each piece in memory of its own size, then ends the transport.
///
/// Cuts that lie outside or occur twice do no harm: then a piece is empty.
#[track_caller]
pub fn feed<R: Role>(mut connection: Connection<R>, bytes: &[u8], cuts: &[usize]) -> Fed {
    let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut recorder = Recorder::new();
    let mut output = Vec::new();
    let mut steps = Vec::new();
    let mut start = 0;
    for end in cuts {
        let chunk = &bytes[start..end];
        steps.extend(feed_chunk(&mut connection, chunk, &mut output, &mut recorder));
        start = end;
    }
    let next_step = connection.next_step();
    connection.receive_eof();
    assert_eq!(connection.next_step(), NextStep::Closed);
    let ending = connection.ending();
    let transcript = recorder.finish(ending.expect("the transport has ended"));
    Fed { transcript, output, failure: connection.failure(), next_step, ending, steps }
}

/// As [`feed`], in one piece.
#[track_caller]
pub fn feed_whole<R: Role>(connection: Connection<R>, bytes: &[u8]) -> Fed {
    feed(connection, bytes, &[])
}

/// As [`feed`], byte for byte.
#[track_caller]
pub fn feed_each_byte<R: Role>(connection: Connection<R>, bytes: &[u8]) -> Fed {
    feed(connection, bytes, &(1..bytes.len()).collect::<Vec<_>>())
}

/// Feeds one piece. The connection must use it up.
#[track_caller]
pub(crate) fn feed_chunk<R: Role>(
    connection: &mut Connection<R>,
    chunk: &[u8],
    output: &mut Vec<u8>,
    recorder: &mut Recorder,
) -> Vec<Step> {
    // Exactly as large as the piece, so that no byte behind it can be touched unnoticed.
    let mut memory: Box<[u8]> = chunk.into();
    let mut input = &mut memory[..];
    let mut steps = Vec::new();
    loop {
        let completes = connection.completes_message(input);
        let continues = connection.continues_message(input);
        let event = connection.receive(&mut input, output);
        let gave = match &event {
            None => Gave::Nothing,
            Some(Event::Text(text)) if text.is_last() => Gave::LastPiece,
            Some(Event::Binary(binary)) if binary.is_last() => Gave::LastPiece,
            Some(Event::Text(_) | Event::Binary(_)) => Gave::Piece,
            Some(Event::Failed(_)) => Gave::Failure,
            Some(_) => Gave::Control,
        };
        steps.push(Step { completes, continues, gave });
        match event {
            Some(event) => recorder.record(connection, event),
            None => break,
        }
    }
    assert!(input.is_empty(), "input was left, with room in the output: {input:02x?}");
    steps
}
