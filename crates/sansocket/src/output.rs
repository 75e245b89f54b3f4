//! Where the engine puts the bytes that it makes.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::steps;

/// The most bytes that one call of [`Connection::receive`](crate::Connection::receive) appends: a masked control frame's.
pub const MAX_REPLY: usize = 2 + 4 + crate::frame::MAX_CONTROL_PAYLOAD;

/// A queue of bytes on their way to the peer. The engine appends, the caller empties it into the transport, in order.
///
/// A `Vec<u8>` is one without bounds, [`SliceOutput`] one without an allocator, [`BoundedOutput`] a `Vec<u8>` with a limit.
pub trait Output {
    /// How many more bytes fit.
    fn room(&self) -> usize;

    /// Announces that `additional` bytes, at most [`room`](Self::room), are about to be put.
    #[inline]
    fn reserve(&mut self, additional: usize) {
        let _ = additional;
    }

    /// Appends `bytes`, of which there are at most [`room`](Self::room), and lends them where they now lie, to be masked there.
    fn put(&mut self, bytes: &[u8]) -> &mut [u8];
}

impl<O: Output + ?Sized> Output for &mut O {
    #[inline]
    fn room(&self) -> usize {
        (**self).room()
    }

    #[inline]
    fn reserve(&mut self, additional: usize) {
        (**self).reserve(additional);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        (**self).put(bytes)
    }
}

#[cfg(feature = "alloc")]
impl Output for Vec<u8> {
    #[inline]
    fn room(&self) -> usize {
        isize::MAX.unsigned_abs() - self.len()
    }

    #[inline]
    fn reserve(&mut self, additional: usize) {
        self.reserve(additional);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        steps::count(bytes.len());
        let start = self.len();
        self.extend_from_slice(bytes);
        &mut self[start..]
    }
}

/// An output in memory that the caller lends.
#[derive(Debug)]
pub struct SliceOutput<'a> {
    memory: &'a mut [u8],
    len: usize,
}

impl<'a> SliceOutput<'a> {
    /// An empty output with room for all of `memory`, which should be at least [`MAX_REPLY`]: with less, nothing can be received.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// What was put and not cleared.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// Forgets what was put: it has been sent.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

impl Output for SliceOutput<'_> {
    #[inline]
    fn room(&self) -> usize {
        self.memory.len() - self.len
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        steps::count(bytes.len());
        let place = &mut self.memory[self.len..][..bytes.len()];
        place.copy_from_slice(bytes);
        self.len += bytes.len();
        place
    }
}

/// A `Vec<u8>` that is never filled above a limit.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct BoundedOutput<'a> {
    queue: &'a mut Vec<u8>,
    limit: usize,
}

#[cfg(feature = "alloc")]
impl<'a> BoundedOutput<'a> {
    /// An output that appends to `queue` while it holds at most `limit` bytes. With a limit of less than [`MAX_REPLY`], nothing can be
    /// received.
    pub const fn new(queue: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { queue, limit }
    }
}

#[cfg(feature = "alloc")]
impl Output for BoundedOutput<'_> {
    #[inline]
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.queue.len())
    }

    #[inline]
    fn reserve(&mut self, additional: usize) {
        self.queue.reserve(additional);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        self.queue.put(bytes)
    }
}
