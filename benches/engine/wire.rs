//! What all engines are given: payloads, and streams in memory.

use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use sansocket::{FrameHeader, Kind, MAX_HEADER, Opcode, apply_mask};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The side of the connection that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// Lives for ever, so that peers that want an owned payload need neither a copy nor a count of references to send it.
#[derive(Clone, Copy)]
pub(crate) enum Payload {
    Binary(&'static [u8]),
    Text(&'static str),
}

impl Payload {
    pub(crate) fn binary(len: usize) -> Self {
        let bytes: Vec<u8> = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Self::Binary(bytes.leak())
    }

    pub(crate) fn ascii(len: usize) -> Self {
        Self::text(len, "The quick brown fox jumps over the lazy dog. ")
    }

    /// Characters of one to four bytes.
    pub(crate) fn mixed(len: usize) -> Self {
        Self::text(len, "Grüße, 世界! Привет 🙂 καλημέρα, hello. ")
    }

    fn text(len: usize, pattern: &str) -> Self {
        let mut text = String::with_capacity(len);
        for char in pattern.chars().cycle() {
            if text.len() + char.len_utf8() > len {
                break;
            }
            text.push(char);
        }
        text.extend((text.len()..len).map(|_| '.'));
        Self::Text(text.leak())
    }

    pub(crate) fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Binary(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }

    pub(crate) fn len(self) -> usize {
        self.as_bytes().len()
    }

    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Binary(_) => Kind::Binary,
            Self::Text(_) => Kind::Text,
        }
    }

    const fn opcode(self) -> Opcode {
        match self {
            Self::Binary(_) => Opcode::Binary,
            Self::Text(_) => Opcode::Text,
        }
    }

    /// The payload in one frame, or in several of the same length, the last but one byte for byte.
    fn frames(self, receiver: Side, fragments: usize, key: [u8; 4]) -> Vec<u8> {
        let key = (receiver == Side::Server).then_some(key);
        let mut bytes = Vec::new();
        let parts = self.as_bytes().chunks(self.len().div_ceil(fragments));
        let last = parts.len() - 1;
        for (at, part) in parts.enumerate() {
            let opcode = if at == 0 { self.opcode() } else { Opcode::Continuation };
            put_frame(&mut bytes, FrameHeader::new(opcode, at == last, part.len() as u64, key), part);
        }
        bytes
    }
}

fn put_frame(bytes: &mut Vec<u8>, header: FrameHeader, payload: &[u8]) {
    bytes.extend_from_slice(header.encode(&mut [0; MAX_HEADER]));
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    apply_mask(&mut bytes[start..], header.key().unwrap_or_default());
}

/// A stream of bytes that lie in memory.
#[derive(Clone)]
pub(crate) struct Wire {
    image: Vec<u8>,
    position: usize,
    /// How many bytes lie between the places at which a read ends, whether it has room for more or not.
    read_end: usize,
    /// Whether it begins again at its end.
    is_endless: bool,
}

impl Wire {
    /// More than the first-level cache holds: what comes from a kernel does not lie there either.
    const LEN: usize = 512 << 10;

    /// Carries `payload` again and again, in so many fragments, every time under another key, to `receiver`.
    pub(crate) fn carrying(payload: Payload, fragments: usize, receiver: Side) -> Self {
        let mut image = Vec::new();
        for count in 1.. {
            let key = 0x9E37_79B9u32.wrapping_mul(count).to_be_bytes();
            image.extend_from_slice(&payload.frames(receiver, fragments, key));
            if image.len() >= Self::LEN {
                break;
            }
        }
        Self::repeating(image)
    }

    pub(crate) fn repeating(image: Vec<u8>) -> Self {
        Self { image, position: 0, read_end: usize::MAX, is_endless: true }
    }

    /// Carries these bytes, and ends.
    pub(crate) fn once(image: Vec<u8>) -> Self {
        Self { is_endless: false, ..Self::repeating(image) }
    }

    /// The same bytes, of which no read gives more than one message of one frame.
    pub(crate) fn one_message_per_read(self, payload: Payload, receiver: Side) -> Self {
        let sender = if receiver == Side::Server { Side::Client } else { Side::Server };
        Self { read_end: frame_len(payload, sender), ..self }
    }

    pub(crate) fn len(&self) -> usize {
        self.image.len()
    }

    /// What a read of up to so many bytes gives.
    #[inline]
    fn next(&mut self, most: usize) -> &[u8] {
        let rest = &self.image[self.position..];
        let bytes = &rest[..rest.len().min(most).min(self.read_end - self.position % self.read_end)];
        self.position += bytes.len();
        if self.is_endless && self.position == self.image.len() {
            self.position = 0;
        }
        bytes
    }
}

/// Streams copy in steps that are never slow: a long copy may take twenty times as long where source and destination lie badly to each
/// other, and who is hit by that would be chance.
const STEP: usize = 2048;

#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks(STEP).zip(to.chunks_mut(STEP)) {
        to.copy_from_slice(from);
    }
}

impl Read for Wire {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.next(buffer.len());
        copy(bytes, &mut buffer[..bytes.len()]);
        Ok(bytes.len())
    }
}

impl AsyncRead for Wire {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let bytes = self.next(buffer.remaining());
        bytes.chunks(STEP).for_each(|step| buffer.put_slice(step));
        Poll::Ready(Ok(()))
    }
}

/// Some send a Close when they have refused something.
impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Carries binary messages in one frame each, masked, of any length: their payload is one block again and again.
pub(crate) struct LongWire {
    header: Vec<u8>,
    block: Vec<u8>,
    payload_len: usize,
    /// How much of the frame under way was read.
    position: usize,
}

impl LongWire {
    pub(crate) fn new(payload_len: usize) -> Self {
        let key = [1, 2, 3, 4];
        let header = FrameHeader::new(Opcode::Binary, true, payload_len as u64, Some(key));
        let header = header.encode(&mut [0; MAX_HEADER]).to_vec();
        let mut block = Payload::binary(Wire::LEN).as_bytes().to_vec();
        apply_mask(&mut block, key);
        Self { header, block, payload_len, position: 0 }
    }
}

impl Read for LongWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = match self.position.checked_sub(self.header.len()) {
                None => &self.header[self.position..],
                Some(at) => {
                    let rest = &self.block[at % self.block.len()..];
                    &rest[..rest.len().min(self.payload_len - at)]
                }
            };
            let len = rest.len().min(buffer.len() - filled);
            copy(&rest[..len], &mut buffer[filled..][..len]);
            filled += len;
            self.position = (self.position + len) % (self.header.len() + self.payload_len);
        }
        Ok(filled)
    }
}

/// Takes everything at once, and keeps it until somebody asks for it.
pub(crate) struct Sink(Option<Vec<u8>>);

impl Sink {
    pub(crate) fn new() -> Self {
        Self(Some(Vec::new()))
    }

    /// What was written. From now on nothing is kept.
    pub(crate) fn kept(&mut self) -> Vec<u8> {
        self.0.take().unwrap_or_default()
    }

    #[inline]
    fn accept(&mut self, bytes: &[u8]) -> usize {
        black_box(bytes);
        if let Some(kept) = &mut self.0 {
            kept.extend_from_slice(bytes);
        }
        bytes.len()
    }
}

impl Write for Sink {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.accept(bytes))
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|bytes| self.accept(bytes)).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for Sink {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.accept(bytes)))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(slices.iter().map(|bytes| self.accept(bytes)).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Those who only send want to be able to read, too.
impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("a stream to be read from is asked for, and not read from")
    }
}

impl AsyncRead for Sink {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        unreachable!("a stream to be read from is asked for, and not read from")
    }
}

/// The length of the frame in which `sender` sends `payload`.
pub(crate) fn frame_len(payload: Payload, sender: Side) -> usize {
    let key = (sender == Side::Client).then_some([0; 4]);
    FrameHeader::new(Opcode::Binary, true, payload.len() as u64, key).encoded_len() + payload.len()
}

/// What is not allowed to be sent to `receiver`: what it is, and a stream in which it comes behind so many good messages, and before one.
///
/// What is wrong with a text is its last byte. It is as long as `payload`, and comes first, second and third: some engines do not look at what
/// a read has cut.
pub(crate) fn violations(payload: Payload, receiver: Side) -> Vec<(&'static str, usize, Wire)> {
    let good = payload.frames(receiver, 1, [1, 2, 3, 4]);
    let mut reserved_bit = good.clone();
    reserved_bit[0] |= 0x40;
    let mut reserved_opcode = good.clone();
    reserved_opcode[0] = 0x83;
    let mut continuation = good.clone();
    continuation[0] = 0x80;
    let other = if receiver == Side::Server { Side::Client } else { Side::Server };
    let masking = if receiver == Side::Server { "a missing mask" } else { "a mask" };
    let mut violations = vec![
        (masking, 0, payload.frames(other, 1, [1, 2, 3, 4])),
        ("a reserved bit", 0, reserved_bit),
        ("a reserved opcode", 0, reserved_opcode),
        ("a continuation of nothing", 0, continuation),
    ];
    if payload.is_text() {
        let mut invalid = good.clone();
        // 0xFF is in no text. Under another key it is another byte, of which nothing is known.
        let last = invalid.len() - 1;
        let key = [1, 2, 3, 4][(payload.len() - 1) % 4];
        invalid[last] = if receiver == Side::Server { 0xFF ^ key } else { 0xFF };
        violations.extend((0..3).map(|before| ("text that is not UTF-8", before, invalid.clone())));
    }
    let wire = |before, bad: Vec<u8>| Wire::once([good.repeat(before), bad, good.clone()].concat());
    violations.into_iter().map(|(what, before, bad)| (what, before, wire(before, bad))).collect()
}
