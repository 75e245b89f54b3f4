//! Frames.

use sansocket::{Client, Connection, Either, Limits, Negotiated, ProtocolError};
use sansocket_testkit::{End, Keys, Message, PONG, Received, Side, feed_whole, split_frames};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, WebSocket};

use super::Difference;
use super::wire::Wire;
use crate::invariants::{ASKED, Work};

/// What tungstenite makes of a code that must not travel.
const BAD_CODE: (u16, &str) = (1002, "Protocol violation");

/// The longest header.
const MAX_HEADER: usize = 14;

/// What one of the two has made of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    /// What was received.
    received: Vec<Received>,
    /// The payloads of the pongs it has sent.
    pongs: Vec<Vec<u8>>,
    /// How it went on.
    end: Ended,
}

/// How it went on.
#[derive(Debug, PartialEq)]
enum Ended {
    /// The bytes have ended.
    Open,
    /// A Close has come.
    Closed(Option<(u16, String)>),
    /// They were refused.
    Refused,
}

/// Gives both the bytes.
pub(super) fn compare(reader: Side, limit: usize, bytes: &[u8]) -> Option<Difference> {
    let theirs = theirs(reader, limit, bytes);
    let (ours, failure) = ours(reader, limit, bytes);
    // A ping or pong whose length is in a longer form cannot be short enough, before one knows what the length is.
    if ours != theirs && matches!(failure, Some(ProtocolError::NonMinimalLength | ProtocolError::ControlTooLong)) {
        let (rewritten, is_cut) = in_shortest_form(bytes);
        let (ours, failure) = self::ours(reader, limit, &rewritten);
        let waits = theirs.end == Ended::Open && (&ours.received, &ours.pongs) == (&theirs.received, &theirs.pongs);
        // Where a ping's length is cut, it is too long for us in any case, and tungstenite waits for what it is.
        let may_wait = is_cut && failure == Some(ProtocolError::ControlTooLong) && waits;
        let known = ours == theirs || may_wait || known(reader, limit, bytes, &ours, failure, &theirs).is_some();
        assert!(known, "with the shortest lengths, ours: {ours:?}, theirs: {theirs:?}, of {bytes:02x?}");
        return Some(Difference::LongLength);
    }
    let known = known(reader, limit, bytes, &ours, failure, &theirs);
    assert!(ours == theirs || known.is_some(), "ours: {ours:?}, theirs: {theirs:?}, of {bytes:02x?}");
    known
}

/// Why they differ, if it is known.
fn known(
    reader: Side,
    limit: usize,
    bytes: &[u8],
    ours: &Read,
    failure: Option<ProtocolError>,
    theirs: &Read,
) -> Option<Difference> {
    if (&ours.received, &ours.pongs) != (&theirs.received, &theirs.pongs) {
        return None;
    }
    let is_bad = |(code, reason): &(u16, String)| (*code, &reason[..]) == BAD_CODE;
    match (&ours.end, &theirs.end) {
        (Ended::Refused, Ended::Closed(Some(close))) if failure == Some(ProtocolError::InvalidCloseCode) => {
            is_bad(close).then_some(Difference::CloseCode)
        }
        (Ended::Closed(Some((1014, _))), Ended::Closed(Some(close))) => is_bad(close).then_some(Difference::BadGateway),
        (Ended::Refused, Ended::Open) => {
            // Whatever the rest of the frame is.
            let more = [bytes, &vec![0; MAX_HEADER + limit.max(125)]].concat();
            (*ours == self::theirs(reader, limit, &more)).then_some(Difference::WholeFrames)
        }
        _ => None,
    }
}

/// What we make of it.
fn ours(reader: Side, limit: usize, bytes: &[u8]) -> (Read, Option<ProtocolError>) {
    let role = match reader {
        Side::Server => Either::Server,
        Side::Client => Either::Client(Client::new(Keys::default())),
    };
    let limits = Limits { message: limit as u64, ..Limits::UNLIMITED };
    let work = Work::begin();
    let fed = feed_whole(Connection::new(role, Negotiated::default(), limits), bytes);
    work.check(ASKED, bytes.len() + fed.output.len(), 1);
    let end = match fed.transcript.end {
        End::Open(_) => Ended::Open,
        End::Closed { code, reason } => Ended::Closed(code.map(|code| (code, reason))),
        End::Failed(_) => Ended::Refused,
    };
    (Read { received: fed.transcript.received, pongs: pongs(reader, &fed.output), end }, fed.failure)
}

/// What tungstenite makes of it.
fn theirs(reader: Side, limit: usize, bytes: &[u8]) -> Read {
    let role = if reader == Side::Server { Role::Server } else { Role::Client };
    // It has a limit for frames, too, which holds for pings; and it takes memory for what is declared.
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit.max(125)));
    let mut socket = WebSocket::from_raw_socket(Wire::new(bytes), role, Some(config));
    let mut received = Vec::new();
    let end = loop {
        received.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Received::Message(Message::text(&text)),
            Ok(tungstenite::Message::Binary(bytes)) => Received::Message(Message::binary(&bytes)),
            Ok(tungstenite::Message::Ping(payload)) => Received::Ping(payload.to_vec()),
            Ok(tungstenite::Message::Pong(payload)) => Received::Pong(payload.to_vec()),
            Ok(tungstenite::Message::Close(close)) => {
                break Ended::Closed(close.map(|close| (close.code.into(), close.reason.to_string())));
            }
            Ok(tungstenite::Message::Frame(frame)) => unreachable!("reading gives no {frame:?}"),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => break Ended::Open,
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => break Ended::Refused,
            Err(error) => panic!("tungstenite: {error}"),
        });
    };
    // The answers to the last pings.
    let _ = socket.flush();
    Read { received, pongs: pongs(reader, &socket.get_ref().output), end }
}

/// The payloads of the pongs in an output.
fn pongs(writer: Side, output: &[u8]) -> Vec<Vec<u8>> {
    let frames = split_frames(writer, output);
    frames.iter().filter(|frame| frame.opcode() == PONG).map(|frame| frame.payload().to_vec()).collect()
}

/// The same frames with each length in its shortest form, and whether the last one is cut inside of its length.
fn in_shortest_form(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut rewritten = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (form, rest) = match second & 0x7F {
            126 => (2, rest),
            127 => (8, rest),
            _ => (0, rest),
        };
        let Some((length, mut rest)) = rest.split_at_checked(form) else { break };
        let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = if form == 0 { u64::from(second & 0x7F) } else { length };
        rewritten.push(*first);
        let mask = second & 0x80;
        match length {
            0..=125 => rewritten.push(mask | length.to_be_bytes()[7]),
            126..=65535 => rewritten.extend([&[mask | 126], &length.to_be_bytes()[6..]].concat()),
            _ => rewritten.extend([&[mask | 127], &length.to_be_bytes()[..]].concat()),
        }
        let key = if mask == 0 { 0 } else { 4 };
        let there = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(key).min(rest.len());
        rewritten.extend(rest.split_off(..there).unwrap_or_default());
        bytes = rest;
    }
    rewritten.extend(bytes);
    (rewritten, bytes.len() > 1)
}
