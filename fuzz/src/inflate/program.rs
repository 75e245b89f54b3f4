//! Streams whose messages can mostly be inflated: a small program makes them, and may spoil them behind that.

use arbitrary::Unstructured;
use miniz_oxide::MZFlush;
use sansocket::deflate::{Compress, Compressor, Config, Parameters, Policy, Pool, Window};
use sansocket::{Connection, Limits, Negotiated, Server};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, Side, TEXT};

use crate::bytes::{byte, payload, text, word};
use crate::oracle::Packer;
use crate::rfc1951::TAIL;

/// Operations: an operation byte's lower four bits. Bit 7 makes a message's content a text, else it is a payload.
pub(crate) mod op {
    /// A message by another compressor: content, level.
    pub(crate) const MESSAGE: u8 = 0;
    /// A message by our compressor: content, level and memory level.
    pub(crate) const OURS: u8 = 1;
    /// A message whose parts are flushed in any way: count, and each part as flush and content.
    pub(crate) const PARTS: u8 = 2;
    /// A message in frames: content, level, count, and each cut as a byte; with bit 7, a ping follows.
    pub(crate) const FRAMES: u8 = 3;
    /// Any bytes as a compressed message: payload.
    pub(crate) const BYTES: u8 = 4;
    /// A message with faults: content, level, count, and each fault as place, kind and byte.
    pub(crate) const SPOILT: u8 = 5;
    /// A byte many times: byte, and how many KiB, modulo 128.
    pub(crate) const BOMB: u8 = 6;
    /// A frame with any first byte: byte, payload.
    pub(crate) const ANY: u8 = 7;
    /// A message that is not compressed: content.
    pub(crate) const PLAIN: u8 = 8;
    /// A ping: payload.
    pub(crate) const PING_FRAME: u8 = 9;
    /// A Close with an empty body.
    pub(crate) const END: u8 = 10;
    /// A fault somewhere in the stream: place, kind, byte.
    pub(crate) const SPOIL: u8 = 11;
    /// The content is a text.
    pub(crate) const IS_TEXT: u8 = 0x80;
}

/// A program is cut short where its stream has so many bytes.
const ENOUGH: usize = 66_000;

/// The stream that the program makes for `reader`.
pub(super) fn run(reader: Side, window: Window, u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut stream = Stream { reader, window, frames: 0, packer: None, bytes: Vec::new() };
    while !u.is_empty() && stream.bytes.len() < ENOUGH {
        stream.step(u);
    }
    stream.bytes
}

/// A stream under construction.
struct Stream {
    /// Who will read it.
    reader: Side,
    /// How its writer may compress.
    window: Window,
    /// Frames so far.
    frames: u32,
    /// The writer's compressor, if it remembers earlier messages.
    packer: Option<Packer>,
    /// The stream so far.
    bytes: Vec<u8>,
}

impl Stream {
    /// Carries out one operation.
    fn step(&mut self, u: &mut Unstructured<'_>) {
        let code = byte(u);
        let opcode = if code & op::IS_TEXT == 0 { BINARY } else { TEXT };
        let content = |u: &mut Unstructured<'_>| if opcode == TEXT { text(u).into_bytes() } else { payload(u) };
        match code & 0xF {
            op::MESSAGE => {
                let (content, level) = (content(u), byte(u));
                let packed = self.pack(&content, level);
                self.message(opcode, &[&packed]);
            }
            op::OURS => {
                let (content, level) = (content(u), byte(u));
                let packed = ours(&content, level, self.window);
                self.message(opcode, &packed.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            op::PARTS => {
                let mut packed = Vec::new();
                for _ in 0..byte(u) % 6 {
                    let flush = byte(u);
                    let part = content(u);
                    packed.extend(self.with_packer(flush >> 4, |packer| packer.pack(&part, flush_of(flush))));
                }
                packed.extend(self.pack(b"", 6));
                self.message(opcode, &[&packed]);
            }
            op::FRAMES => {
                let (content, level) = (content(u), byte(u));
                let packed = self.pack(&content, level);
                self.in_frames(opcode, &packed, u);
            }
            op::BYTES => self.message(opcode, &[&payload(u)]),
            op::SPOILT => {
                let (content, level) = (content(u), byte(u));
                let mut packed = self.pack(&content, level);
                (0..1 + byte(u) % 3).for_each(|_| spoil(&mut packed, u));
                self.message(opcode, &[&packed]);
            }
            op::BOMB => {
                let content = vec![byte(u); usize::from(byte(u) % 128) * 1024];
                let packed = self.pack(&content, 9);
                self.message(opcode, &[&packed]);
            }
            op::ANY => {
                let first = byte(u);
                let frame = Frame::new(first & 0xF, payload(u)).fin(first & 0x80 != 0);
                self.frame(frame.reserved(first >> 4 & 7));
            }
            op::PLAIN => {
                let content = content(u);
                self.frame(Frame::new(opcode, content));
            }
            op::PING_FRAME => {
                let mut payload = payload(u);
                payload.truncate(125);
                self.frame(Frame::new(PING, payload));
            }
            op::END => self.frame(Frame::new(CLOSE, [])),
            op::SPOIL.. => spoil(&mut self.bytes, u),
        }
    }

    /// A message as RFC 7692, section 7.2.1, makes it of this.
    fn pack(&mut self, content: &[u8], level: u8) -> Vec<u8> {
        self.with_packer(level, |packer| packer.message(content))
    }

    /// Lends the compressor there is, or a new one of that level.
    fn with_packer<T>(&mut self, level: u8, lend: impl FnOnce(&mut Packer) -> T) -> T {
        let packer = self.packer.get_or_insert_with(|| Packer::new(level % 11));
        lend(packer)
    }

    /// Appends a message that is compressed already, in these frames. Behind it, a writer without takeover begins anew.
    fn message(&mut self, opcode: u8, fragments: &[&[u8]]) {
        for (at, bytes) in fragments.iter().enumerate() {
            let (opcode, rsv1) = if at == 0 { (opcode, 4) } else { (CONTINUATION, 0) };
            self.frame(Frame::new(opcode, bytes).reserved(rsv1).fin(at + 1 == fragments.len()));
        }
        if !self.window.takeover {
            self.packer = None;
        }
    }

    /// Appends a message in frames, with pings in between.
    fn in_frames(&mut self, opcode: u8, packed: &[u8], u: &mut Unstructured<'_>) {
        let (mut rest, mut first) = (packed, true);
        for _ in 0..byte(u) % 6 {
            let cut = byte(u);
            let (part, tail) = rest.split_at(usize::from(cut & 0x7F) % (rest.len() + 1));
            rest = tail;
            self.part(opcode, part, std::mem::take(&mut first), false);
            if cut & 0x80 != 0 {
                self.frame(Frame::new(PING, [cut]));
            }
        }
        self.part(opcode, rest, first, true);
        if !self.window.takeover {
            self.packer = None;
        }
    }

    /// Appends a frame of a compressed message.
    fn part(&mut self, opcode: u8, part: &[u8], first: bool, last: bool) {
        let (opcode, rsv1) = if first { (opcode, 4) } else { (CONTINUATION, 0) };
        self.frame(Frame::new(opcode, part).reserved(rsv1).fin(last));
    }

    /// Appends a frame, masked as its reader demands it.
    fn frame(&mut self, frame: Frame) {
        self.frames = self.frames.wrapping_add(1);
        // Odd multiplier: no two keys are the same.
        let key = self.frames.wrapping_mul(0x9E37_79B1).to_be_bytes();
        self.bytes.extend(frame.for_reader(self.reader, key).bytes());
    }
}

/// A message by a compressor of ours that has seen nothing before, in the frames that it makes.
fn ours(content: &[u8], level: u8, window: Window) -> Vec<Vec<u8>> {
    let parameters = Parameters { server: window, client: window };
    let config = Config { level: level % 10, memory_level: 1 + level / 10 % 9, threshold: 0, policy: Policy::TAKEOVER };
    let connection = Connection::new(Server, Negotiated::new(Some(parameters)), Limits::DEFAULT);
    let mut compressor = Compressor::new(parameters, true, &config, &Pool::default());
    let mut fragments = Vec::new();
    if compressor.begin(content.len(), Compress::Always, &connection).expect("nothing was sent before") {
        let mut rest = content;
        while let Some(fragment) = compressor.compress(&mut rest, true) {
            fragments.push(fragment.as_bytes().to_vec());
        }
    } else {
        // A window that our compressor does not know: a stored block, if one is enough.
        let len = u16::try_from(content.len()).unwrap_or(0);
        let content = &content[..usize::from(len)];
        fragments.push([&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), content, &[0]].concat());
    }
    fragments
}

/// How a part is flushed.
fn flush_of(byte: u8) -> MZFlush {
    match byte % 4 {
        0 => MZFlush::None,
        1 => MZFlush::Sync,
        2 => MZFlush::Full,
        _ => MZFlush::Finish,
    }
}

/// Does one fault to what is there.
fn spoil(bytes: &mut Vec<u8>, u: &mut Unstructured<'_>) {
    let (place, kind, byte) = (usize::from(word(u)), byte(u), byte(u));
    if bytes.is_empty() {
        return;
    }
    let at = place % bytes.len();
    match kind % 6 {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => _ = bytes.remove(at),
        4 => bytes.truncate(at),
        _ => bytes.extend(TAIL),
    }
}
