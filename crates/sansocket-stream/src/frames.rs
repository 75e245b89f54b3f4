//! How messages become frames.

use std::iter;

use sansocket::{Kind, Message, SendError};

use crate::inbox::Engine;

/// Messages longer than this go out in frames of this size, so that neither a copy of a long message is held nor a reply has to
/// wait for its end.
pub const FRAME: usize = 64 * 1024;

/// A server writes payloads from here on out of the caller's memory, behind their header, instead of copying them first.
pub const GATHERED: usize = 4 * 1024;

/// Queues a message that fits a frame. False: it is longer, or better written without a copy, and may be sent in frames.
///
/// # Errors
///
/// The engine's.
pub fn queue(engine: &mut Engine, message: Message<'_>, out: &mut Vec<u8>) -> Result<bool, SendError> {
    let most = if engine.is_server() { GATHERED } else { FRAME };
    if message.as_bytes().len() <= most {
        return engine.send(message, out).map(|()| true);
    }
    // Its first frame would otherwise go on with a message that somebody sends in parts.
    if engine.is_sending() { Err(SendError::MessageUnderWay) } else { Ok(false) }
}

/// A frame of a message.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'p> {
    /// What the message is.
    pub kind: Kind,
    /// The payload.
    pub part: &'p [u8],
    /// Whether the message ends with it.
    pub last: bool,
    /// Whether a text is known to be UTF-8 as a whole.
    pub trusted: bool,
}

/// Cuts a long message into frames.
pub fn frames(message: Message<'_>) -> impl Iterator<Item = Frame<'_>> {
    let mut parts = message.as_bytes().chunks(FRAME).peekable();
    iter::from_fn(move || {
        let part = parts.next()?;
        Some(Frame { kind: message.kind(), part, last: parts.peek().is_none(), trusted: true })
    })
}

/// Queues a frame, and gives what is to be written behind the queue: all of the payload, or nothing.
///
/// # Errors
///
/// The engine's.
pub fn queue_frame<'p>(engine: &mut Engine, frame: Frame<'p>, out: &mut Vec<u8>) -> Result<&'p [u8], SendError> {
    let Frame { kind, part, last, trusted } = frame;
    let checked = trusted || kind == Kind::Binary;
    // All frames of a message in the same way: the engine would miss the first half of a character that two of them share.
    if checked && engine.is_server() {
        engine.send_header(kind, part.len() as u64, last, out)?;
        if part.len() > GATHERED {
            return Ok(part);
        }
        out.extend_from_slice(part);
    } else {
        engine.send_part(kind, part, last, out)?;
    }
    Ok(&[])
}

#[cfg(test)]
mod tests {
    use sansocket::{Client, Connection, Either, Event, Limits, Negotiated, RandomKeys};

    use super::*;

    /// What a client gets of a text in frames, each written behind what was queued before it.
    fn sent(engine: &mut Engine, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames(Message::Text(text)) {
            let behind = queue_frame(engine, frame, &mut out).unwrap();
            out.extend_from_slice(behind);
        }
        out
    }

    fn received(mut wire: &mut [u8]) -> String {
        let keys = Either::Client(Client::new(RandomKeys));
        let mut client = Connection::new(keys, Negotiated::default(), Limits::default());
        let (mut text, mut replies) = (String::new(), Vec::new());
        while let Some(event) = client.receive(&mut wire, &mut replies) {
            let Event::Text(piece) = event else { panic!("{event:?}") };
            text.push_str(piece.as_str());
        }
        text
    }

    #[test]
    fn a_character_may_lie_across_frames_whichever_of_them_are_copied() {
        for behind in [0, 1, GATHERED - 1, GATHERED, FRAME] {
            let text = "x".repeat(FRAME - 1) + "\u{e9}" + &"y".repeat(behind);
            let mut engine = Connection::new(Either::Server, Negotiated::default(), Limits::default());
            assert!(received(&mut sent(&mut engine, &text)) == text, "{behind} bytes behind the character");
        }
    }
}
