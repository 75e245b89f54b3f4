//! nexus-web: its frame reader and writer, without its sockets, and with buffers as ours, with which it is fastest.

use std::hint::black_box;
use std::io::Write;

use nexus_web::ws::{FrameReader, FrameWriter, Message, Role};

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{READ_BUFFER, Receive, Refused, Send, WRITE_BUFFER};

fn role(side: Side) -> Role {
    match side {
        Side::Server => Role::Server,
        Side::Client => Role::Client,
    }
}

pub(crate) struct Receiver {
    reader: FrameReader,
    wire: Wire,
}

impl Receiver {
    pub(crate) fn new(side: Side, wire: Wire) -> Self {
        let builder = FrameReader::builder().role(role(side)).buffer_capacity(READ_BUFFER);
        Self { reader: builder.max_frame_size(u64::MAX).max_message_size(usize::MAX).build(), wire }
    }
}

impl Receive for Receiver {
    fn receive(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        for _ in 0..count {
            while !self.reader.poll().map_err(|_| Refused)? {
                match self.reader.read_from(&mut self.wire) {
                    Ok(1..) => {}
                    _ => return Err(Refused),
                }
            }
            match self.reader.next().map_err(|_| Refused)? {
                Some(Message::Binary(bytes)) => each(bytes),
                Some(Message::Text(text)) => each(text.as_bytes()),
                other => unreachable!("{other:?}"),
            }
        }
        Ok(())
    }
}

/// It writes frames into a slice.
pub(crate) struct Sender {
    writer: FrameWriter,
    out: Vec<u8>,
    len: usize,
    sink: Sink,
}

impl Sender {
    pub(crate) fn new(side: Side) -> Self {
        Self { writer: FrameWriter::new(role(side)), out: Vec::new(), len: 0, sink: Sink::new() }
    }

    fn flush(&mut self) {
        self.sink.write_all(&self.out[..self.len]).expect("memory can be written");
        self.len = 0;
    }
}

impl Send for Sender {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let most = self.len + self.writer.max_encoded_len(payload.len());
            if self.out.len() < most {
                self.out.resize(most, 0);
            }
            let place = &mut self.out[self.len..];
            self.len += match black_box(payload) {
                Payload::Binary(bytes) => self.writer.encode_binary(bytes, place),
                Payload::Text(text) => self.writer.encode_text(text.as_bytes(), place),
            };
            if self.len > WRITE_BUFFER {
                self.flush();
            }
        }
    }

    fn written(&mut self) -> Vec<u8> {
        self.flush();
        self.sink.kept()
    }
}
