//! What both engines are given: payloads, and streams in memory.

use std::hint::black_box;
use std::io::{self, Read, Write};

use sansocket::{FrameHeader, MAX_HEADER, Opcode, apply_mask};
use tungstenite::protocol::Role as Side;

/// Lives for ever, so that tungstenite needs neither a copy nor a count of references to send it.
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
}

/// A stream that begins again at its end, which is a message's end as well.
pub(crate) struct Wire {
    image: Vec<u8>,
    position: usize,
}

impl Wire {
    /// More than the first-level cache holds: what comes from a kernel does not lie there either.
    const LEN: usize = 512 << 10;

    /// Carries `payload` again and again, every time under another key, to `receiver`.
    pub(crate) fn carrying(payload: Payload, receiver: Side) -> Self {
        let opcode = match payload {
            Payload::Binary(_) => Opcode::Binary,
            Payload::Text(_) => Opcode::Text,
        };
        let mut image = Vec::new();
        for count in 1.. {
            let key = matches!(receiver, Side::Server).then_some(0x9E37_79B9u32.wrapping_mul(count).to_be_bytes());
            let header = FrameHeader::new(opcode, true, payload.as_bytes().len() as u64, key);
            image.extend_from_slice(header.encode(&mut [0; MAX_HEADER]));
            let start = image.len();
            image.extend_from_slice(payload.as_bytes());
            apply_mask(&mut image[start..], key.unwrap_or_default());
            if image.len() >= Self::LEN {
                break;
            }
        }
        Self::repeating(image)
    }

    pub(crate) fn repeating(image: Vec<u8>) -> Self {
        Self { image, position: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.image.len()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.image[self.position..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.position = (self.position + len) % self.image.len();
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        unreachable!("tungstenite asks for a stream to write to, but nothing here is to be answered")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        if let Some(kept) = &mut self.0 {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("tungstenite asks for a stream to read from, but only sends")
    }
}

/// The length of the frame in which `sender` sends `payload`.
pub(crate) fn frame_len(payload: Payload, sender: Side) -> u64 {
    let len = payload.as_bytes().len() as u64;
    let key = matches!(sender, Side::Client).then_some([0; 4]);
    FrameHeader::new(Opcode::Binary, true, len, key).encoded_len() as u64 + len
}
