//! What a socket has not taken yet.

use std::collections::{TryReserveError, VecDeque};
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// Bytes are kept in blocks of this size, so that memory is given back while the socket takes them, and none is ever moved.
const BLOCK: usize = 32 * 1024;

/// How many blocks a write gathers.
const GATHERED: usize = 16;

/// Bytes on their way to the socket, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    blocks: VecDeque<Block>,
    /// How much of the first block the socket has taken.
    sent: usize,
    len: usize,
}

#[derive(Debug)]
enum Block {
    Bytes(Vec<u8>),
    /// A message that others have queued as well.
    Shared(Arc<[u8]>),
}

impl Block {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(frame) => frame,
        }
    }
}

impl Queue {
    /// The bytes queued.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes. How many wait is the peer's doing, so memory that is not there is no reason to end the process; what was queued is then of no use.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), TryReserveError> {
        if let Some(Block::Bytes(last)) = self.blocks.back_mut() {
            let room = BLOCK.saturating_sub(last.len()).min(bytes.len());
            last.try_reserve(room)?;
            last.extend_from_slice(&bytes[..room]);
            self.len += room;
            bytes = &bytes[room..];
        }
        for bytes in bytes.chunks(BLOCK) {
            let mut block = Vec::new();
            block.try_reserve_exact(bytes.len())?;
            block.extend_from_slice(bytes);
            self.blocks.try_reserve(1)?;
            self.blocks.push_back(Block::Bytes(block));
            self.len += bytes.len();
        }
        Ok(())
    }

    pub(crate) fn push_shared(&mut self, frame: Arc<[u8]>) {
        self.len += frame.len();
        self.blocks.push_back(Block::Shared(frame));
    }

    /// Writes once. Gives how many bytes that could have been, and how many it were.
    pub(crate) fn write_to(&mut self, stream: &mut impl Write) -> io::Result<(usize, usize)> {
        let mut slices = [IoSlice::new(&[]); GATHERED];
        let mut asked = 0;
        let mut count = 0;
        for (slice, block) in slices.iter_mut().zip(&self.blocks) {
            let bytes = if count == 0 { &block.bytes()[self.sent..] } else { block.bytes() };
            *slice = IoSlice::new(bytes);
            asked += bytes.len();
            count += 1;
        }
        let written = stream.write_vectored(&slices[..count])?;
        self.advance(written);
        Ok((asked, written))
    }

    fn advance(&mut self, written: usize) {
        self.len -= written;
        self.sent += written;
        while let Some(first) = self.blocks.front()
            && first.bytes().len() <= self.sent
        {
            self.sent -= first.bytes().len();
            self.blocks.pop_front();
        }
    }
}
