//! What a socket has taken of a client's, as it goes.

use std::ops::RangeInclusive;

use sansocket::OwnedMessage;
use sansocket_testkit::CLOSE;

/// The messages among the bytes that were written, as far as they are there.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Where the first frame begins that is not whole.
    at: usize,
    /// Whole messages, and whether another one has begun.
    messages: usize,
    has_begun: bool,
    /// Bytes of payload in whole frames, and in the one that is not.
    payload: usize,
    in_part: usize,
    has_close: bool,
}

impl Taken {
    /// Looks at all that was written so far.
    pub(super) fn look(&mut self, written: &[u8]) {
        if self.at == 0 {
            let Some(end) = written.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            self.at = end + 4;
        }
        loop {
            let rest = &written[self.at..];
            self.in_part = 0;
            let Some((header, len)) = lengths(rest) else { return };
            let (is_last, opcode) = (rest[0] & 0x80 != 0, rest[0] & 0x0F);
            let is_message = opcode < CLOSE;
            if rest.len() < header + len {
                if is_message {
                    self.in_part = rest.len().saturating_sub(header);
                    self.has_begun = true;
                }
                return;
            }
            self.at += header + len;
            self.has_close |= opcode == CLOSE;
            if is_message {
                self.payload += len;
                self.messages += usize::from(is_last);
                self.has_begun = !is_last;
            }
        }
    }

    pub(super) const fn has_close(&self) -> bool {
        self.has_close
    }

    /// How much was not taken of the payload of these messages, at least and at most: what is compressed cannot be counted inside of a message.
    pub(super) fn left_of(&self, messages: &[OwnedMessage], compresses: bool) -> RangeInclusive<u64> {
        let len =
            |messages: &[OwnedMessage]| messages.iter().map(|message| message.as_message().as_bytes().len()).sum();
        let all: usize = len(messages);
        let (least, most) = if compresses {
            let behind: usize = len(&messages[self.messages + usize::from(self.has_begun)..]);
            (behind, len(&messages[self.messages..]))
        } else {
            let left = all - self.payload - self.in_part;
            (left, left)
        };
        least as u64..=most as u64
    }
}

/// How long the header is of the frame that begins here, and how long its payload, if that is known.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let (extended, len) = match *bytes.get(1)? & 0x7F {
        126 => (2, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (8, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (0, usize::from(short)),
    };
    // A client's key lies behind the length.
    Some((2 + extended + 4, len))
}
