//! Streams that are mostly valid, so that what lies behind the first frame is reached: a small program makes them.
//!
//! Each step is an operation and what it needs. Data frames know by themselves whether they begin a message or continue one.

use arbitrary::Unstructured;
use sansocket_testkit::{BINARY, CONTINUATION, Frame, LengthForm, PING, PONG, Side, TEXT};

use crate::bytes::{byte, key, payload, text, word};

/// Operations: an operation byte's lower four bits. [`ZERO_KEY`](op::ZERO_KEY) may be added.
pub(crate) mod op {
    /// A text frame with FIN: text.
    pub(crate) const TEXT: u8 = 0;
    /// A binary frame with FIN: payload.
    pub(crate) const BINARY: u8 = 1;
    /// A text frame without FIN: text.
    pub(crate) const TEXT_PART: u8 = 2;
    /// A binary frame without FIN: payload.
    pub(crate) const BINARY_PART: u8 = 3;
    /// A text message in frames that may cut characters: text, count (with bits 6 and 7 as many bytes less at the end, which may leave
    /// half a character), and each cut as a byte; with bit 7, a ping follows.
    pub(crate) const TEXT_IN_PARTS: u8 = 4;
    /// A ping: payload.
    pub(crate) const PING: u8 = 5;
    /// A pong: payload.
    pub(crate) const PONG: u8 = 6;
    /// A Close: code, text.
    pub(crate) const CLOSE: u8 = 7;
    /// A Close with any body: payload.
    pub(crate) const CLOSE_BODY: u8 = 8;
    /// A text frame of bytes that need not be text; the length byte's successor has FIN in bit 7: byte, payload.
    pub(crate) const TEXT_OF_BYTES: u8 = 9;
    /// A frame with any first byte: byte, payload.
    pub(crate) const ANY: u8 = 10;
    /// A frame with a length in this form: first byte, form, payload.
    pub(crate) const FORM: u8 = 11;
    /// A header with any length and no payload: first byte, index of the length.
    pub(crate) const DECLARED: u8 = 12;
    /// Bytes as they are: payload.
    pub(crate) const BYTES: u8 = 13;
    /// A fault somewhere in what is there: place, kind, byte.
    pub(crate) const SPOIL: u8 = 14;
    /// A frame masked with a given key, whoever reads: first byte, key, payload.
    pub(crate) const MASKED: u8 = 15;
    /// Masks with a key of zeros.
    pub(crate) const ZERO_KEY: u8 = 0x80;
}

/// Lengths at the borders of their forms, and around what a length can be.
const LENGTHS: [u64; 10] = [125, 126, 127, 1000, 65535, 65536, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX];

/// A program is cut short where its stream has so many bytes: one of the longest frames, and some.
const ENOUGH: usize = 66_000;

/// The stream that the program makes for `reader`.
pub(crate) fn run(reader: Side, u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut stream = Stream { reader, key: [0; 4], frames: 0, inside: false, bytes: Vec::new() };
    while !u.is_empty() && stream.bytes.len() < ENOUGH {
        stream.step(u);
    }
    stream.bytes
}

/// A stream under construction.
struct Stream {
    /// Who will read it.
    reader: Side,
    /// The next frame's key.
    key: [u8; 4],
    /// Frames so far.
    frames: u32,
    /// Whether a message has begun and not ended.
    inside: bool,
    /// The stream so far.
    bytes: Vec<u8>,
}

impl Stream {
    /// Carries out one operation.
    fn step(&mut self, u: &mut Unstructured<'_>) {
        let code = byte(u);
        self.frames = self.frames.wrapping_add(1);
        // Odd multiplier: no two keys are the same.
        let key_number = if code & op::ZERO_KEY == 0 { self.frames } else { 0 };
        self.key = key_number.wrapping_mul(0x9E37_79B1).to_be_bytes();
        match code & 0xF {
            op::TEXT => self.data(TEXT, true, text(u).as_bytes()),
            op::BINARY => self.data(BINARY, true, &payload(u)),
            op::TEXT_PART => self.data(TEXT, false, text(u).as_bytes()),
            op::BINARY_PART => self.data(BINARY, false, &payload(u)),
            op::TEXT_IN_PARTS => self.text_in_parts(u),
            op::PING => self.frame(Frame::new(PING, control(u))),
            op::PONG => self.frame(Frame::new(PONG, control(u))),
            op::CLOSE => self.close(u),
            op::CLOSE_BODY => self.frame(Frame::new(sansocket_testkit::CLOSE, control(u))),
            op::TEXT_OF_BYTES => {
                let fin = byte(u) & 0x80 != 0;
                self.data(TEXT, fin, &payload(u));
            }
            op::ANY => {
                let frame = any(u);
                self.frame(frame(&payload(u)));
            }
            op::FORM => self.form(u),
            op::DECLARED => {
                let frame = any(u);
                let length = LENGTHS[usize::from(byte(u)) % LENGTHS.len()];
                self.frame(frame(&[]).declared(length));
            }
            op::BYTES => self.bytes.extend(payload(u)),
            op::SPOIL => self.spoil(u),
            op::MASKED.. => {
                let (frame, key) = (any(u), key(u));
                self.bytes.extend(frame(&payload(u)).masked(key).bytes());
            }
        }
    }

    /// Appends a frame, masked as its reader demands it.
    fn frame(&mut self, frame: Frame) {
        self.bytes.extend(frame.for_reader(self.reader, self.key).bytes());
    }

    /// Appends a frame that begins or continues a message.
    fn data(&mut self, opcode: u8, fin: bool, payload: &[u8]) {
        let opcode = if self.inside { CONTINUATION } else { opcode };
        self.inside = !fin;
        self.frame(Frame::new(opcode, payload).fin(fin));
    }

    /// Appends a text message in frames, with pings in between.
    fn text_in_parts(&mut self, u: &mut Unstructured<'_>) {
        let text = text(u);
        let count = byte(u);
        let mut rest = &text.as_bytes()[..text.len().saturating_sub(usize::from(count >> 6))];
        for _ in 0..(count & 0x3F) % 6 {
            let cut = byte(u);
            let (part, tail) = rest.split_at(usize::from(cut & 0x7F) % (rest.len() + 1));
            rest = tail;
            self.data(TEXT, false, part);
            if cut & 0x80 != 0 {
                self.frame(Frame::new(PING, [cut]));
            }
        }
        self.data(TEXT, true, rest);
    }

    /// Appends a Close with a code and a reason.
    fn close(&mut self, u: &mut Unstructured<'_>) {
        let code = word(u);
        let mut body = sansocket_testkit::close_body(code, &text(u));
        body.truncate(125);
        self.frame(Frame::new(sansocket_testkit::CLOSE, body));
    }

    /// Appends a frame whose length need not be in its shortest form.
    fn form(&mut self, u: &mut Unstructured<'_>) {
        let frame = any(u);
        let form = if byte(u) & 1 == 0 { LengthForm::Bits16 } else { LengthForm::Bits64 };
        let mut payload = payload(u);
        payload.truncate(usize::from(u16::MAX));
        self.frame(frame(&payload).length_form(form));
    }

    /// Does one fault to what is there.
    fn spoil(&mut self, u: &mut Unstructured<'_>) {
        let (place, kind, byte) = (usize::from(word(u)), byte(u), byte(u));
        if self.bytes.is_empty() {
            return;
        }
        let at = place % self.bytes.len();
        match kind % 5 {
            0 => self.bytes[at] = byte,
            1 => self.bytes[at] ^= 1 << (byte % 8),
            2 => self.bytes.insert(at, byte),
            3 => _ = self.bytes.remove(at),
            _ => self.bytes.truncate(at),
        }
    }
}

/// A payload that a control frame can have.
fn control(u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut payload = payload(u);
    payload.truncate(125);
    payload
}

/// A frame with any first byte, once it has its payload.
fn any(u: &mut Unstructured<'_>) -> impl Fn(&[u8]) -> Frame + use<> {
    let first = byte(u);
    move |payload| Frame::new(first & 0xF, payload).fin(first & 0x80 != 0).reserved(first >> 4 & 7)
}
