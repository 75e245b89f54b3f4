//! websocket-sans-io: an engine for frames that checks nothing, with buffers as ours.

use std::hint::black_box;
use std::io::{Read, Write};
use std::ops::Range;

use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent};

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{READ_BUFFER, Receive, Refused, Send, WRITE_BUFFER};

pub(crate) struct Receiver {
    decoder: WebsocketFrameDecoder,
    wire: Wire,
    buffer: Vec<u8>,
    /// What of the buffer is not yet received.
    unread: Range<usize>,
    /// The pieces so far of a message that a read has cut.
    message: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new(wire: Wire) -> Self {
        let decoder = WebsocketFrameDecoder::default();
        Self { decoder, wire, buffer: vec![0; READ_BUFFER], unread: 0..0, message: Vec::new() }
    }
}

impl Receive for Receiver {
    fn receive(&mut self, mut count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        // Where in the buffer the message lies, if it came in one piece.
        let mut whole = None;
        while count > 0 {
            let start = self.unread.start;
            let result = self.decoder.add_data(&mut self.buffer[self.unread.clone()]).map_err(|_| Refused)?;
            self.unread.start += result.consumed_bytes;
            match result.event {
                Some(WebsocketFrameEvent::Start { .. }) => {}
                Some(WebsocketFrameEvent::PayloadChunk { .. }) => {
                    if let Some(range) = whole.take() {
                        self.message.extend_from_slice(&self.buffer[range]);
                    }
                    if self.message.is_empty() {
                        whole = Some(start..self.unread.start);
                    } else {
                        self.message.extend_from_slice(&self.buffer[start..self.unread.start]);
                    }
                }
                Some(WebsocketFrameEvent::End { frame_info, .. }) if frame_info.fin => {
                    match whole.take() {
                        Some(range) => each(&self.buffer[range]),
                        None => each(&self.message),
                    }
                    self.message.clear();
                    count -= 1;
                }
                Some(WebsocketFrameEvent::End { .. }) => {}
                None if self.unread.is_empty() => {
                    if let Some(range) = whole.take() {
                        self.message.extend_from_slice(&self.buffer[range]);
                    }
                    self.unread = 0..self.wire.read(&mut self.buffer).expect("memory can be read");
                    if self.unread.is_empty() {
                        return Err(Refused);
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
}

pub(crate) struct Sender {
    side: Side,
    encoder: WebsocketFrameEncoder,
    out: Vec<u8>,
    sink: Sink,
    /// Keys are for whoever uses it.
    last_key: u32,
}

impl Sender {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, encoder: WebsocketFrameEncoder::new(), out: Vec::new(), sink: Sink::new(), last_key: 0 }
    }

    fn flush(&mut self) {
        self.sink.write_all(&self.out).expect("memory can be written");
        self.out.clear();
    }
}

impl Send for Sender {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let opcode = if payload.is_text() { Opcode::Text } else { Opcode::Binary };
            let bytes = black_box(payload).as_bytes();
            self.last_key = self.last_key.wrapping_add(0x9E37_79B9);
            let mask = (self.side == Side::Client).then_some(self.last_key.to_be_bytes());
            let header = FrameInfo { opcode, payload_length: bytes.len() as u64, mask, fin: true, reserved: 0 };
            self.out.extend_from_slice(&self.encoder.start_frame(&header));
            let start = self.out.len();
            self.out.extend_from_slice(bytes);
            if self.encoder.transform_needed() {
                self.encoder.transform_frame_payload(&mut self.out[start..]);
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
