//! The receiving side: one buffer that the socket fills and the engine reads in place.

use std::mem;

use sansocket::{
    BoundedOutput, Connection, Either, Event, MAX_REPLY, Message, Messages, OwnedMessage, Piece, ProtocolError,
    RandomKeys,
};

use crate::codec::Receiver;
use crate::{READ_BUFFER, spare};

/// The engine as this adapter uses it: the role is known at run time.
pub type Engine = Connection<Either<RandomKeys>>;

/// How much may be queued before the peer's frames are left where they are: a peer that floods pings and reads nothing is stopped by it.
const REPLIES: usize = 64 * 1024;

/// Whether the peer's next frame may be answered behind what is queued.
pub const fn has_room(queued: &[u8]) -> bool {
    queued.len() + MAX_REPLY <= REPLIES
}

/// How much memory for joined messages is kept from one message to the next, in bytes.
const KEPT: usize = 64 * 1024;

/// How much is read at once straight into a message, in bytes.
const LONGEST_READ: u64 = 256 * 1024;

/// The buffer, what of it was received and not read, and the message that is being joined.
#[derive(Debug)]
pub struct Inbox {
    /// Zeroed once, when it is made; from then on it is filled as the stream fills it. Shorter than `size`: there is none yet, but for what came along with
    /// the handshake.
    buffer: Box<[u8]>,
    /// How long a buffer is, in bytes.
    size: usize,
    start: usize,
    end: usize,
    /// Whether what is unread is a frame's beginning that the end of the buffer has cut: the rest is to be read behind it.
    is_cut: bool,
    messages: Messages,
    /// How many bytes are still to come of a frame whose message is being joined.
    payload_left: u64,
    /// How many of them have come, in the room of `messages`.
    straight: usize,
    codec: Receiver,
    /// Whether what lies ready does not lie in the buffer: it was inflated, or read straight into its message.
    lies_apart: bool,
    /// Whether a piece was appended since somebody has asked.
    has_appended: bool,
    /// Whether what is left of the message under way is of no use to anybody.
    skips: bool,
}

/// What was found in what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that would be whole. With something unread: what is queued has to be written first.
    Nothing,
    /// What was looked for.
    Ready,
    /// Something that has to be inflated: [`Inbox::inflate`] or [`Inbox::inflate_piece`].
    Compressed,
}

impl Inbox {
    /// An inbox with `unread` in its buffer already: the first frames, which came along with a handshake's head.
    pub fn new(size: usize, unread: &[u8], codec: Receiver) -> Self {
        Self {
            buffer: unread.into(),
            size,
            start: 0,
            end: unread.len(),
            is_cut: false,
            messages: Messages::new(),
            payload_left: 0,
            straight: 0,
            codec,
            lies_apart: false,
            has_appended: false,
            skips: false,
        }
    }

    /// Gives all memory in which nothing lies to the thread, for whoever needs some: a connection that waits for its peer holds none. The next
    /// [`fill`](Self::fill) takes what it needs.
    pub fn rest(&mut self) {
        if self.start < self.end || self.codec.has_left() {
            return;
        }
        if self.messages.capacity() > 0 && self.messages.len_under_way() == 0 {
            spare::return_message(self.messages.take_memory());
        }
        self.codec.rest();
        (self.start, self.end) = (0, 0);
        // A buffer of another size would be of no use to others.
        if self.size == READ_BUFFER || self.buffer.len() < self.size {
            spare::return_buffer(mem::take(&mut self.buffer));
        }
    }

    /// Reads once, by `read`. Everything received before must have been taken, but for a frame that was cut.
    ///
    /// # Errors
    ///
    /// Those of `read`. Nothing has come then.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        debug_assert!(self.start == self.end || self.is_cut);
        // A stream that claims more than there was room for does not get us to read what it has not written.
        let read = |room: &mut [u8]| read(room).map(|count| count.min(room.len()));
        // What the buffer would hold is read there: what follows may come along.
        let is_long = self.payload_left >= self.size as u64 && self.messages.len_under_way() > 0;
        // If there is no memory for it, it goes through the buffer, and to join it tells what is wrong.
        if is_long && let Ok(Some(room)) = self.messages.room(self.payload_left.min(LONGEST_READ)) {
            self.straight = read(room)?;
            return Ok(self.straight);
        }
        if self.buffer.len() < self.size && self.start == self.end {
            self.buffer = if self.size == READ_BUFFER { spare::buffer() } else { vec![0; self.size].into() };
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end, self.is_cut) = (0, self.end - self.start, false);
        let count = read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// What was received and not taken.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether something that was received has to wait until what is queued is written.
    pub const fn waits_for_room(&self) -> bool {
        self.start < self.end && !self.is_cut
    }

    /// Whether pieces of an unfinished message have come since this was asked last.
    pub fn has_appended(&mut self) -> bool {
        mem::take(&mut self.has_appended)
    }

    /// Takes events until the rest of a message lies ready: then one of the two `finish` is to be called.
    pub fn take(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Found {
        (self.lies_apart, self.is_cut) = (false, false);
        if self.codec.has_left() {
            return Found::Compressed;
        }
        self.release();
        if self.start == self.end && self.straight == 0 {
            return Found::Nothing;
        }
        self.messages.set_limit(engine.limits().message);
        if self.straight > 0 {
            self.has_appended = true;
            if self.messages.received(mem::take(&mut self.straight), engine) {
                self.lies_apart = true;
                return Found::Ready;
            }
        }
        let size = self.buffer.len();
        let mut input = &mut self.buffer[self.start..self.end];
        let found = loop {
            if !self.skips && engine.completes_message(input) {
                break Found::Ready;
            }
            // What is left of it is read behind it, so that it lies in one place; but only where the buffer is full, so that more is there.
            if self.end == size {
                let missing = engine.missing(input);
                if missing > 0 && missing <= (size - input.len()) as u64 {
                    self.is_cut = true;
                    break Found::Nothing;
                }
            }
            match receive(engine, &mut input, out, REPLIES) {
                None => break Found::Nothing,
                Some(Event::Compressed(piece)) => {
                    self.has_appended = true;
                    self.codec.set_aside(piece, self.end - input.len());
                    break Found::Compressed;
                }
                Some(event) => {
                    let Some(piece) = event.piece() else { continue };
                    self.has_appended = true;
                    if self.skips {
                        self.skips = !piece.is_last();
                        continue;
                    }
                    if self.messages.capacity() == 0
                        && let Some(memory) = spare::message()
                    {
                        self.messages.reuse(piece.kind(), memory);
                    }
                    if let Err(error) = self.messages.append(piece) {
                        engine.fail(error, out);
                    }
                }
            }
        };
        self.start = self.end - input.len();
        self.payload_left = engine.payload_left();
        found
    }

    /// Takes events until something of a message lies ready: then `piece` is to be called.
    pub fn take_to_piece(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Found {
        (self.lies_apart, self.is_cut) = (false, false);
        if self.codec.has_left() {
            return Found::Compressed;
        }
        // What `take` has left of a message is to get into no other.
        if self.messages.len_under_way() > 0 {
            self.messages = Messages::new();
        }
        let mut input = &mut self.buffer[self.start..self.end];
        let found = loop {
            if engine.continues_message(input) {
                break Found::Ready;
            }
            match receive(engine, &mut input, out, REPLIES) {
                None => break Found::Nothing,
                Some(Event::Compressed(piece)) => {
                    self.codec.set_aside(piece, self.end - input.len());
                    break Found::Compressed;
                }
                Some(_) => {}
            }
        };
        self.start = self.end - input.len();
        found
    }

    /// Inflates what was found, for a message of up to `limit` bytes. True: it is whole, and one of the two `finish` is to be called.
    ///
    /// # Errors
    ///
    /// The peer's fault, for the engine.
    pub fn inflate(&mut self, limit: u64) -> Result<bool, ProtocolError> {
        while self.skips {
            if !self.codec.inflate_piece(limit, &self.buffer)? {
                return Ok(false);
            }
            self.skips = !self.codec.piece().is_some_and(|piece| piece.is_last());
            if !self.skips {
                self.codec.end_message();
                return Ok(false);
            }
        }
        self.lies_apart = self.codec.inflate(limit, &self.buffer, &mut self.messages)?;
        Ok(self.lies_apart)
    }

    /// Inflates something of what was found. True: `piece` is to be called.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn inflate_piece(&mut self, limit: u64) -> Result<bool, ProtocolError> {
        self.lies_apart = self.codec.inflate_piece(limit, &self.buffer)?;
        Ok(self.lies_apart)
    }

    /// The message whose rest lies ready. `None`: it is bad, and the engine has failed.
    pub fn finish(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Message<'_>> {
        if self.lies_apart {
            return self.messages.message();
        }
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
    pub fn finish_owned(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<OwnedMessage> {
        if self.lies_apart {
            return self.messages.take();
        }
        let Self { buffer, start, end, messages, .. } = self;
        let last = take_last(&mut buffer[*start..*end], *end, start, messages, engine, out)?;
        messages.finish_owned(last).map_err(|error| engine.fail(error, out)).ok()
    }

    /// The piece that lies ready. `None`: it is bad, and the engine has failed.
    pub fn piece(&mut self, engine: &mut Engine, out: &mut Vec<u8>) -> Option<Piece<'_>> {
        if self.lies_apart {
            return self.codec.piece();
        }
        let Self { buffer, start, end, .. } = self;
        let mut input = &mut buffer[*start..*end];
        let event = receive(engine, &mut input, out, usize::MAX);
        *start = *end - input.len();
        event?.piece()
    }

    /// A piece was thrown away: unless it was its message's `last`, what follows is not to be taken for a message.
    pub const fn skip(&mut self, last: bool) {
        self.skips = !last;
    }

    /// Forgets what has come of a message: nothing more comes, and the transport may take its time to end.
    pub fn discard(&mut self) {
        self.messages = Messages::new();
        self.codec.discard();
        (self.start, self.end, self.is_cut) = (0, 0, false);
        self.rest();
    }

    /// Gives the memory of a long message back when the next message comes.
    fn release(&mut self) {
        if self.messages.capacity() > KEPT {
            self.messages.release();
        }
    }
}

/// The engine's `receive`, with up to `most` bytes of replies queued. Once for all who call it here: what it saves where it is inlined is nothing
/// beside a read.
#[inline(never)]
fn receive<'b>(engine: &mut Engine, input: &mut &'b mut [u8], out: &mut Vec<u8>, most: usize) -> Option<Event<'b>> {
    engine.receive(input, &mut BoundedOutput::new(out, most))
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
    while let Some(event) = receive(engine, &mut input, out, usize::MAX) {
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
