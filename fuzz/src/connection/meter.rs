//! The output that the engine writes to.

use sansocket::{MAX_REPLY, Output};

/// An output that counts what a call puts, takes no memory meanwhile, and holds the engine to its room.
pub(super) struct Meter {
    /// What it holds.
    pub(super) bytes: Vec<u8>,
    /// The most that it holds. `None`: it is emptied behind each call, and says that it has room for everything.
    limit: Option<usize>,
    /// Bytes put since this was last set to zero.
    pub(super) put: usize,
}

impl Meter {
    /// An empty one, with its memory taken.
    pub(super) fn new(spare: Option<usize>) -> Self {
        let limit = spare.map(|spare| MAX_REPLY + spare);
        let bytes = Vec::with_capacity(limit.unwrap_or(0).max(MAX_REPLY));
        Self { bytes, limit, put: 0 }
    }

    /// Whether it has room for everything.
    pub(super) fn is_unbounded(&self) -> bool {
        self.limit.is_none()
    }

    /// Moves what it holds.
    pub(super) fn empty_into(&mut self, wire: &mut Vec<u8>) {
        wire.append(&mut self.bytes);
    }
}

impl Output for Meter {
    fn room(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit - self.bytes.len())
    }

    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        self.put += bytes.len();
        assert!(bytes.len() <= self.room() && self.put <= MAX_REPLY, "more than there is room for");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        &mut self.bytes[start..]
    }
}
