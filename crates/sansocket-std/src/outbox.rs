//! The sending side: what is queued, and how it gets to the socket.

use std::io::{self, IoSlice};
use std::mem;

use sansocket_stream::FRAME;

use crate::stream::Stream;
use crate::timing::{Limit, is_gone};
use crate::write_limit::WriteLimit;

/// How much memory an empty queue keeps, in bytes.
const KEPT: usize = 2 * FRAME;

/// Bytes on their way to the socket.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) bytes: Vec<u8>,
    /// How many of them the socket has taken.
    sent: usize,
    /// Whether the socket may hold back what it has taken.
    is_unflushed: bool,
    /// How long the socket may take for them.
    pub(crate) limit: WriteLimit,
    /// What failed when the rest of a message was given up. The engine waits for that rest, and would take the next message for a mistake.
    given_up: Option<io::ErrorKind>,
}

impl Outbox {
    pub(crate) const fn new(limit: WriteLimit) -> Self {
        Self { bytes: Vec::new(), sent: 0, is_unflushed: false, limit, given_up: None }
    }

    /// Whether so much is queued that it is time to write.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes.len() - self.sent >= FRAME
    }

    /// Whether nothing is left to be written or flushed.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.is_unflushed
    }

    /// Whether `written` has shown that there is nobody to queue the rest of a message for, which is then [told](Self::check) of every other.
    pub(crate) fn gives_up(&mut self, written: &io::Result<()>) -> bool {
        self.given_up = written.as_ref().err().filter(|error| is_gone(error)).map(io::Error::kind);
        self.given_up.is_some()
    }

    /// An error, if the rest of a message was given up.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.given_up.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Writes everything. After an error, a further call goes on where this one stopped.
    pub(crate) fn flush<S: Stream>(&mut self, stream: &mut S, limit: Limit) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            let rest = &self.bytes[self.sent..];
            let written = limit
                .check()
                .and_then(|()| self.limit.write(stream, limit, |stream| write_some(|| stream.write(rest))));
            match written {
                Ok(count) => (self.sent, self.is_unflushed) = (self.sent + count, true),
                Err(error) => {
                    self.drop_sent();
                    return Err(error);
                }
            }
        }
        self.clear_bytes();
        self.limit.write(stream, limit, |stream| uninterrupted(|| stream.flush()))?;
        self.is_unflushed = false;
        Ok(())
    }

    /// Tells the peer that nothing more will be written. A stream may have last words of its own.
    pub(crate) fn shutdown<S: Stream>(&mut self, stream: &mut S, limit: Limit) -> io::Result<()> {
        self.limit.write(stream, limit, |stream| uninterrupted(|| stream.shutdown_write()))
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
        self.is_unflushed = false;
        self.clear_bytes();
    }

    fn clear_bytes(&mut self) {
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
                    (self.sent, self.is_unflushed) = (self.sent + of_queued, true);
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

/// Writes once, something.
pub(crate) fn write_some(write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    match uninterrupted(write)? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// Calls once, however often a signal interrupts.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
