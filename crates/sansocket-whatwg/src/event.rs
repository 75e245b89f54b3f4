//! What happens to the object, as its listeners and `pump` get it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sansocket::OwnedMessage;

use crate::payload::{Blob, Payload};

/// What has happened. The object that it has happened to is given beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection is open: messages may be sent.
    Open,
    /// A message has come.
    Message(MessageEvent),
    /// The connection has failed. A [`Close`](Self::Close) comes next.
    Error,
    /// The connection is over. Nothing comes behind this.
    Close(CloseEvent),
}

/// The types of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `open`
    Open,
    /// `message`
    Message,
    /// `error`
    Error,
    /// `close`
    Close,
}

/// Where an event is on its way: these have none, and are always at their target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventPhase {
    /// `AT_TARGET`
    AtTarget = 2,
}

impl Event {
    /// Its type.
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Open => EventType::Open,
            Self::Message(_) => EventType::Message,
            Self::Error => EventType::Error,
            Self::Close(_) => EventType::Close,
        }
    }

    /// Whether it goes on to a parent: never, there is none.
    pub const fn bubbles(&self) -> bool {
        false
    }

    /// Whether anything can be prevented by it: never.
    pub const fn cancelable(&self) -> bool {
        false
    }

    /// Where it is on its way: its target is the object, and the only one that sees it.
    pub const fn event_phase(&self) -> EventPhase {
        EventPhase::AtTarget
    }
}

impl EventType {
    /// Its name in JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Message => "message",
            Self::Error => "error",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEvent {
    data: Data,
    origin: Arc<str>,
}

impl MessageEvent {
    /// A message event as one's own, to be [dispatched](crate::WebSocket::dispatch_event).
    pub fn new(data: impl Into<Data>, origin: &str) -> Self {
        Self { data: data.into(), origin: origin.into() }
    }

    pub(crate) fn received(message: OwnedMessage, binary_type: BinaryType, origin: Arc<str>) -> Self {
        let data = match (message, binary_type) {
            (OwnedMessage::Text(text), _) => Data::Text(text),
            (OwnedMessage::Binary(bytes), BinaryType::Blob) => Data::Blob(bytes.into()),
            (OwnedMessage::Binary(bytes), BinaryType::ArrayBuffer) => Data::ArrayBuffer(bytes),
        };
        Self { data, origin }
    }

    /// The message.
    pub const fn data(&self) -> &Data {
        &self.data
    }

    /// The message, to be kept.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The origin of the server: `wss://example.com`, say, with the port if it is not the scheme's own.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Always empty: that is for server-sent events.
    pub const fn last_event_id(&self) -> &'static str {
        ""
    }
}

/// What a message consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A text message.
    Text(String),
    /// A binary message, while the object's [`binary_type`](crate::WebSocket::binary_type) is `blob`.
    Blob(Blob),
    /// A binary message, while the object's [`binary_type`](crate::WebSocket::binary_type) is `arraybuffer`.
    ArrayBuffer(Vec<u8>),
}

impl Data {
    /// The text of a text message.
    pub const fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The message's bytes; a text's are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Blob(blob) => blob.as_bytes(),
            Self::ArrayBuffer(bytes) => bytes,
        }
    }
}

/// To send it back, say: a text as text, all else as binary.
impl From<Data> for Payload {
    fn from(data: Data) -> Self {
        match data {
            Data::Text(text) => text.into(),
            Data::Blob(blob) => blob.into(),
            Data::ArrayBuffer(bytes) => bytes.into(),
        }
    }
}

impl From<&Data> for Payload {
    fn from(data: &Data) -> Self {
        match data {
            Data::Text(text) => text.into(),
            Data::Blob(blob) => blob.into(),
            Data::ArrayBuffer(bytes) => bytes.into(),
        }
    }
}

/// A text as it is, of bytes how many they are.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Blob(blob) => write!(f, "[Blob of {} bytes]", blob.size()),
            Self::ArrayBuffer(bytes) => write!(f, "[ArrayBuffer of {} bytes]", bytes.len()),
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Blob> for Data {
    fn from(blob: Blob) -> Self {
        Self::Blob(blob)
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self::ArrayBuffer(bytes)
    }
}

/// How binary messages are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BinaryType {
    /// As a [`Blob`], which is the default, as it is in browsers.
    #[default]
    Blob,
    /// As bytes.
    ArrayBuffer,
}

impl BinaryType {
    /// Its name in JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::ArrayBuffer => "arraybuffer",
        }
    }
}

impl fmt::Display for BinaryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BinaryType {
    type Err = UnknownBinaryType;

    /// Reads JavaScript's name, which browsers compare with its case. Whatever else is assigned there is ignored.
    fn from_str(name: &str) -> Result<Self, UnknownBinaryType> {
        match name {
            "blob" => Ok(Self::Blob),
            "arraybuffer" => Ok(Self::ArrayBuffer),
            _ => Err(UnknownBinaryType(())),
        }
    }
}

/// The name of a binary type is neither `blob` nor `arraybuffer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBinaryType(());

impl fmt::Display for UnknownBinaryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a binary type is \"blob\" or \"arraybuffer\"")
    }
}

impl std::error::Error for UnknownBinaryType {}

/// How the connection has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseEvent {
    was_clean: bool,
    code: u16,
    reason: String,
}

impl CloseEvent {
    /// A close event as one's own, to be [dispatched](crate::WebSocket::dispatch_event). JavaScript's defaults are [`CloseEvent::default`].
    pub fn new(was_clean: bool, code: u16, reason: impl Into<String>) -> Self {
        Self { was_clean, code, reason: reason.into() }
    }

    /// Whether Close frames have gone both ways.
    pub const fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// The code of the server's Close; 1005 if that had none, 1006 if no Close has come or the connection has failed.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The reason of the server's Close, or nothing.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
