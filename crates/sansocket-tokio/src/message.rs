//! Messages that share their memory.

use bytes::Bytes;
use bytestring::ByteString;
use sansocket::{Kind, Message, OwnedMessage};

/// A whole message, of which a clone costs a reference count. The item of [`Stream`](futures_core::Stream) and [`Sink`](futures_sink::Sink).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SharedMessage {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl SharedMessage {
    /// What the message is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Lends the message.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }

    /// The message's bytes; a text's are UTF-8.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl<'m> From<&'m SharedMessage> for Message<'m> {
    fn from(message: &'m SharedMessage) -> Self {
        message.as_message()
    }
}

/// Without a copy.
impl From<OwnedMessage> for SharedMessage {
    fn from(message: OwnedMessage) -> Self {
        match message {
            OwnedMessage::Text(text) => Self::Text(text.into()),
            OwnedMessage::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

impl From<String> for SharedMessage {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for SharedMessage {
    fn from(text: &'static str) -> Self {
        Self::Text(ByteString::from_static(text))
    }
}

impl From<ByteString> for SharedMessage {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for SharedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for SharedMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}
