//! The engine, driven as an adapter would drive it.

use std::hint::black_box;
use std::io::{IoSlice, Read, Write};
use std::ops::Range;

use sansocket::{Connection, Event, Limits, Messages, Negotiated, Role, Text};

use crate::wire::{Payload, Sink, Wire};
use crate::{READ_BUFFER, Receive, Refused, Send, WRITE_BUFFER};

/// With so many bytes of a frame to come, they are read straight into their message, and no more than so many at once.
const READ_STRAIGHT: u64 = 4 << 10;
const LONGEST_READ: u64 = 64 << 10;

const LIMITS: Limits = Limits { message: u64::MAX, ..Limits::DEFAULT };

fn connection<R: Role>(role: R) -> Connection<R> {
    Connection::new(role, Negotiated::default(), LIMITS)
}

pub(crate) struct Receiver<R, L> {
    connection: Connection<R>,
    wire: Wire,
    buffer: Vec<u8>,
    /// What of the buffer is not yet received.
    unread: Range<usize>,
    /// Joins what a read or a frame has cut.
    messages: Messages,
    /// Replies, of which there are none here.
    out: Vec<u8>,
    /// Looks at a text before it is taken as bytes.
    look: L,
}

impl<R: Role, L: Fn(&Text<'_>)> Receiver<R, L> {
    pub(crate) fn new(role: R, wire: Wire, look: L) -> Self {
        Self {
            connection: connection(role),
            wire,
            buffer: vec![0; READ_BUFFER],
            unread: 0..0,
            messages: Messages::new(),
            out: Vec::new(),
            look,
        }
    }
}

impl<R: Role, L: Fn(&Text<'_>)> Receive for Receiver<R, L> {
    #[inline]
    fn receive(&mut self, mut count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        while count > 0 {
            let mut input = &mut self.buffer[self.unread.clone()];
            while count > 0
                && let Some(event) = self.connection.receive_whole(&mut input, &mut self.out)
            {
                match event {
                    Event::Binary(binary) => each(binary.as_bytes()),
                    Event::Text(text) => {
                        (self.look)(&text);
                        each(text.as_bytes());
                    }
                    _ => return Err(Refused),
                }
                count -= 1;
            }
            self.unread.start = self.unread.end - input.len();
            if count > 0 {
                count -= u64::from(self.receive_cut(&mut each)?);
            }
        }
        Ok(())
    }
}

impl<R: Role, L: Fn(&Text<'_>)> Receiver<R, L> {
    /// Takes what is not a whole message in one frame, or reads. True: a message was given.
    #[inline(never)]
    fn receive_cut(&mut self, each: &mut impl FnMut(&[u8])) -> Result<bool, Refused> {
        let Self { connection, wire, buffer, unread, messages, out, .. } = self;
        // What a full read has cut is moved to the front, if the whole of it fits.
        if unread.end == buffer.len() {
            let (len, missing) = (unread.len(), connection.missing(&buffer[unread.clone()]));
            if missing > 0 && len as u64 + missing <= buffer.len() as u64 {
                buffer.copy_within(unread.clone(), 0);
                *unread = 0..len + wire.read(&mut buffer[len..]).expect("memory can be read");
                return Ok(false);
            }
        }
        let mut input = &mut buffer[unread.clone()];
        let piece = match connection.receive(&mut input, out) {
            Some(event) => event.piece().ok_or(Refused)?,
            None => {
                let left = connection.payload_left();
                if left >= READ_STRAIGHT
                    && let Some(room) = messages.room(left.min(LONGEST_READ)).map_err(|_| Refused)?
                {
                    unread.start = unread.end;
                    let len = wire.read(room).expect("memory can be read");
                    let is_whole = messages.received(len, connection);
                    if is_whole {
                        each(messages.message().expect("it is whole").as_bytes());
                    }
                    return Ok(is_whole);
                }
                let len = wire.read(buffer).expect("memory can be read");
                *unread = 0..len;
                return if len == 0 { Err(Refused) } else { Ok(false) };
            }
        };
        unread.start = unread.end - input.len();
        if !piece.is_last() {
            messages.append(piece).map_err(|_| Refused)?;
            return Ok(false);
        }
        each(messages.finish(piece).map_err(|_| Refused)?.as_bytes());
        Ok(true)
    }
}

/// Takes messages of any length piece by piece, and keeps nothing of them.
pub(crate) fn stream<R: Role>(role: R, mut wire: impl Read) -> impl FnMut(u64) {
    let mut connection = connection(role);
    let mut buffer = vec![0; READ_BUFFER];
    let (mut unread, mut out) = (0..0, Vec::new());
    move |mut count| {
        let mut input = &mut buffer[unread.clone()];
        while count > 0 {
            match connection.receive(&mut input, &mut out) {
                Some(Event::Binary(piece)) => {
                    black_box(piece.as_bytes());
                    count -= u64::from(piece.is_last());
                }
                Some(other) => unreachable!("{other:?}"),
                None => {
                    unread.end = wire.read(&mut buffer).expect("memory can be read");
                    input = &mut buffer[..unread.end];
                }
            }
        }
        unread.start = unread.end - input.len();
    }
}

/// Takes messages of which no call gets more than one byte. Receives `count` bytes.
pub(crate) fn byte_by_byte<R: Role>(role: R, mut wire: Wire) -> impl FnMut(u64) {
    let mut connection = connection(role);
    let mut buffer = vec![0; READ_BUFFER];
    let (mut unread, mut out) = (0..0, Vec::new());
    move |count| {
        for _ in 0..count {
            if unread.is_empty() {
                unread = 0..wire.read(&mut buffer).expect("memory can be read");
            }
            let mut input = &mut buffer[unread.start..=unread.start];
            unread.start += 1;
            while let Some(event) = connection.receive(&mut input, &mut out) {
                black_box(event.piece());
            }
        }
    }
}

/// From so many bytes of payload on, an adapter of a server writes them from where they lie.
const GATHERED: usize = 4 << 10;

pub(crate) struct Sender<R> {
    connection: Connection<R>,
    out: Vec<u8>,
    sink: Sink,
    /// Whether long payloads are written from where they lie, or copied, too.
    gathers: bool,
}

impl<R: Role> Sender<R> {
    /// As the adapters do it: a server does not copy long payloads.
    pub(crate) fn new(role: R) -> Self {
        let connection = connection(role);
        let gathers = connection.is_server();
        Self { connection, out: Vec::new(), sink: Sink::new(), gathers }
    }

    /// Copies everything into its buffer.
    pub(crate) fn copying(role: R) -> Self {
        Self { gathers: false, ..Self::new(role) }
    }

    fn flush(&mut self) {
        self.sink.write_all(&self.out).expect("memory can be written");
        self.out.clear();
    }
}

impl<R: Role> Send for Sender<R> {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let payload = black_box(payload);
            let sent = match payload {
                _ if self.gathers && payload.len() >= GATHERED => {
                    self.connection.send_header(payload.kind(), payload.len() as u64, true, &mut self.out)
                }
                Payload::Binary(bytes) => self.connection.send_binary(bytes, &mut self.out),
                Payload::Text(text) => self.connection.send_text(text, &mut self.out),
            };
            sent.expect("the connection is open");
            if self.gathers && payload.len() >= GATHERED {
                let slices = [IoSlice::new(&self.out), IoSlice::new(payload.as_bytes())];
                let written = self.sink.write_vectored(&slices).expect("memory can be written");
                assert_eq!(written, self.out.len() + payload.len());
                self.out.clear();
            } else if self.out.len() > WRITE_BUFFER {
                self.flush();
            }
        }
    }

    fn written(&mut self) -> Vec<u8> {
        self.flush();
        self.sink.kept()
    }
}
