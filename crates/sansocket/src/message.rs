//! Messages and their pieces, lent and owned.

use crate::event::{Binary, Kind, Text};

#[cfg(feature = "alloc")]
use alloc::{borrow::ToOwned, string::String, vec::Vec};

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
