//! The receiving side: one buffer that the socket fills and the engine reads in place.

use std::io;
use std::mem;

use sansocket::{BoundedOutput, Connection, Either, MAX_REPLY, Message, Messages, OwnedMessage, Piece, RandomKeys};

/// The engine as this adapter uses it: the role is known at run time.
pub(crate) type Engine = Connection<Either<RandomKeys>>;

/// How much may be queued before the peer's frames are left where they are: a peer that floods pings and reads nothing is stopped by it.
const REPLIES: usize = 64 * 1024;

/// Whether the peer's next frame may be answered behind what is queued.
pub(crate) const fn has_room(queued: &[u8]) -> bool {
    queued.len() + MAX_REPLY <= REPLIES
}

/// How much memory for joined messages is kept from one message to the next, in bytes.
const KEPT: usize = 64 * 1024;

/// The buffer, what of it was received and not read, and the message that is being joined.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Zeroed once, when it is made; from then on it is filled as the socket fills it.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    messages: Messages,
    /// Whether a piece was appended since somebody has asked.
    has_appended: bool,
}

impl Inbox {
    /// An inbox with `unread` in its buffer already: the first frames, which came along with a handshake's head.
    pub(crate) fn new(size: usize, unread: &[u8]) -> Self {
        let mut buffer = vec![0; size.max(unread.len())].into_boxed_slice();
        buffer[..unread.len()].copy_from_slice(unread);
        Self { buffer, start: 0, end: unread.len(), messages: Messages::new(), has_appended: false }
    }

    /// Reads once. Everything received before must have been taken.
    pub(crate) fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        debug_assert_eq!(self.start, self.end);
        (self.start, self.end) = (0, 0);
        // A stream that claims more than there was room for does not get us to read what it has not written.
        self.end = read(&mut self.buffer)?.min(self.buffer.len());
        Ok(self.end)
    }

    /// What was received and not taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether pieces of an unfinished message have come since this was asked last.
    pub(crate) fn has_appended(&mut self) -> bool {
        mem::take(&mut self.has_appended)
    }

    /// Takes events until the rest of a message lies ready: then true, and one of the two `finish` is to be called. False with something
    /// unread: what is queued has to be written first.
    pub(crate) fn take(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> bool {
        self.release();
        let mut input = &mut self.buffer[self.start..self.end];
        let completes = loop {
            if engine.completes_message(input) {
                break true;
            }
            let Some(event) = engine.receive(&mut input, &mut BoundedOutput::new(out, REPLIES)) else { break false };
            if let Some(piece) = event.piece() {
                self.has_appended = true;
                if let Err(error) = self.messages.append(piece) {
                    engine.fail(error, out);
                }
            }
        };
        self.start = self.end - input.len();
        completes
    }

    /// Takes events until something of a message lies ready: then true, and `piece` is to be called.
    pub(crate) fn take_to_piece(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> bool {
        let mut input = &mut self.buffer[self.start..self.end];
        let continues = loop {
            if engine.continues_message(input) {
                break true;
            }
            if engine.receive(&mut input, &mut BoundedOutput::new(out, REPLIES)).is_none() {
                break false;
            }
        };
        self.start = self.end - input.len();
        continues
    }

    /// The message whose rest lies ready. `None`: it is bad, and the engine has failed.
    pub(crate) fn finish(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Message<'_>> {
        let Self { buffer, start, end, messages, .. } = self;
        let last = take_last(&mut buffer[*start..*end], *end, start, messages, engine, out)?;
        match messages.finish(last) {
            Ok(message) => Some(message),
            Err(error) => {
                engine.fail(error, out);
                None
            }
        }
    }

    /// As `finish`, and gives the message away.
    pub(crate) fn finish_owned(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<OwnedMessage> {
        let Self { buffer, start, end, messages, .. } = self;
        let last = take_last(&mut buffer[*start..*end], *end, start, messages, engine, out)?;
        messages.finish_owned(last).map_err(|error| engine.fail(error, out)).ok()
    }

    /// The piece that lies ready. `None`: it is bad, and the engine has failed.
    pub(crate) fn piece(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Piece<'_>> {
        let Self { buffer, start, end, .. } = self;
        let mut input = &mut buffer[*start..*end];
        let event = engine.receive(&mut input, out);
        *start = *end - input.len();
        event?.piece()
    }

    /// Gives the memory of a long message back when the next message comes.
    fn release(&mut self) {
        if self.messages.capacity() > KEPT {
            self.messages.release();
        }
    }
}

/// Takes what is left of the message whose rest is in `input`. A cut character may come before the last piece.
fn take_last<'b>(
    mut input: &'b mut [u8],
    end: usize,
    start: &mut usize,
    messages: &mut Messages,
    engine: &mut Engine,
    out: &mut Vec<u8>,
) -> Option<Piece<'b>> {
    while let Some(event) = engine.receive(&mut input, out) {
        *start = end - input.len();
        let piece = event.piece()?;
        if piece.is_last() {
            return Some(piece);
        }
        if let Err(error) = messages.append(piece) {
            engine.fail(error, out);
        }
    }
    None
}
