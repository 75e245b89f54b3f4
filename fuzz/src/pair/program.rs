//! What the two sides do.

use arbitrary::Unstructured;
use sansocket::{Kind, ProtocolError};
use sansocket_testkit::Side;

use crate::bytes::{byte, payload, text, word};

/// Operations: an operation byte's lower four bits. Bits 4 to 6 say how much room the output has, bit 7 who acts.
pub(crate) mod op {
    /// A text message: text.
    pub(crate) const TEXT: u8 = 0;
    /// A binary message: payload.
    pub(crate) const BINARY: u8 = 1;
    /// A part of a text message: text, and how many of its last bytes the next part has instead, modulo 4.
    pub(crate) const TEXT_PART: u8 = 2;
    /// The last part of a text message: text.
    pub(crate) const LAST_TEXT_PART: u8 = 3;
    /// A part of a binary message: payload.
    pub(crate) const BINARY_PART: u8 = 4;
    /// The last part of a binary message: payload.
    pub(crate) const LAST_BINARY_PART: u8 = 5;
    /// A ping: payload.
    pub(crate) const PING: u8 = 6;
    /// A pong that nobody asked for: payload.
    pub(crate) const PONG: u8 = 7;
    /// A Close: index of the code behind none, text.
    pub(crate) const CLOSE: u8 = 8;
    /// A part of a text message that need not be text: byte with bit 7 for the last part, payload.
    pub(crate) const BYTES_AS_TEXT: u8 = 9;
    /// Bytes reach this side: how many.
    pub(crate) const DELIVER: u8 = 10;
    /// Everything reaches this side.
    pub(crate) const DELIVER_ALL: u8 = 11;
    /// The transport is gone.
    pub(crate) const CUT: u8 = 12;
    /// This side's limits are raised: bytes and frames to add.
    pub(crate) const RAISE: u8 = 13;
    /// A header, and behind it the payload: byte with bit 7 for the last part and bit 0 for binary, text.
    pub(crate) const HEADER: u8 = 14;
    /// A prepared text (0 and text), or a failure found by a layer above (1 + its index).
    pub(crate) const PREPARED_OR_FAIL: u8 = 15;
    /// The client acts.
    pub(crate) const CLIENT: u8 = 0x80;
}

/// Rooms of an output: none but enough, then around what headers and control frames need.
const ROOMS: [Option<usize>; 8] = [None, Some(1), Some(5), Some(11), Some(126), Some(127), Some(131), Some(1000)];

/// Codes of a Close: the borders of what may be sent.
const CODES: [Option<u16>; 9] =
    [None, Some(1000), Some(1001), Some(1003), Some(1007), Some(1009), Some(1014), Some(3000), Some(4999)];

/// What an unasked pong begins with and no ping does, so that pongs are told from answers.
const UNASKED: u8 = b'!';

/// Something that a side does or that happens to it.
#[derive(Debug)]
pub(super) struct Step {
    /// The side.
    pub(super) side: Side,
    /// The output's room. `None`: enough.
    pub(super) room: Option<usize>,
    /// What it is.
    pub(super) action: Action,
}

/// What a side does or what happens to it.
#[derive(Debug)]
pub(super) enum Action {
    /// It sends.
    Send(Send),
    /// It fails, for a layer above.
    Fail(ProtocolError),
    /// It gets some bytes.
    Deliver(usize),
    /// Its limits are raised: bytes and frames more.
    Raise(u64, u32),
    /// The transport is gone, for both sides.
    Cut,
}

/// A call that sends.
#[derive(Debug)]
pub(super) enum Send {
    /// `send_text`.
    Text(String),
    /// `send_binary`.
    Binary(Vec<u8>),
    /// `send_prepared`, of a text.
    Prepared(String),
    /// `send_part`: whether it is the last.
    Part(Kind, Vec<u8>, bool),
    /// `send_header`, and then the payload: whether it is the last.
    Header(Kind, String, bool),
    /// `ping`.
    Ping(Vec<u8>),
    /// `pong`.
    Pong(Vec<u8>),
    /// `close`.
    Close(Option<u16>, String),
}

impl Send {
    /// Bytes of its payload, but for a Close's code.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Prepared(text) | Self::Header(_, text, _) | Self::Close(_, text) => text.len(),
            Self::Binary(bytes) | Self::Part(_, bytes, _) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
        }
    }
}

/// The program in `u`.
pub(super) fn read(u: &mut Unstructured<'_>) -> Vec<Step> {
    let mut held = [Vec::new(), Vec::new()];
    let mut program = Vec::new();
    while !u.is_empty() {
        let code = byte(u);
        let side = if code & op::CLIENT == 0 { Side::Server } else { Side::Client };
        let room = ROOMS[usize::from(code >> 4 & 7)];
        program.push(Step { side, room, action: action(code & 0xF, &mut held[usize::from(code >> 7)], u) });
    }
    program
}

/// One operation. `held` is the end of the last part of this side's text, which the next part begins with.
fn action(code: u8, held: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Action {
    Action::Send(match code {
        op::TEXT => Send::Text(text(u)),
        op::BINARY => Send::Binary(payload(u)),
        op::TEXT_PART => {
            let mut part = [std::mem::take(held), text(u).into_bytes()].concat();
            *held = part.split_off(part.len() - usize::from(byte(u) % 4).min(part.len()));
            Send::Part(Kind::Text, part, false)
        }
        op::LAST_TEXT_PART => Send::Part(Kind::Text, [std::mem::take(held), text(u).into_bytes()].concat(), true),
        op::BINARY_PART => Send::Part(Kind::Binary, payload(u), false),
        op::LAST_BINARY_PART => Send::Part(Kind::Binary, payload(u), true),
        op::PING => {
            let mut payload = payload(u);
            payload.iter_mut().take(1).filter(|byte| **byte == UNASKED).for_each(|byte| *byte = b'?');
            Send::Ping(payload)
        }
        op::PONG => Send::Pong([&[UNASKED], &payload(u)[..]].concat()),
        op::CLOSE => Send::Close(CODES[usize::from(byte(u)) % CODES.len()], text(u)),
        op::BYTES_AS_TEXT => {
            let last = byte(u) & 0x80 != 0;
            Send::Part(Kind::Text, payload(u), last)
        }
        op::HEADER => {
            let flags = byte(u);
            let kind = if flags & 1 == 0 { Kind::Text } else { Kind::Binary };
            Send::Header(kind, text(u), flags & 0x80 != 0)
        }
        op::DELIVER => return Action::Deliver(usize::from(word(u))),
        op::DELIVER_ALL => return Action::Deliver(usize::MAX),
        op::CUT => return Action::Cut,
        op::RAISE => return Action::Raise(u64::from(word(u)), u32::from(byte(u))),
        op::PREPARED_OR_FAIL.. => match byte(u).checked_sub(1) {
            None => Send::Prepared(text(u)),
            Some(index) => return Action::Fail(ProtocolError::ALL[usize::from(index) % ProtocolError::ALL.len()]),
        },
    })
}
