//! What all are given: streams in memory.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use sansocket::{FrameHeader, MAX_HEADER, Opcode, apply_mask};

use crate::Setting;
use crate::codec::{Compressor, Decompressor, TAIL};
use crate::samples::Sample;

/// RSV1, which marks a compressed message.
const COMPRESSED: u8 = 0x40;

/// A sample as a client sends it.
pub(crate) struct Stream {
    /// What is in the frames, without the tails.
    pub(crate) compressed: Vec<Vec<u8>>,
    /// The length of the longest message before compression.
    pub(crate) longest: usize,
    image: Vec<u8>,
}

impl Stream {
    /// Each message in one frame, and each under another key.
    pub(crate) fn new(sample: &Sample, setting: Setting) -> Self {
        let mut compressor = Compressor::new(setting);
        let (mut compressed, mut image) = (Vec::new(), Vec::new());
        for (count, message) in (1..).zip(&sample.messages) {
            let bytes = compressor.compress(message.as_bytes()).to_vec();
            let key = 0x9E37_79B9u32.wrapping_mul(count).to_be_bytes();
            let start = image.len();
            let header = FrameHeader::new(Opcode::Text, true, bytes.len() as u64, Some(key));
            image.extend_from_slice(header.encode(&mut [0; MAX_HEADER]));
            image[start] |= COMPRESSED;
            let start = image.len();
            image.extend_from_slice(&bytes);
            apply_mask(&mut image[start..], key);
            compressed.push(bytes);
        }
        let longest = sample.messages.iter().map(String::len).max().unwrap_or_default();
        Self { compressed, longest, image }
    }

    /// The compressed messages with what their ends lack.
    pub(crate) fn tailed(&self) -> Vec<Vec<u8>> {
        self.compressed.iter().map(|message| [&message[..], &TAIL].concat()).collect()
    }

    /// The messages, each in its frame.
    pub(crate) fn frames(&self) -> Vec<&[u8]> {
        let mut rest = &self.image[..];
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let (header, end) = FrameHeader::parse(rest).expect("a frame is valid").expect("a frame is whole");
            let (frame, behind) = rest.split_at(end + header.payload_len() as usize);
            frames.push(frame);
            rest = behind;
        }
        frames
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire { image: self.image.clone(), position: 0 }
    }
}

/// Begins again at its end, which is a message's end as well.
pub(crate) struct Wire {
    image: Vec<u8>,
    position: usize,
}

impl Wire {
    pub(crate) fn next(&mut self, most: usize) -> &[u8] {
        let rest = &self.image[self.position..];
        let next = &rest[..rest.len().min(most)];
        self.position = (self.position + next.len()) % self.image.len();
        next
    }
}

/// Takes what a server sends at once, and keeps it if somebody wants to look at it.
#[derive(Clone, Default)]
pub(crate) struct Sink(Option<Rc<RefCell<Vec<u8>>>>);

impl Sink {
    /// A clone keeps in the same place.
    pub(crate) fn keeping() -> Self {
        Self(Some(Rc::default()))
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        black_box(bytes);
        if let Some(kept) = &self.0 {
            kept.borrow_mut().extend_from_slice(bytes);
        }
    }

    /// The messages that were taken, inflated.
    pub(crate) fn messages(&self, setting: Setting, longest: usize) -> Vec<Vec<u8>> {
        let kept = self.0.as_ref().expect("it is to keep").borrow();
        let mut decompressor = Decompressor::new(setting.takeover, longest);
        let (mut messages, mut compressed) = (Vec::new(), Vec::new());
        let mut rest = &kept[..];
        while !rest.is_empty() {
            let (header, end) = FrameHeader::parse(rest).expect("a frame is valid").expect("a frame is whole");
            let (payload, behind) = rest[end..].split_at(header.payload_len() as usize);
            rest = behind;
            compressed.extend_from_slice(payload);
            if header.is_fin() {
                compressed.extend_from_slice(&TAIL);
                messages.push(decompressor.inflate(&compressed).to_vec());
                compressed.clear();
            }
        }
        messages
    }
}
