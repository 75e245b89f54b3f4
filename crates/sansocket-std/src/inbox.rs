//! The receiving side: one buffer that the socket fills and the engine reads in place.

use std::io;

use sansocket::{Connection, Either, Event, Message, Messages, OwnedMessage, Piece, RandomKeys};

/// The engine as this adapter uses it: the role is known at run time.
pub(crate) type Engine = Connection<Either<RandomKeys>>;

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
}

impl Inbox {
    /// An inbox with `unread` in its buffer already: the first frames, which came along with a handshake's head.
    pub(crate) fn new(size: usize, unread: &[u8]) -> Self {
        let mut buffer = vec![0; size.max(unread.len())].into_boxed_slice();
        buffer[..unread.len()].copy_from_slice(unread);
        Self { buffer, start: 0, end: unread.len(), messages: Messages::new() }
    }

    /// Reads once. Everything received before must have been taken.
    pub(crate) fn fill(&mut self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        debug_assert_eq!(self.start, self.end);
        (self.start, self.end) = (0, 0);
        loop {
            match read(&mut self.buffer) {
                // A stream that claims more than there was room for does not get us to read what it has not written.
                Ok(count) => {
                    self.end = count.min(self.buffer.len());
                    return Ok(self.end);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What was received and not taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes events until the rest of a message lies ready: then true, and one of the two `finish` is to be called.
    pub(crate) fn take(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> bool {
        let mut input = &mut self.buffer[self.start..self.end];
        let completes = loop {
            if engine.completes_message(input) {
                break true;
            }
            let appended = match engine.receive(&mut input, out) {
                None => break false,
                Some(Event::Text(text)) => self.messages.append(text),
                Some(Event::Binary(binary)) => self.messages.append(binary),
                Some(_) => Ok(()),
            };
            if let Err(error) = appended {
                engine.fail(error, out);
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
            if engine.receive(&mut input, out).is_none() {
                break false;
            }
        };
        self.start = self.end - input.len();
        continues
    }

    /// The message whose rest lies ready. `None`: it is bad, and the engine has failed.
    pub(crate) fn finish(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Message<'_>> {
        self.release();
        let Self { buffer, start, end, messages } = self;
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
        let Self { buffer, start, end, messages } = self;
        let last = take_last(&mut buffer[*start..*end], *end, start, messages, engine, out)?;
        messages.finish_owned(last).map_err(|error| engine.fail(error, out)).ok()
    }

    /// The piece that lies ready. `None`: it is bad, and the engine has failed.
    pub(crate) fn piece(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Piece<'_>> {
        let Self { buffer, start, end, .. } = self;
        let mut input = &mut buffer[*start..*end];
        let event = engine.receive(&mut input, out);
        *start = *end - input.len();
        match event {
            Some(Event::Text(text)) => Some(Piece::Text(text)),
            Some(Event::Binary(binary)) => Some(Piece::Binary(binary)),
            _ => None,
        }
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
        let piece = match event {
            Event::Text(text) => Piece::Text(text),
            Event::Binary(binary) => Piece::Binary(binary),
            _ => return None,
        };
        if piece.is_last() {
            return Some(piece);
        }
        if let Err(error) = messages.append(piece) {
            engine.fail(error, out);
        }
    }
    None
}
