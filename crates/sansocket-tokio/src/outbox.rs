//! What is queued, and how much of it the stream has taken.

use std::mem;

use sansocket_stream::{FRAME, lend_output, return_output};

/// Bytes on their way to the stream.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them the stream has taken.
    sent: usize,
    /// What answers the peer, while so much else is queued that there would be no room for it: two peers that both send a lot would each wait for the
    /// other to read.
    replies: Vec<u8>,
}

impl Outbox {
    /// An outbox with something in it already.
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0, replies: Vec::new() }
    }

    /// Where messages go.
    #[inline]
    pub(crate) fn queue(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 || !self.replies.is_empty() {
            self.prepare();
        }
        &mut self.bytes
    }

    #[inline(never)]
    fn prepare(&mut self) {
        self.join_replies();
        if self.bytes.capacity() == 0 {
            lend_output(&mut self.bytes);
        }
    }

    /// Where the engine answers what it receives. Most of the time it does not, so no memory is lent for that.
    pub(crate) fn replies(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.replies.is_empty() || self.bytes.len() >= FRAME / 2);
        if self.bytes.len() < FRAME / 2 { &mut self.bytes } else { &mut self.replies }
    }

    fn join_replies(&mut self) {
        if !self.replies.is_empty() {
            self.bytes.append(&mut mem::take(&mut self.replies));
        }
    }

    /// How many bytes wait for the stream.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.replies.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether so much is queued that who queues more has to wait.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes.len() - self.sent >= FRAME
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The stream has taken so many bytes more. Those are forgotten once they are the larger part: each byte is moved once at most.
    pub(crate) fn advance(&mut self, count: usize) {
        self.sent = self.bytes.len().min(self.sent + count);
        if !self.is_full() {
            self.join_replies();
        }
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 && self.sent >= FRAME {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Forgets what is queued.
    pub(crate) fn clear(&mut self) {
        self.sent = 0;
        self.bytes.clear();
        self.replies = Vec::new();
    }

    /// Gives memory away in which nothing lies.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.sent = 0;
            return_output(&mut self.bytes);
        }
    }
}
