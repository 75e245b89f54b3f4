//! Whole messages: lent, owned, and joined from pieces.

use crate::event::{Binary, Kind, Text};

#[cfg(feature = "alloc")]
use alloc::{borrow::ToOwned, string::String, vec::Vec};

#[cfg(feature = "alloc")]
use crate::event::Event;
#[cfg(feature = "alloc")]
use crate::{Connection, MAX_REPLY, ProtocolError, Role, SliceOutput};

/// The least room that is lent for the rest of a long message.
#[cfg(feature = "alloc")]
const ROOM: usize = 64 * 1024;

/// A whole message that somebody else owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message<'m> {
    /// A text message.
    Text(&'m str),
    /// A binary message.
    Binary(&'m [u8]),
}

impl<'m> Message<'m> {
    /// What the message is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The message's bytes; a text's are UTF-8.
    pub const fn as_bytes(&self) -> &'m [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// A copy that lives by itself.
    #[cfg(feature = "alloc")]
    pub fn to_owned(&self) -> OwnedMessage {
        match *self {
            Self::Text(text) => OwnedMessage::Text(text.to_owned()),
            Self::Binary(bytes) => OwnedMessage::Binary(bytes.to_owned()),
        }
    }
}

impl<'m> From<&'m str> for Message<'m> {
    fn from(text: &'m str) -> Self {
        Self::Text(text)
    }
}

impl<'m> From<&'m [u8]> for Message<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'m, const N: usize> From<&'m [u8; N]> for Message<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

#[cfg(feature = "alloc")]
impl<'m> From<&'m String> for Message<'m> {
    fn from(text: &'m String) -> Self {
        Self::Text(text)
    }
}

#[cfg(feature = "alloc")]
impl<'m> From<&'m Vec<u8>> for Message<'m> {
    fn from(bytes: &'m Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A whole message with memory of its own.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

#[cfg(feature = "alloc")]
impl OwnedMessage {
    /// Lends the message.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

#[cfg(feature = "alloc")]
impl<'m> From<&'m OwnedMessage> for Message<'m> {
    fn from(message: &'m OwnedMessage) -> Self {
        message.as_message()
    }
}

/// A piece of a text or a binary message.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'b> {
    /// A piece of a text message.
    Text(Text<'b>),
    /// A piece of a binary message.
    Binary(Binary<'b>),
}

impl Piece<'_> {
    /// What the message is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The piece's bytes; a text's are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(binary) => binary.as_bytes(),
        }
    }

    /// Whether the message begins with this piece.
    pub const fn is_first(&self) -> bool {
        match self {
            Self::Text(text) => text.is_first(),
            Self::Binary(binary) => binary.is_first(),
        }
    }

    /// Whether the message ends with this piece.
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Text(text) => text.is_last(),
            Self::Binary(binary) => binary.is_last(),
        }
    }
}

impl<'b> From<Text<'b>> for Piece<'b> {
    fn from(text: Text<'b>) -> Self {
        Self::Text(text)
    }
}

impl<'b> From<Binary<'b>> for Piece<'b> {
    fn from(binary: Binary<'b>) -> Self {
        Self::Binary(binary)
    }
}

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
#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
pub struct Messages {
    /// At most one of the two holds something: the message under way, or the last one.
    text: String,
    binary: Vec<u8>,
    /// How many bytes of `binary` are the message's. What lies behind them is room to be received into, zeroed once.
    received: usize,
    /// The message of which pieces were appended, and whose end has not come.
    under_way: Option<Kind>,
}

#[cfg(feature = "alloc")]
impl Messages {
    /// Holds no memory until a message comes in several pieces.
    pub const fn new() -> Self {
        Self { text: String::new(), binary: Vec::new(), received: 0, under_way: None }
    }

    /// Adds a piece that is not its message's last.
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
        match piece {
            Piece::Text(text) => {
                let text = text.as_str();
                self.text.try_reserve(text.len()).map_err(|_| ProtocolError::OutOfMemory)?;
                self.text.push_str(text);
            }
            Piece::Binary(binary) => {
                let bytes = binary.as_bytes();
                let room = (self.binary.len() - self.received).min(bytes.len());
                let (into_room, behind) = bytes.split_at(room);
                self.binary.try_reserve(behind.len()).map_err(|_| ProtocolError::OutOfMemory)?;
                self.binary[self.received..][..room].copy_from_slice(into_room);
                self.binary.extend_from_slice(behind);
                self.received += bytes.len();
            }
        }
        Ok(())
    }

    /// Adds a message's last piece and lends the message, until the next message's first piece comes.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ProtocolError::OutOfMemory), for [`Connection::fail`](crate::Connection::fail).
    pub fn finish<'m>(&'m mut self, last: impl Into<Piece<'m>>) -> Result<Message<'m>, ProtocolError> {
        let last = last.into();
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
        Ok(match last.kind() {
            Kind::Text => OwnedMessage::Text(core::mem::take(&mut self.text)),
            Kind::Binary => OwnedMessage::Binary(self.take_binary()),
        })
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
            self.binary.try_reserve(end - self.binary.len()).map_err(|_| ProtocolError::OutOfMemory)?;
            self.binary.resize(end, 0);
        }
        Ok(Some(&mut self.binary[self.received..end]))
    }

    /// Takes the first `count` bytes of the [`room`](Self::room) through `connection`, and adds them to the message where they lie. True: it is
    /// whole, and to be had from [`take`](Self::take).
    ///
    /// # Panics
    ///
    /// If that is more than the room, or more than the rest of the frame under way.
    pub fn received<R: Role>(&mut self, count: usize, connection: &mut Connection<R>) -> bool {
        assert!(count as u64 <= connection.payload_left(), "more was read than the frame has left");
        let mut input = &mut self.binary[self.received..][..count];
        // The payload of a binary message is not looked at and calls for no reply, but `receive` insists on room for one.
        let mut no_reply = [0; MAX_REPLY];
        let event = connection.receive(&mut input, &mut SliceOutput::new(&mut no_reply));
        match event.and_then(Event::piece) {
            Some(piece) => {
                self.received += piece.as_bytes().len();
                if piece.is_last() {
                    self.under_way = None;
                }
                piece.is_last()
            }
            None => false,
        }
    }

    /// Gives away the message that [`received`](Self::received) has made whole.
    pub fn take(&mut self) -> OwnedMessage {
        OwnedMessage::Binary(self.take_binary())
    }

    fn take_binary(&mut self) -> Vec<u8> {
        let mut binary = core::mem::take(&mut self.binary);
        binary.truncate(self.received);
        self.received = 0;
        binary
    }

    /// Lends memory, the last message's say, for the next message of this kind. Nothing happens while one is under way.
    pub fn reuse(&mut self, kind: Kind, mut memory: Vec<u8>) {
        match kind {
            _ if self.under_way.is_some() => {}
            Kind::Text => {
                memory.clear();
                self.text = String::from_utf8(memory).unwrap_or_default();
            }
            Kind::Binary => (self.binary, self.received) = (memory, 0),
        }
    }

    /// The bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.binary.capacity()
    }

    /// Gives the memory back, unless a message is under way.
    pub fn release(&mut self) {
        if self.under_way.is_none() {
            *self = Self::new();
        }
    }
}
