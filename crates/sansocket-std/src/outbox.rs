//! The sending side: what is queued, and how it gets to the socket.

use std::io::{self, IoSlice};
use std::mem;

use sansocket_stream::FRAME;

use crate::stream::Stream;
use crate::timing::Limit;
use crate::write_limit::WriteLimit;

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
