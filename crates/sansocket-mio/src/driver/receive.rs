//! What comes: from the socket to an event.

use std::io::{self, IoSliceMut};

use sansocket::{Message, Messages, NextStep, Piece, ProtocolError};

use super::{Driver, Giving, Load, Reading, State};
use crate::event::{Event, Part, Received};
use crate::settings::Common;
use crate::stream::Stream;

/// How much of a peer's input is read and discarded at the end, so that it gets to see the last that was written, in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// With so many bytes of a frame to come, they are read straight into their message, and no more than so many at once.
const READ_STRAIGHT: u64 = 4 * 1024;
const LONGEST_READ: u64 = 256 * 1024;

impl<S: Stream> Driver<S> {
    pub(crate) fn on_readable(&mut self, read_closed: bool) {
        self.reading = match self.reading {
            _ if read_closed => Reading::ToTheEnd,
            Reading::Empty => Reading::Ready,
            reading => reading,
        };
    }

    /// Reads once. Gives how many bytes of `buffer` are to be taken by `next`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        match &self.state {
            _ if !self.may_read() => 0,
            State::Opening(_) => self.read_head(buffer, common),
            State::Open(engine) if engine.next_step() == NextStep::Open => self.read_frames(buffer, common),
            _ => {
                self.discard(buffer);
                0
            }
        }
    }

    /// Reads once from the stream, and notes what that says of what is left. `None`: nothing has come.
    pub(super) fn receive(reading: &mut Reading, stream: &mut S, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let result = stream.read(buffer);
        Self::note(result, buffer.len(), reading, stream)
    }

    /// Notes what a read of `most` bytes says of what is left.
    fn note(result: io::Result<usize>, most: usize, reading: &mut Reading, stream: &S) -> Option<io::Result<usize>> {
        match result {
            Ok(count) => {
                let is_last = count < most && *reading == Reading::Ready && stream.short_read_is_last();
                if is_last || count == 0 {
                    *reading = Reading::Empty;
                }
                // A stream that claims more than there was room for does not get us to take what it has not written.
                Some(Ok(count.min(most)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *reading = Reading::Empty;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => {
                *reading = Reading::Empty;
                Some(Err(error))
            }
        }
    }

    fn read_frames(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        let Self { stream, reading, deadlines, rare, state: State::Open(engine), .. } = self else { return 0 };
        if let Some(rare) = rare {
            if rare.codecs.has_left() {
                // That goes first.
                return 0;
            }
            if !rare.unread.is_empty() {
                let count = rare.unread.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rare.unread[..count]);
                rare.unread.drain(..count);
                if rare.unread.is_empty() {
                    rare.unread = Vec::new();
                }
                return count;
            }
            // The rest of a long message is read to where it belongs, and what follows it to the buffer.
            let left = engine.payload_left();
            let is_vectored = stream.reads_vectored();
            let worth_it = if is_vectored { READ_STRAIGHT } else { buffer.len() as u64 };
            let there = rare.messages.len_under_way();
            // What has to be given in parts must not get past the place where that is decided.
            let is_whole = left.saturating_add(there as u64) <= common.settings.whole as u64;
            if left >= worth_it && there > 0 && is_whole {
                match rare.messages.room(left.min(LONGEST_READ)) {
                    Ok(None) => {}
                    Err(error) => {
                        engine.fail(error, &mut common.out);
                        return 0;
                    }
                    Ok(Some(room)) => {
                        let straight = room.len();
                        // Without vectored reads, what lies behind the message is left for the next one.
                        let buffer = if is_vectored { buffer } else { &mut [] };
                        let most = straight + buffer.len();
                        let mut slices = [IoSliceMut::new(room), IoSliceMut::new(buffer)];
                        let count = match Self::note(stream.read_vectored(&mut slices), most, reading, stream) {
                            None => return 0,
                            Some(Ok(0)) => return self.end(None),
                            Some(Err(error)) => return self.end(Some(error)),
                            Some(Ok(count)) => count,
                        };
                        deadlines.received(common.now);
                        deadlines.active(common.now);
                        if rare.messages.received(count.min(straight), engine) {
                            rare.whole = rare.messages.take();
                        }
                        return count.saturating_sub(straight);
                    }
                }
            }
        }
        match Self::receive(reading, stream, buffer) {
            None => 0,
            Some(Ok(0)) => self.end(None),
            Some(Err(error)) => self.end(Some(error)),
            Some(Ok(count)) => {
                deadlines.received(common.now);
                count
            }
        }
    }

    /// Reads and discards: a socket that is closed with unread input takes back what it has sent.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) {
        match Self::receive(&mut self.reading, &mut self.stream, buffer) {
            None => return,
            Some(Ok(count @ 1..)) => {
                let rare = self.rare();
                rare.drained = rare.drained.saturating_add(count);
                if rare.drained <= DRAINED {
                    return;
                }
            }
            Some(_) => {}
        }
        self.end(None);
    }

    /// The socket has ended: 0 bytes were read.
    pub(super) fn end(&mut self, error: Option<io::Error>) -> usize {
        match &mut self.state {
            State::Open(engine) => {
                let is_news = engine.ending().is_none();
                engine.receive_eof();
                if let Some(error) = error.filter(|_| is_news) {
                    self.rare().error = Some(error);
                }
            }
            State::NotOpened(not_opened) => not_opened.is_over = true,
            State::Opening(_) => {}
        }
        0
    }

    /// Gives the message that is next in `input`, if it lies there as a whole; the short way for what nearly all traffic consists of.
    #[inline(always)]
    pub(crate) fn next_whole<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Message<'b>> {
        let State::Open(engine) = &mut self.state else { return None };
        if self.rare.is_some() {
            return None;
        }
        let message = match engine.receive_whole(input, &mut common.out)? {
            sansocket::Event::Binary(binary) => Message::Binary(binary.as_bytes()),
            sansocket::Event::Text(text) => Message::Text(text.into_str()?),
            // It was bad, and `next` will tell.
            _ => return None,
        };
        self.deadlines.active(common.now);
        common.has_more = !input.is_empty();
        Some(message)
    }

    /// Gives what is next in `input`, which `read` has filled.
    #[inline(never)]
    pub(crate) fn next<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        match &mut self.state {
            State::Open(_) => {
                let event = self.next_frame(input, common);
                common.has_more = !input.is_empty();
                event
            }
            State::Opening(_) => self.next_head(input, common),
            State::NotOpened(not_opened) => {
                *input = &mut [];
                not_opened.error.take().map(Event::NotOpened)
            }
        }
    }

    #[inline]
    fn next_frame<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        if self.load == Load::Drained {
            self.load = Load::Light;
            if self.giving != Giving::Nothing {
                return Some(Event::Drained);
            }
        }
        if let Some(rare) = &mut self.rare
            && let Some(message) = rare.whole.take()
        {
            return Some(Event::Message(Received::Joined(message)));
        }
        loop {
            if self.holds_back(input, common) {
                return None;
            }
            if self.has_left() {
                match self.inflate_left(common) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let Self { state: State::Open(engine), rare, giving, deadlines, .. } = self else { return None };
            let piece = match engine.receive(input, &mut common.out) {
                Some(sansocket::Event::Ping) => return Some(Event::Ping),
                Some(sansocket::Event::Pong) => return Some(Event::Pong),
                Some(sansocket::Event::Compressed(piece)) => {
                    deadlines.active(common.now);
                    match self.inflate(piece, common) {
                        Some(event) => return Some(event),
                        None => continue,
                    }
                }
                Some(event) => match event.piece() {
                    Some(piece) => piece,
                    // A Close or a violation: what it means is told when nothing more comes.
                    None => continue,
                },
                None if *giving == Giving::Nothing => return None,
                None => {
                    let ending = engine.ending()?;
                    *giving = Giving::Nothing;
                    // The socket may take its time to end, and what has come of a message is of no use until then.
                    if let Some(rare) = rare {
                        rare.messages = Messages::new();
                        rare.unread = Vec::new();
                        rare.codecs.clear();
                    }
                    return Some(Event::End(ending));
                }
            };
            deadlines.active(common.now);
            if *giving == Giving::Parts {
                if piece.is_last() {
                    *giving = Giving::Messages;
                }
                return Some(Event::Part(Part::lent(piece)));
            }
            if piece.is_first() && piece.is_last() {
                match piece {
                    sansocket::Piece::Binary(binary) => {
                        return Some(Event::Message(Received::Lent(Message::Binary(binary.as_bytes()))));
                    }
                    sansocket::Piece::Text(text) => {
                        if let Some(text) = text.into_str() {
                            return Some(Event::Message(Received::Lent(Message::Text(text))));
                        }
                    }
                }
            }
            let len = engine.payload_left().saturating_add(piece.as_bytes().len() as u64);
            if piece.is_first() && !piece.is_last() && len > common.settings.whole as u64 {
                *giving = Giving::Parts;
                return Some(Event::Part(Part::lent(piece)));
            }
            let messages = &mut rare.get_or_insert_default().messages;
            messages.set_limit(engine.limits().message);
            match join(piece, engine.payload_left(), giving, messages, common) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(error) => engine.fail(error, &mut common.out),
            }
        }
    }
}

/// Adds a piece to its message, and gives that once it is whole, or its beginning once it is too long for that. `announced`: so many bytes
/// more are known to come.
pub(super) fn join<'b>(
    piece: Piece<'_>,
    announced: u64,
    giving: &mut Giving,
    messages: &mut Messages,
    common: &mut Common,
) -> Result<Option<Event<'b>>, ProtocolError> {
    if *giving == Giving::Parts {
        let last = piece.is_last();
        if last {
            *giving = Giving::Messages;
        }
        return Ok(Some(Event::Part(Part::joined(messages.finish_owned(piece)?, false, last))));
    }
    if piece.is_first()
        && let Some(spare) = common.spare.take()
    {
        messages.reuse(piece.kind(), spare);
    }
    let len = messages.len_under_way() + piece.as_bytes().len();
    let is_long = announced.saturating_add(len as u64) > common.settings.whole as u64;
    let last = piece.is_last();
    if !is_long && !last {
        messages.append(piece)?;
        return Ok(None);
    }
    let message = messages.finish_owned(piece)?;
    if !is_long {
        return Ok(Some(Event::Message(Received::Joined(message))));
    }
    if !last {
        *giving = Giving::Parts;
    }
    Ok(Some(Event::Part(Part::joined(message, true, last))))
}
