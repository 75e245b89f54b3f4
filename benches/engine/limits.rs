//! What this machine can do at best: the passes over the bytes that nobody can leave out, and a parser that checks nothing.

use std::hint::black_box;
use std::io::{Read, Write};
use std::ops::Range;

use sansocket::apply_mask;

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{READ_BUFFER, Receive, Refused, Send, WRITE_BUFFER};

/// Reads as many bytes as the frames of `count` messages have, `frame_len` each, and does something with them.
pub(crate) fn pass(mut wire: Wire, frame_len: usize, work: impl Fn(&mut [u8])) -> impl FnMut(u64) {
    let mut buffer = vec![0; READ_BUFFER];
    let mut ahead = 0;
    move |count| {
        let wanted = count as usize * frame_len;
        while ahead < wanted {
            let len = wire.read(&mut buffer).expect("memory can be read");
            work(&mut buffer[..len]);
            black_box(&mut buffer[..len]);
            ahead += len;
        }
        ahead -= wanted;
    }
}

pub(crate) fn copy(_: &mut [u8]) {}

pub(crate) fn xor(bytes: &mut [u8]) {
    apply_mask(bytes, black_box([1, 2, 3, 4]));
}

pub(crate) fn validate(bytes: &mut [u8]) {
    // Characters that a read has cut are none; that is found out at the end, behind all work.
    black_box(simdutf8::basic::from_utf8(bytes).is_ok());
}

/// Reads frames and joins messages, with a buffer as ours. What it is sent has to be right.
pub(crate) struct Bare<W> {
    wire: W,
    buffer: Vec<u8>,
    unread: Range<usize>,
    /// The message that is being joined, at its front. It keeps its length, so that memory is zeroed once.
    message: Vec<u8>,
    /// How much of it is there.
    len: usize,
}

struct Header {
    fin: bool,
    key: Option<[u8; 4]>,
    payload_len: usize,
    len: usize,
}

impl<W: Read> Bare<W> {
    pub(crate) fn new(wire: W) -> Self {
        Self { wire, buffer: vec![0; READ_BUFFER], unread: 0..0, message: Vec::new(), len: 0 }
    }

    /// The next header, if it is there.
    fn header(&self) -> Option<Header> {
        let bytes = &self.buffer[self.unread.clone()];
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (payload_len, end) = match second & 0x7F {
            126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let (key, len) =
            if second & 0x80 == 0 { (None, end) } else { (Some(*bytes.get(end..)?.first_chunk()?), end + 4) };
        Some(Header { fin: first & 0x80 != 0, key, payload_len, len })
    }

    /// Reads behind what is unread, which goes to the front first.
    fn fill(&mut self) {
        self.buffer.copy_within(self.unread.clone(), 0);
        let len = self.unread.len();
        self.unread = 0..len + self.wire.read(&mut self.buffer[len..]).expect("memory can be read");
        assert!(self.unread.end > len, "the stream has ended");
    }

    /// Takes messages of any length piece by piece, and keeps nothing of them.
    pub(crate) fn stream(&mut self, mut count: u64) {
        while count > 0 {
            let Some(Header { fin, key, mut payload_len, len }) = self.header() else {
                self.fill();
                continue;
            };
            self.unread.start += len;
            let key = key.unwrap_or_default();
            let mut phase = 0;
            while payload_len > 0 {
                if self.unread.is_empty() {
                    self.unread = 0..self.wire.read(&mut self.buffer).expect("memory can be read");
                }
                let bytes = &mut self.buffer[self.unread.clone()];
                let there = bytes.len().min(payload_len);
                apply_mask(&mut bytes[..there], rotated(key, phase));
                black_box(&bytes[..there]);
                phase += there;
                payload_len -= there;
                self.unread.start += there;
            }
            count -= u64::from(fin);
        }
    }
}

fn rotated(mut key: [u8; 4], by: usize) -> [u8; 4] {
    key.rotate_left(by % 4);
    key
}

impl<W: Read> Receive for Bare<W> {
    fn receive(&mut self, mut count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        while count > 0 {
            let Some(Header { fin, key, payload_len, len }) = self.header() else {
                self.fill();
                continue;
            };
            let start = self.unread.start + len;
            if start + payload_len > self.unread.end && len + payload_len <= self.buffer.len() {
                self.fill();
                continue;
            }
            let there = payload_len.min(self.unread.end - start);
            let payload = &mut self.buffer[start..start + there];
            self.unread.start = start + there;
            if let Some(key) = key {
                apply_mask(payload, key);
            }
            if fin && self.len == 0 && there == payload_len {
                each(payload);
                count -= 1;
                continue;
            }
            let end = self.len + payload_len;
            if self.message.len() < end {
                self.message.resize(end, 0);
            }
            self.message[self.len..][..there].copy_from_slice(payload);
            // What is longer than the buffer is read to where it belongs, in steps that stay in the cache.
            let mut phase = there;
            for part in self.message[self.len + there..end].chunks_mut(READ_BUFFER) {
                self.wire.read_exact(part).expect("memory can be read");
                apply_mask(part, rotated(key.unwrap_or_default(), phase));
                phase += part.len();
            }
            self.len = end;
            if fin {
                each(&self.message[..end]);
                self.len = 0;
                count -= 1;
            }
        }
        Ok(())
    }
}

/// Puts headers and payloads into a buffer, under keys that anybody could foresee.
pub(crate) struct BareSender {
    side: Side,
    out: Vec<u8>,
    sink: Sink,
    last_key: u32,
}

impl BareSender {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, out: Vec::new(), sink: Sink::new(), last_key: 0 }
    }

    fn flush(&mut self) {
        self.sink.write_all(&self.out).expect("memory can be written");
        self.out.clear();
    }
}

impl Send for BareSender {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let first = if payload.is_text() { 0x81 } else { 0x82 };
            let mask = if self.side == Side::Client { 0x80 } else { 0 };
            let bytes = black_box(payload).as_bytes();
            match bytes.len() {
                len @ 0..=125 => self.out.extend_from_slice(&[first, mask | len as u8]),
                len @ 126..=0xFFFF => {
                    let [high, low] = (len as u16).to_be_bytes();
                    self.out.extend_from_slice(&[first, mask | 126, high, low]);
                }
                len => {
                    self.out.extend_from_slice(&[first, mask | 127]);
                    self.out.extend_from_slice(&(len as u64).to_be_bytes());
                }
            }
            if self.side == Side::Client {
                self.last_key = self.last_key.wrapping_add(0x9E37_79B9);
                let key = self.last_key.to_be_bytes();
                self.out.extend_from_slice(&key);
                for part in bytes.chunks(READ_BUFFER) {
                    let start = self.out.len();
                    self.out.extend_from_slice(part);
                    apply_mask(&mut self.out[start..], key);
                }
            } else {
                self.out.extend_from_slice(bytes);
            }
            if self.out.len() > WRITE_BUFFER {
                self.flush();
            }
        }
    }

    fn written(&mut self) -> Vec<u8> {
        self.flush();
        self.sink.kept()
    }
}

/// Copies the payload to where it is written from.
pub(crate) fn copy_out(payload: Payload) -> impl FnMut(u64) {
    let mut out = Vec::new();
    let mut sink = Sink::new();
    sink.kept();
    move |count| {
        for _ in 0..count {
            out.extend_from_slice(black_box(payload).as_bytes());
            if out.len() > WRITE_BUFFER {
                sink.write_all(&out).expect("memory can be written");
                out.clear();
            }
        }
    }
}
