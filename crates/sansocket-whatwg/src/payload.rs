//! What is sent and what comes: texts, bytes and blobs.

use std::borrow::Cow;
use std::ops::RangeBounds;

use bytes::Bytes;
use sansocket::Message;

/// Bytes that do not change, as JavaScript's `Blob`. Cheap to clone and to slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Blob {
    bytes: Bytes,
}

impl Blob {
    /// A blob of bytes, which are not copied if they come as a `Vec<u8>` or as `Bytes`.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// How many bytes it has.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A part of it. Bytes are not copied.
    ///
    /// # Panics
    ///
    /// If `range` lies outside.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        Self { bytes: self.bytes.slice(range) }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes, to be passed on without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its bytes as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self { bytes }
    }
}

/// What [`WebSocket::send`](crate::WebSocket::send) takes: a text makes a text message, everything else a binary one.
///
/// What is lent is copied by the call, as in JavaScript; a `String`, a `Vec<u8>`, `Bytes` and a [`Blob`] are not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl Payload {
    /// A text of JavaScript's: 16-bit units, of which each surrogate without its partner becomes U+FFFD.
    pub fn from_utf16(text: &[u16]) -> Self {
        Self::Text(String::from_utf16_lossy(text))
    }

    /// Bytes of payload: what [`WebSocket::buffered_amount`](crate::WebSocket::buffered_amount) counts.
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the message is empty; it is sent all the same.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

macro_rules! payload_from {
    ($($variant:ident: $($type:ty),+;)+) => {$($(
        impl From<$type> for Payload {
            fn from(payload: $type) -> Self {
                Self::$variant(payload.into())
            }
        }
    )+)+};
}

payload_from! {
    Text: &str, String, Box<str>, Cow<'_, str>;
    Binary: Vec<u8>, Box<[u8]>, Bytes;
}

impl From<&String> for Payload {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<&Vec<u8>> for Payload {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::from(&bytes[..])
    }
}

impl<const N: usize> From<&[u8; N]> for Payload {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl<const N: usize> From<[u8; N]> for Payload {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<Blob> for Payload {
    fn from(blob: Blob) -> Self {
        Self::Binary(blob.bytes)
    }
}

impl From<&Blob> for Payload {
    fn from(blob: &Blob) -> Self {
        Self::Binary(blob.bytes.clone())
    }
}
