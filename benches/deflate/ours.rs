//! The engine, driven as an adapter would drive it.

use std::ops::Range;

use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Parameters, Pool, Window, WindowBits};
use sansocket::{Connection, Event, Limits, Messages, Negotiated, Server};

use crate::wire::{Sink, Stream, Wire};
use crate::{Echo, Setting};

/// How much is read and how much is inflated at a time, in bytes.
const BUFFER: usize = 64 << 10;

pub(crate) struct Sansocket {
    connection: Connection<Server>,
    decompressor: Decompressor,
    compressor: Compressor,
    wire: Wire,
    buffer: Vec<u8>,
    /// What of the buffer is not yet received.
    unread: Range<usize>,
    scratch: Vec<u8>,
    messages: Messages,
    out: Vec<u8>,
    sink: Sink,
}

impl Sansocket {
    pub(crate) fn new(setting: Setting, stream: &Stream, sink: Sink) -> Self {
        let window = Window { bits: WindowBits::MAX, takeover: setting.takeover };
        let parameters = Parameters { server: window, client: window };
        let config =
            Config { level: setting.level, memory_level: setting.memory_level, threshold: 0, ..Config::DEFAULT };
        let pool = Pool::default();
        Self {
            connection: Connection::new(Server, Negotiated::new(Some(parameters)), Limits::DEFAULT),
            decompressor: Decompressor::new(parameters, true, &pool),
            compressor: Compressor::new(parameters, true, &config, &pool),
            wire: stream.wire(),
            buffer: vec![0; BUFFER],
            unread: 0..0,
            scratch: vec![0; BUFFER],
            messages: Messages::new(),
            out: Vec::new(),
            sink,
        }
    }
}

impl Echo for Sansocket {
    fn echo(&mut self, mut count: usize, mut each: impl FnMut(&[u8])) {
        let mut input = &mut self.buffer[self.unread.clone()];
        while count > 0 {
            let mut piece = match self.connection.receive(&mut input, &mut self.out) {
                Some(Event::Compressed(piece)) => piece,
                Some(other) => unreachable!("{other:?}"),
                None => {
                    let bytes = self.wire.next(self.buffer.len());
                    self.unread.end = bytes.len();
                    input = &mut self.buffer[..bytes.len()];
                    input.copy_from_slice(bytes);
                    continue;
                }
            };
            while let Some(event) =
                self.decompressor.inflate(&mut piece, &mut self.scratch, &mut self.connection, &mut self.out)
            {
                let part = event.piece().expect("the messages are well-formed");
                if !part.is_last() {
                    self.messages.append(part).expect("there is memory");
                    continue;
                }
                let message = self.messages.finish(part).expect("there is memory");
                each(message.as_bytes());
                self.compressor
                    .send(message, Compress::Auto, &mut self.connection, &mut self.out)
                    .expect("the connection is open");
                self.sink.take(&self.out);
                self.out.clear();
                count -= 1;
            }
        }
        self.unread.start = self.unread.end - input.len();
    }
}
