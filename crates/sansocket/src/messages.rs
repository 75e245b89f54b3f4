//! Whole messages, joined from pieces.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::copy;
use crate::event::{Event, Kind};
use crate::message::{Message, OwnedMessage, Piece};
use crate::{Connection, MAX_REPLY, ProtocolError, Role, SliceOutput};

/// The least room that is lent for the rest of a long message.
const ROOM: usize = 64 * 1024;

/// Joins pieces to whole messages. A message that came in one piece is lent as it lies, without a copy.
///
/// Takes memory for what was received, never for what was announced; how much that can be is the connection's
/// [`Limits::message`](crate::Limits::message).
///
/// ```
/// # use sansocket::{Connection, Limits, Message, Messages, Negotiated, Server};
/// # let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
/// # let mut received = [0x01, 0x82, 0, 0, 0, 0, b'H', b'e', 0x80, 0x83, 0, 0, 0, 0, b'l', b'l', b'o'];
/// # let mut out = Vec::new();
/// # let mut seen = Vec::new();
/// let mut messages = Messages::new();
/// let mut input = &mut received[..];
/// while let Some(event) = connection.receive(&mut input, &mut out) {
///     let Some(piece) = event.piece() else { continue };
///     let joined = if piece.is_last() {
///         messages.finish(piece).map(|message| seen.push(message.to_owned()))
///     } else {
///         messages.append(piece)
///     };
///     if let Err(error) = joined {
///         connection.fail(error, &mut out);
///     }
/// }
/// # assert_eq!(seen, [Message::Text("Hello").to_owned()]);
/// ```
#[derive(Debug)]
pub struct Messages {
    /// At most one of the two holds something: the message under way, or the last one.
    text: String,
    binary: Vec<u8>,
    /// How many bytes of `binary` are the message's. What lies behind them is room to be received into, zeroed once.
    received: usize,
    /// The message of which pieces were appended, and whose end has not come.
    under_way: Option<Kind>,
    /// The message that was joined last, as long as it is here.
    whole: Option<Kind>,
    /// More than this is not taken in advance.
    limit: usize,
}

impl Default for Messages {
    fn default() -> Self {
        Self::new()
    }
}

impl Messages {
    /// Holds no memory until a message comes in several pieces.
    pub const fn new() -> Self {
        Self { text: String::new(), binary: Vec::new(), received: 0, under_way: None, whole: None, limit: usize::MAX }
    }

    /// Tells how long a message may be at most, in bytes: the connection's [`Limits::message`](crate::Limits::message). Memory grows in
    /// steps, of which the last one then is no larger than it has to be.
    pub fn set_limit(&mut self, bytes: u64) {
        self.limit = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Adds a piece. Behind a message's last, [`message`](Self::message) lends it and [`take`](Self::take) gives it away.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ProtocolError::OutOfMemory), for [`Connection::fail`](crate::Connection::fail).
    pub fn append<'b>(&mut self, piece: impl Into<Piece<'b>>) -> Result<(), ProtocolError> {
        let piece = piece.into();
        // Also where the beginning was never seen: what is left of another message must not get into this one.
        if piece.is_first() || self.under_way.is_none() {
            self.text.clear();
            self.received = 0;
        }
        self.under_way = (!piece.is_last()).then_some(piece.kind());
        self.whole = None;
        match piece {
            Piece::Text(text) => {
                let text = text.as_str();
                let additional = growth(self.text.len(), self.text.capacity(), text.len(), self.limit);
                self.text.try_reserve_exact(additional).map_err(|_| ProtocolError::OutOfMemory)?;
                copy::push_str(&mut self.text, text);
            }
            Piece::Binary(binary) => {
                let bytes = binary.as_bytes();
                let end = self.received + bytes.len();
                match self.binary.get_mut(self.received..end) {
                    Some(room) => copy::copy(bytes, room),
                    None => {
                        // The room that there may be is too little.
                        self.binary.truncate(self.received);
                        let additional = growth(self.binary.len(), self.binary.capacity(), bytes.len(), self.limit);
                        self.binary.try_reserve_exact(additional).map_err(|_| ProtocolError::OutOfMemory)?;
                        copy::extend(&mut self.binary, bytes);
                    }
                }
                self.received = end;
            }
        }
        self.whole = piece.is_last().then_some(piece.kind());
        Ok(())
    }

    /// Adds a message's last piece and lends the message, until the next message's first piece comes.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ProtocolError::OutOfMemory), for [`Connection::fail`](crate::Connection::fail).
    pub fn finish<'m>(&'m mut self, last: impl Into<Piece<'m>>) -> Result<Message<'m>, ProtocolError> {
        let last = last.into();
        self.whole = None;
        match last {
            Piece::Binary(binary) if binary.is_whole() => return Ok(Message::Binary(binary.as_bytes())),
            Piece::Text(text) if text.is_whole() => {
                if let Some(text) = text.into_str() {
                    return Ok(Message::Text(text));
                }
            }
            _ => {}
        }
        self.append(last)?;
        Ok(match last.kind() {
            Kind::Text => Message::Text(&self.text),
            Kind::Binary => Message::Binary(&self.binary[..self.received]),
        })
    }

    /// As [`finish`](Self::finish), and gives the message away. One that came in several pieces is not copied once more.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ProtocolError::OutOfMemory), for [`Connection::fail`](crate::Connection::fail).
    pub fn finish_owned<'b>(&mut self, last: impl Into<Piece<'b>>) -> Result<OwnedMessage, ProtocolError> {
        let last = last.into();
        self.append(last)?;
        Ok(self.take_kind(last.kind()))
    }

    /// The message that was joined, until the next message's first piece comes. `None`: its last piece has not come, or it was given away.
    pub fn message(&self) -> Option<Message<'_>> {
        Some(match self.whole? {
            Kind::Text => Message::Text(&self.text),
            Kind::Binary => Message::Binary(&self.binary[..self.received]),
        })
    }

    /// As [`message`](Self::message), and gives it away.
    pub fn take(&mut self) -> Option<OwnedMessage> {
        let kind = self.whole?;
        Some(self.take_kind(kind))
    }

    /// How many bytes of the message under way have come; 0, if none is.
    pub const fn len_under_way(&self) -> usize {
        if self.under_way.is_some() { self.text.len() + self.received } else { 0 }
    }

    /// Lends room for more of the binary message under way, behind what of it has come: the transport's bytes can be read into it without
    /// a buffer in between. `None`: no binary message is under way. What was read is taken by [`received`](Self::received).
    ///
    /// The room is `at_most` long, and no longer than what has come or 64 KiB, whichever is more: memory is taken for what a peer has sent,
    /// not for what it has announced. Not more than [`Connection::payload_left`](crate::Connection::payload_left) should be read into it, so
    /// that all of it is payload of this message.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ProtocolError::OutOfMemory), for [`Connection::fail`](crate::Connection::fail).
    pub fn room(&mut self, at_most: u64) -> Result<Option<&mut [u8]>, ProtocolError> {
        if self.under_way != Some(Kind::Binary) {
            return Ok(None);
        }
        let room = usize::try_from(at_most).unwrap_or(usize::MAX).min(self.received.max(ROOM));
        let end = self.received + room;
        if end > self.binary.len() {
            let additional = growth(self.binary.len(), self.binary.capacity(), end - self.binary.len(), self.limit);
            self.binary.try_reserve_exact(additional).map_err(|_| ProtocolError::OutOfMemory)?;
            self.binary.resize(end, 0);
        }
        Ok(Some(&mut self.binary[self.received..end]))
    }

    /// Takes the first `count` bytes of the [`room`](Self::room) through `connection`, and adds them to the message where they lie. True: it is
    /// whole, and to be had from [`take`](Self::take). Of a connection that has failed or ended meanwhile, nothing is taken.
    ///
    /// # Panics
    ///
    /// If that is more than the room, or more than the rest of the frame under way.
    pub fn received<R: Role>(&mut self, count: usize, connection: &mut Connection<R>) -> bool {
        // Somebody has ended the connection meanwhile.
        if !connection.may_receive() {
            return false;
        }
        assert!(count as u64 <= connection.payload_left(), "more was read than the frame has left");
        let mut input = &mut self.binary[self.received..][..count];
        // The payload of a binary message is not looked at and calls for no reply, but `receive` insists on room for one.
        let mut no_reply = [0; MAX_REPLY];
        let event = connection.receive(&mut input, &mut SliceOutput::new(&mut no_reply));
        match event.and_then(Event::piece) {
            Some(piece) => {
                self.received += piece.as_bytes().len();
                if piece.is_last() {
                    (self.under_way, self.whole) = (None, Some(Kind::Binary));
                }
                piece.is_last()
            }
            None => false,
        }
    }

    fn take_kind(&mut self, kind: Kind) -> OwnedMessage {
        self.whole = None;
        match kind {
            Kind::Text => OwnedMessage::Text(mem::take(&mut self.text)),
            Kind::Binary => {
                let mut binary = mem::take(&mut self.binary);
                binary.truncate(self.received);
                self.received = 0;
                OwnedMessage::Binary(binary)
            }
        }
    }

    /// Lends memory, the last message's say, for the next message of this kind. Nothing happens while one is under way.
    pub fn reuse(&mut self, kind: Kind, mut memory: Vec<u8>) {
        if self.under_way.is_some() {
            return;
        }
        self.whole = None;
        match kind {
            Kind::Text => {
                memory.clear();
                self.text = String::from_utf8(memory).unwrap_or_default();
            }
            Kind::Binary => (self.binary, self.received) = (memory, 0),
        }
    }

    /// Gives away the memory held, to be lent again by [`reuse`](Self::reuse). Empty, while a message is under way.
    pub fn take_memory(&mut self) -> Vec<u8> {
        if self.under_way.is_some() {
            return Vec::new();
        }
        let Self { text, binary, .. } = mem::replace(self, Self { limit: self.limit, ..Self::new() });
        if binary.capacity() > 0 { binary } else { text.into_bytes() }
    }

    /// The bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.binary.capacity()
    }

    /// Gives the memory back, unless a message is under way.
    pub fn release(&mut self) {
        if self.under_way.is_none() {
            *self = Self { limit: self.limit, ..Self::new() };
        }
    }
}

/// How much is to be reserved behind `len` bytes for `needed` more: twice as much as there is, so that each byte is moved once on average,
/// but no more than up to the limit.
fn growth(len: usize, capacity: usize, needed: usize, limit: usize) -> usize {
    if needed <= capacity - len {
        return needed;
    }
    needed.max(capacity.saturating_mul(2).min(limit).saturating_sub(len))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{Client, Limits, Negotiated, Server};

    fn server() -> Connection<Server> {
        Connection::new(Server, Negotiated::default(), Limits::default())
    }

    /// A client's message, in frames of these lengths.
    fn frames(kind: Kind, lengths: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let mut client = Connection::new(Client::new(|| [1, 2, 3, 4]), Negotiated::default(), Limits::default());
        let (mut payload, mut wire) = (Vec::new(), Vec::new());
        for (at, &len) in lengths.iter().enumerate() {
            let part: Vec<u8> = (0..len).map(|byte| b'a' + u8::try_from((at + byte) % 26).unwrap()).collect();
            client.send_part(kind, &part, at + 1 == lengths.len(), &mut wire).unwrap();
            payload.extend(part);
        }
        (payload, wire)
    }

    /// Receives `wire` in reads of these sizes in turn, straight into the message wherever that goes.
    fn receive_straight(messages: &mut Messages, wire: &[u8], sizes: &[usize]) -> OwnedMessage {
        let (mut connection, mut out) = (server(), Vec::new());
        let mut left = wire;
        let mut sizes = sizes.iter().cycle();
        loop {
            let size = (*sizes.next().unwrap()).min(left.len());
            let straight = connection.payload_left().min(size as u64);
            if straight > 0
                && let Some(room) = messages.room(straight).unwrap()
            {
                let count = room.len();
                room.copy_from_slice(&left[..count]);
                left = &left[count..];
                if messages.received(count, &mut connection) {
                    return messages.take().unwrap();
                }
                continue;
            }
            let mut read = left[..size].to_vec();
            left = &left[size..];
            let mut input = &mut read[..];
            while let Some(event) = connection.receive(&mut input, &mut out) {
                let piece = event.piece().expect("nothing but pieces");
                if piece.is_last() {
                    return messages.finish_owned(piece).unwrap();
                }
                messages.append(piece).unwrap();
            }
            assert!(!left.is_empty(), "the message has no end");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_received_straight_into_a_message_is_the_message(
            lengths in prop::collection::vec(0_usize..5000, 1..5),
            sizes in prop::collection::vec(1_usize..3000, 1..5),
            is_text: bool,
        ) {
            let kind = if is_text { Kind::Text } else { Kind::Binary };
            let (payload, wire) = frames(kind, &lengths);
            let mut messages = Messages::new();
            // Twice, the second time in the memory of the first.
            for _ in 0..2 {
                let message = receive_straight(&mut messages, &wire, &sizes);
                prop_assert_eq!(message.as_message().kind(), kind);
                prop_assert_eq!(message.as_message().as_bytes(), &payload[..]);
                prop_assert_eq!(messages.len_under_way(), 0);
                messages.reuse(kind, match message {
                    OwnedMessage::Text(text) => text.into_bytes(),
                    OwnedMessage::Binary(binary) => binary,
                });
            }
        }
    }

    #[test]
    fn what_was_read_for_a_connection_that_has_ended_is_not_taken() {
        for end in [
            (|connection, out| connection.fail(ProtocolError::MessageTooBig, out))
                as fn(&mut Connection<Server>, &mut Vec<u8>),
            |connection, _| connection.receive_eof(),
        ] {
            let (mut messages, mut connection) = under_way(Kind::Binary, 1000, 10);
            assert!(messages.room(500).unwrap().is_some());
            end(&mut connection, &mut Vec::new());
            assert!(!messages.received(500, &mut connection));
            assert!(messages.message().is_none());
        }
    }

    /// What is under way of a message of `len` bytes, `there` of which have come.
    fn under_way(kind: Kind, len: usize, there: usize) -> (Messages, Connection<Server>) {
        let (mut messages, mut connection) = (Messages::new(), server());
        let (_, mut wire) = frames(kind, &[len]);
        let head = wire.len() - len;
        let mut input = &mut wire[..head + there];
        while let Some(event) = connection.receive(&mut input, &mut Vec::new()) {
            messages.append(event.piece().unwrap()).unwrap();
        }
        (messages, connection)
    }

    #[test]
    fn room_is_lent_for_what_has_come_and_not_for_what_was_announced() {
        let (mut messages, connection) = under_way(Kind::Binary, 50 << 20, 100);
        assert_eq!(messages.len_under_way(), 100);
        assert_eq!(messages.room(connection.payload_left()).unwrap().unwrap().len(), 64 << 10);
        assert_eq!(messages.room(7).unwrap().unwrap().len(), 7);
        let (mut messages, connection) = under_way(Kind::Binary, 50 << 20, 100_000);
        assert_eq!(messages.room(connection.payload_left()).unwrap().unwrap().len(), 100_000);
        assert!(messages.capacity() < 1 << 20);
    }

    #[test]
    fn memory_grows_by_doubling_and_never_beyond_the_limit() {
        for kind in [Kind::Text, Kind::Binary] {
            for limit in [99_999, 100_000, 131_072, 1 << 20] {
                let (_, mut wire) = frames(kind, &[1000; 100]);
                let (mut messages, mut connection, mut out) = (Messages::new(), server(), Vec::new());
                messages.set_limit(limit);
                let (mut input, mut capacity, mut moves) = (&mut wire[..], 0, 0);
                while let Some(event) = connection.receive(&mut input, &mut out) {
                    messages.append(event.piece().unwrap()).unwrap();
                    moves += usize::from(messages.capacity() != capacity);
                    capacity = messages.capacity();
                }
                // What is needed is taken whatever the limit was said to be.
                assert!(capacity as u64 <= limit.max(100_000), "{kind:?} {limit}: {capacity}");
                assert!((7..=9).contains(&moves), "{kind:?} {limit}: {moves}");
                assert_eq!(messages.message().map(|message| message.as_bytes().len()), Some(100_000));
            }
        }
    }

    #[test]
    fn room_is_lent_to_a_binary_message_under_way_only() {
        assert!(Messages::new().room(10).unwrap().is_none());
        let (mut text, _) = under_way(Kind::Text, 1000, 100);
        assert!(text.room(10).unwrap().is_none());
    }

    #[test]
    fn memory_that_is_lent_does_no_harm_to_a_message_under_way() {
        let (mut messages, mut connection) = under_way(Kind::Binary, 10, 4);
        messages.reuse(Kind::Binary, vec![0; 100]);
        let (payload, wire) = frames(Kind::Binary, &[10]);
        messages.room(6).unwrap().unwrap().copy_from_slice(&wire[wire.len() - 6..]);
        assert!(messages.received(6, &mut connection));
        assert_eq!(messages.message(), Some(Message::Binary(&payload)));
        assert_eq!(messages.take(), Some(OwnedMessage::Binary(payload)));
        assert_eq!(messages.take(), None);
    }

    #[test]
    #[should_panic(expected = "more was read than the frame has left")]
    fn more_than_the_rest_of_a_frame_is_a_mistake_of_the_caller() {
        let (mut messages, mut connection) = under_way(Kind::Binary, 10, 4);
        messages.room(100).unwrap();
        messages.received(7, &mut connection);
    }
}
