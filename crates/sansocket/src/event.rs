//! What [`Connection::receive`](crate::Connection::receive) tells, and the pieces of messages that it lends.

use core::fmt;
use core::str;

use crate::ProtocolError;
use crate::message::Piece;

/// What came from the peer. Pieces of messages borrow the caller's input, never the connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A piece of a text message: whole characters, however the peer and the network have cut them.
    Text(Text<'b>),
    /// A piece of a binary message.
    Binary(Binary<'b>),
    /// A piece of a message as permessage-deflate has compressed it. Occurs only where that extension was negotiated.
    Compressed(Compressed<'b>),
    /// A ping with the payload [`Connection::control`](crate::Connection::control). The pong is in the output.
    Ping,
    /// A pong with the payload [`Connection::control`](crate::Connection::control).
    Pong,
    /// The peer's Close: [`Connection::peer_close`](crate::Connection::peer_close). The answer, if one is due, is in the output.
    Close,
    /// The peer violated the protocol or overran a limit. If a Close was due, it is in the output.
    Failed(ProtocolError),
}

impl<'b> Event<'b> {
    /// The piece of a text or a binary message, if this is one.
    #[inline]
    pub const fn piece(self) -> Option<Piece<'b>> {
        match self {
            Self::Text(text) => Some(Piece::Text(text)),
            Self::Binary(binary) => Some(Piece::Binary(binary)),
            _ => None,
        }
    }
}

/// What a message is made of (RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// Where a piece lies in its message.
///
/// It fills a word, as every part of an event does. Packed into bytes, an event is put together out of bytes, and reading the words
/// back stalls: 15 ns instead of 8.5 for a message of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Position {
    Middle,
    First,
    Last,
    Whole,
}

impl Position {
    #[inline]
    pub(crate) const fn new(first: bool, last: bool) -> Self {
        match (first, last) {
            (false, false) => Self::Middle,
            (true, false) => Self::First,
            (false, true) => Self::Last,
            (true, true) => Self::Whole,
        }
    }

    #[inline]
    const fn is_first(self) -> bool {
        matches!(self, Self::First | Self::Whole)
    }

    #[inline]
    const fn is_last(self) -> bool {
        matches!(self, Self::Last | Self::Whole)
    }
}

/// What every piece tells about its position.
macro_rules! position_methods {
    ($piece:ident: $is_first:expr, $is_last:expr) => {
        /// Whether the message begins with this piece.
        #[inline]
        pub const fn is_first(&self) -> bool {
            let $piece = self;
            $is_first
        }

        /// Whether the message ends with this piece. Every message has one such piece, and it may be empty.
        #[inline]
        pub const fn is_last(&self) -> bool {
            let $piece = self;
            $is_last
        }

        /// Whether this piece is the whole message.
        #[inline]
        pub const fn is_whole(&self) -> bool {
            self.is_first() && self.is_last()
        }
    };
}

/// A piece of a text message, valid by itself.
///
/// A character that was cut by the end of a read or of a frame comes as a piece of its own, so nothing has to be carried from piece
/// to piece. A piece may be empty.
#[derive(Clone, Copy)]
pub struct Text<'b> {
    content: Content<'b>,
    position: Position,
}

/// How much is known about the bytes of a [`Text`].
#[derive(Clone, Copy)]
#[repr(usize)]
enum Content<'b> {
    /// Decoded already.
    Decoded(&'b str),
    /// ASCII, found out while unmasking.
    Ascii(&'b [u8]),
    /// One character that came in two or more reads, and zeros behind it.
    Char([u8; 8]),
}

impl<'b> Text<'b> {
    #[inline]
    pub(crate) const fn decoded(text: &'b str, position: Position) -> Self {
        Self { content: Content::Decoded(text), position }
    }

    #[inline]
    pub(crate) const fn ascii(bytes: &'b [u8], position: Position) -> Self {
        Self { content: Content::Ascii(bytes), position }
    }

    pub(crate) fn char(char: char, position: Position) -> Self {
        // No character of one byte is ever cut: what follows its bytes here are zeros, and it begins with none.
        let mut bytes = [0; 8];
        char.encode_utf8(&mut bytes);
        Self { content: Content::Char(bytes), position }
    }

    position_methods!(text: text.position.is_first(), text.position.is_last());

    /// The text in UTF-8. Costs nothing.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Decoded(text) => text.as_bytes(),
            Content::Ascii(bytes) => bytes,
            Content::Char(bytes) => char_bytes(bytes),
        }
    }

    /// The text. If it was found to be ASCII while it was unmasked, this costs one fast pass over it.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.content {
            Content::Decoded(text) => text,
            Content::Ascii(bytes) => ascii_str(bytes),
            Content::Char(bytes) => str::from_utf8(char_bytes(bytes)).unwrap_or_default(),
        }
    }

    /// As [`as_str`](Self::as_str), for as long as the input is borrowed. `None`: a single character that was cut.
    #[inline]
    pub fn into_str(self) -> Option<&'b str> {
        match self.content {
            Content::Decoded(text) => Some(text),
            Content::Ascii(bytes) => Some(ascii_str(bytes)),
            Content::Char(_) => None,
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("text", &self.as_str()).field("position", &self.position).finish()
    }
}

#[inline]
fn ascii_str(bytes: &[u8]) -> &str {
    // ASCII by construction; without `unsafe`, the type system wants to hear it once more.
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}

/// The character at the front of `bytes`; the rest is zeros.
fn char_bytes(bytes: &[u8; 8]) -> &[u8] {
    &bytes[..8 - bytes.iter().rev().take_while(|&&byte| byte == 0).count()]
}

/// A piece of a binary message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Binary<'b> {
    position: Position,
    bytes: &'b [u8],
}

impl<'b> Binary<'b> {
    #[inline]
    pub(crate) const fn new(bytes: &'b [u8], position: Position) -> Self {
        Self { bytes, position }
    }

    position_methods!(binary: binary.position.is_first(), binary.position.is_last());

    /// The bytes.
    #[inline]
    pub const fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }
}

/// A piece of a compressed message, still compressed (RFC 7692, section 6.2).
#[derive(Clone, Copy, Debug)]
pub struct Compressed<'b> {
    bytes: &'b [u8],
    kind: Kind,
    first: bool,
    last: bool,
    /// Whether a decompressor has made of it all there is.
    pub(crate) done: bool,
}

impl<'b> Compressed<'b> {
    #[inline]
    pub(crate) const fn new(bytes: &'b [u8], kind: Kind, position: Position) -> Self {
        Self { bytes, kind, first: position.is_first(), last: position.is_last(), done: false }
    }

    /// What is left of a piece, for whoever has to set it aside and cannot keep the borrow: go on with these bytes.
    pub const fn rest<'r>(&self, bytes: &'r [u8]) -> Compressed<'r> {
        Compressed { bytes, kind: self.kind, first: self.first, last: self.last, done: self.done }
    }

    /// Moves it past its first `count` bytes.
    #[cfg(feature = "deflate")]
    pub(crate) fn advance(&mut self, count: usize) {
        self.bytes = &self.bytes[count..];
    }

    position_methods!(compressed: compressed.first, compressed.last);

    /// What the message is, once inflated.
    #[inline]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The compressed bytes.
    #[inline]
    pub const fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }
}

const _: () = assert!(size_of::<Option<Event<'_>>>() <= 32, "an event travels in registers or four words");
