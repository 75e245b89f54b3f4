//! The sending side: what is queued, and how it gets to the socket.

use std::io::{self, IoSlice};
use std::iter;
use std::mem;

use sansocket::{Kind, Message, SendError};

use crate::inbox::Engine;
use crate::stream::Stream;
use crate::timing::Limit;
use crate::write_limit::WriteLimit;

/// Messages longer than this go out in frames of this size, so that neither a copy of a long message is held nor a reply has to
/// wait for its end.
pub(crate) const FRAME: usize = 64 * 1024;

/// A server writes payloads from here on out of the caller's memory, behind their header, instead of copying them first.
const GATHERED: usize = 4 * 1024;

/// How much memory an empty queue keeps, in bytes.
const KEPT: usize = 2 * FRAME;

/// Bytes on their way to the socket.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) bytes: Vec<u8>,
    /// How many of them the socket has taken.
    sent: usize,
    /// How long the socket may take for them.
    pub(crate) limit: WriteLimit,
}

impl Outbox {
    pub(crate) const fn new(limit: WriteLimit) -> Self {
        Self { bytes: Vec::new(), sent: 0, limit }
    }

    /// Whether so much is queued that it is time to write.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes.len() - self.sent >= FRAME
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes everything. After an error, a further call goes on where this one stopped.
    pub(crate) fn flush<S: Stream>(&mut self, stream: &mut S, limit: Limit) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            let rest = &self.bytes[self.sent..];
            let written = limit
                .check()
                .and_then(|()| self.limit.write(stream, limit, |stream| write_some(|| stream.write(rest))));
            match written {
                Ok(count) => self.sent += count,
                Err(error) => {
                    self.drop_sent();
                    return Err(error);
                }
            }
        }
        self.clear();
        self.limit.write(stream, limit, S::flush)
    }

    /// Gives back the memory of what was sent, once it is the larger part: each byte is moved once at most.
    fn drop_sent(&mut self) {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Gives away what the socket has not taken.
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        self.bytes.drain(..self.sent);
        self.sent = 0;
        mem::take(&mut self.bytes)
    }

    /// Takes over what `queued` holds.
    pub(crate) fn take(&mut self, queued: &mut Vec<u8>) {
        if self.bytes.is_empty() { mem::swap(&mut self.bytes, queued) } else { self.bytes.append(queued) }
    }

    /// Forgets what is queued.
    pub(crate) fn clear(&mut self) {
        self.sent = 0;
        if self.bytes.capacity() > KEPT { self.bytes = Vec::new() } else { self.bytes.clear() }
    }

    /// Writes what is queued and `payload` behind it. What an error keeps from being written is queued.
    pub(crate) fn flush_with<S: Stream>(&mut self, mut payload: &[u8], stream: &mut S) -> io::Result<()> {
        while !payload.is_empty() {
            let queued = &self.bytes[self.sent..];
            let slices = [IoSlice::new(queued), IoSlice::new(payload)];
            match self.limit.write(stream, Limit::NONE, |stream| write_some(|| stream.write_vectored(&slices))) {
                Ok(count) => {
                    let of_queued = count.min(queued.len());
                    self.sent += of_queued;
                    payload = payload.get(count - of_queued..).unwrap_or_default();
                }
                Err(error) => {
                    self.drop_sent();
                    self.bytes.extend_from_slice(payload);
                    return Err(error);
                }
            }
        }
        self.flush(stream, Limit::NONE)
    }
}

/// Queues a message that fits a frame. False: it is longer, or better written without a copy, and may be sent in frames.
pub(crate) fn queue(engine: &mut Engine, message: Message<'_>, out: &mut Vec<u8>) -> Result<bool, SendError> {
    let most = if engine.is_server() { GATHERED } else { FRAME };
    if message.as_bytes().len() <= most {
        return engine.send(message, out).map(|()| true);
    }
    // Its first frame would otherwise go on with a message that somebody sends in parts.
    if engine.is_sending() { Err(SendError::MessageUnderWay) } else { Ok(false) }
}

/// A frame of a message.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'p> {
    pub(crate) kind: Kind,
    pub(crate) part: &'p [u8],
    pub(crate) last: bool,
    /// Whether a text is known to be UTF-8 as a whole.
    pub(crate) trusted: bool,
}

/// Cuts a long message into frames.
pub(crate) fn frames(message: Message<'_>) -> impl Iterator<Item = Frame<'_>> {
    let mut parts = message.as_bytes().chunks(FRAME).peekable();
    iter::from_fn(move || {
        let part = parts.next()?;
        Some(Frame { kind: message.kind(), part, last: parts.peek().is_none(), trusted: true })
    })
}

/// Queues a frame, and gives what is to be written behind the queue: all of the payload, or nothing.
pub(crate) fn queue_frame<'p>(engine: &mut Engine, frame: Frame<'p>, out: &mut Vec<u8>) -> Result<&'p [u8], SendError> {
    let Frame { kind, part, last, trusted } = frame;
    let checked = trusted || kind == Kind::Binary;
    if checked && engine.is_server() && part.len() > GATHERED {
        engine.send_header(kind, part.len() as u64, last, out)?;
        Ok(part)
    } else {
        engine.send_part(kind, part, last, out)?;
        Ok(&[])
    }
}

/// Writes once, however often a signal interrupts.
fn write_some(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
