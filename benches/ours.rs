//! The engine, driven as an adapter would drive it.

use std::hint::black_box;
use std::io::{Read, Write};
use std::ops::Range;

use sansocket::{Connection, Event, Limits, Negotiated, Role, Text};

use crate::wire::{Payload, Sink, Wire};

pub(crate) struct Receiver<R, L> {
    connection: Connection<R>,
    wire: Wire,
    buffer: Vec<u8>,
    /// What of the buffer is not yet received.
    unread: Range<usize>,
    /// The pieces so far of a message that a read has cut.
    message: Vec<u8>,
    /// Replies, of which there are none here.
    out: Vec<u8>,
    /// Looks at each piece of a text before it is taken as bytes.
    look: L,
}

impl<R: Role, L: Fn(&Text<'_>)> Receiver<R, L> {
    pub(crate) fn new(role: R, wire: Wire, read_buffer: usize, look: L) -> Self {
        Self {
            connection: Connection::new(role, Negotiated::default(), Limits::default()),
            wire,
            buffer: vec![0; read_buffer],
            unread: 0..0,
            message: Vec::new(),
            out: Vec::new(),
            look,
        }
    }
}

impl<R: Role, L: Fn(&Text<'_>)> crate::Receive for Receiver<R, L> {
    fn receive(&mut self, mut count: u64, mut each: impl FnMut(&[u8])) {
        let mut input = &mut self.buffer[self.unread.clone()];
        while count > 0 {
            let event = self.connection.receive(&mut input, &mut self.out);
            let (bytes, is_first, is_last) = match &event {
                Some(Event::Binary(piece)) => (piece.as_bytes(), piece.is_first(), piece.is_last()),
                Some(Event::Text(piece)) => {
                    (self.look)(piece);
                    (piece.as_bytes(), piece.is_first(), piece.is_last())
                }
                Some(other) => unreachable!("{other:?}"),
                None => {
                    self.unread.end = self.wire.read(&mut self.buffer).expect("memory can be read");
                    input = &mut self.buffer[..self.unread.end];
                    continue;
                }
            };
            if is_first && is_last {
                each(bytes);
                count -= 1;
                continue;
            }
            if is_first {
                self.message.clear();
            }
            self.message.extend_from_slice(bytes);
            if is_last {
                each(&self.message);
                count -= 1;
            }
        }
        self.unread.start = self.unread.end - input.len();
    }
}

pub(crate) struct Sender<R> {
    connection: Connection<R>,
    out: Vec<u8>,
    write_buffer: usize,
    sink: Sink,
}

impl<R: Role> Sender<R> {
    pub(crate) fn new(role: R, write_buffer: usize) -> Self {
        let connection = Connection::new(role, Negotiated::default(), Limits::default());
        Self { connection, out: Vec::new(), write_buffer, sink: Sink::new() }
    }

    fn flush(&mut self) {
        self.sink.write_all(&self.out).expect("memory can be written");
        self.out.clear();
    }
}

impl<R: Role> crate::Send for Sender<R> {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let sent = match black_box(payload) {
                Payload::Binary(bytes) => self.connection.send_binary(bytes, &mut self.out),
                Payload::Text(text) => self.connection.send_text(text, &mut self.out),
            };
            sent.expect("the connection is open");
            if self.out.len() > self.write_buffer {
                self.flush();
            }
        }
    }

    fn written(&mut self) -> Vec<u8> {
        self.flush();
        self.sink.kept()
    }
}
