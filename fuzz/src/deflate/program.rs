//! What is sent.

use arbitrary::Unstructured;
use sansocket::Kind;
use sansocket::deflate::Compress;

use crate::bytes::{byte, payload, text, word};

/// Operations: an operation byte's lower four bits. Bits 4 and 5 choose whether it is compressed, bit 6 bounds the output's room, bit 7 makes
/// the content a text.
pub(crate) mod op {
    /// A message: content.
    pub(crate) const SEND: u8 = 0;
    /// A part of a message: content.
    pub(crate) const PART: u8 = 1;
    /// The last part of a message: content.
    pub(crate) const LAST_PART: u8 = 2;
    /// A message that was sent before, once more: how many messages back.
    pub(crate) const AGAIN: u8 = 3;
    /// Bytes that cannot be compressed, as a message: how many, as two bytes.
    pub(crate) const NOISE: u8 = 4;
    /// A prepared message: content.
    pub(crate) const PREPARED: u8 = 5;
    /// A ping: payload.
    pub(crate) const PING: u8 = 6;
    /// An empty part of whatever message is under way.
    pub(crate) const EMPTY_PART: u8 = 7;
    /// Compressed in any case.
    pub(crate) const ALWAYS: u8 = 0x10;
    /// Not compressed.
    pub(crate) const NEVER: u8 = 0x20;
    /// The output has room for so many bytes: two bytes behind the operation's own.
    pub(crate) const BOUNDED: u8 = 0x40;
    /// The content is a text.
    pub(crate) const IS_TEXT: u8 = 0x80;
}

/// Something that is sent.
#[derive(Debug)]
pub(super) struct Step {
    /// What it is.
    pub(super) send: Send,
    /// Whether it is compressed.
    pub(super) choice: Compress,
    /// The output's room. `None`: enough.
    pub(super) room: Option<usize>,
}

impl Step {
    /// The content.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.send {
            Send::Message(_, bytes) | Send::Part(_, bytes, _) | Send::Prepared(_, bytes) | Send::Ping(bytes) => bytes,
        }
    }
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Send {
    /// A message.
    Message(Kind, Vec<u8>),
    /// A part of a message: whether it is the last.
    Part(Kind, Vec<u8>, bool),
    /// A prepared message.
    Prepared(Kind, Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
}

/// A program is cut short where it has so many bytes of content.
const ENOUGH: usize = 70_000;

/// The program in `u`.
pub(super) fn read(u: &mut Unstructured<'_>) -> Vec<Step> {
    let (mut program, mut sent, mut kind, mut total) = (Vec::new(), Vec::new(), Kind::Binary, 0);
    while !u.is_empty() && total < ENOUGH {
        let code = byte(u);
        let choice = match code & (op::ALWAYS | op::NEVER) {
            0 => Compress::Auto,
            op::ALWAYS => Compress::Always,
            _ => Compress::Never,
        };
        let of_content = if code & op::IS_TEXT == 0 { Kind::Binary } else { Kind::Text };
        let content = |u: &mut Unstructured<'_>| match of_content {
            Kind::Text => text(u).into_bytes(),
            Kind::Binary => payload(u),
        };
        let send = match code & 0xF {
            op::PART | op::LAST_PART => {
                kind = of_content;
                Send::Part(kind, content(u), code & 0xF == op::LAST_PART)
            }
            op::AGAIN => {
                let back = usize::from(byte(u)) % sent.len().max(1);
                let (kind, bytes) = sent.iter().rev().nth(back).cloned().unwrap_or((Kind::Binary, Vec::new()));
                Send::Message(kind, bytes)
            }
            op::NOISE => Send::Message(Kind::Binary, noise(word(u))),
            op::PREPARED => Send::Prepared(of_content, content(u)),
            op::PING => {
                let mut payload = payload(u);
                payload.truncate(125);
                Send::Ping(payload)
            }
            op::EMPTY_PART => Send::Part(kind, Vec::new(), false),
            _ => Send::Message(of_content, content(u)),
        };
        if let Send::Message(kind, bytes) = &send {
            sent.push((*kind, bytes.clone()));
        }
        let room = (code & op::BOUNDED != 0).then(|| usize::from(word(u)));
        let step = Step { send, choice, room };
        total += step.bytes().len();
        program.push(step);
    }
    program
}

/// Bytes that cannot be compressed, the same in every run.
fn noise(len: u16) -> Vec<u8> {
    let mut state = u64::from(len).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..len).map(byte).collect()
}
