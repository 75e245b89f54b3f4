//! What happens on a connection.

use std::fmt;
use std::io;

use sansocket::handshake::{AnswerError, Request, RequestError, Response, ResponseError};
use sansocket::{Ending, Kind, Message, OwnedMessage, Piece};

/// What [`Turn::next`](crate::Turn::next) gives. It borrows the buffer that was read into.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A client asks to be let in: [`Turn::answer`](crate::Turn::answer).
    Request(Box<Request<'b>>),
    /// The server has let this client in. The connection is open.
    Open(Box<Response<'b>>),
    /// The opening handshake has failed. A bad request has been answered.
    NotOpened(OpenError),
    /// A message.
    Message(Received<'b>),
    /// A part of a message longer than [`Settings::whole`](crate::Settings::whole).
    Part(Part<'b>),
    /// A ping with the payload [`Turn::control`](crate::Turn::control). It is answered.
    Ping,
    /// A pong with the payload [`Turn::control`](crate::Turn::control).
    Pong,
    /// More was queued than the high mark allows, and now it is less than the low one: go on sending.
    Drained,
    /// Nothing more comes, and this is how the connection has ended. [`Driver::peer_close`](crate::Driver::peer_close) has the peer's reason,
    /// [`Driver::error`](crate::Driver::error) what the socket said.
    End(Ending),
}

/// A whole message: lent as it lies in the buffer, or joined from what has come in several reads.
#[derive(Debug)]
pub enum Received<'b> {
    /// It came in one piece.
    Lent(Message<'b>),
    /// It came in several.
    Joined(OwnedMessage),
}

impl Received<'_> {
    /// Lends the message.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Lent(message) => *message,
            Self::Joined(message) => message.as_message(),
        }
    }
}

/// A part of a long message; of a text, whole characters.
#[derive(Debug)]
pub struct Part<'b> {
    content: Content<'b>,
    first: bool,
    last: bool,
}

#[derive(Debug)]
enum Content<'b> {
    Lent(Piece<'b>),
    Joined(OwnedMessage),
}

impl<'b> Part<'b> {
    pub(crate) const fn lent(piece: Piece<'b>) -> Self {
        Self { first: piece.is_first(), last: piece.is_last(), content: Content::Lent(piece) }
    }

    pub(crate) const fn joined(bytes: OwnedMessage, first: bool, last: bool) -> Self {
        Self { content: Content::Joined(bytes), first, last }
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        match &self.content {
            Content::Lent(piece) => piece.kind(),
            Content::Joined(message) => message.as_message().kind(),
        }
    }

    /// The part's bytes; a text's are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Lent(piece) => piece.as_bytes(),
            Content::Joined(message) => message.as_message().as_bytes(),
        }
    }

    /// Whether the message begins with this part.
    pub const fn is_first(&self) -> bool {
        self.first
    }

    /// Whether the message ends with this part.
    pub const fn is_last(&self) -> bool {
        self.last
    }
}

/// Why a connection was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The client's request is bad, or was refused by a limit. It was answered.
    Request(RequestError),
    /// The handler has refused with this status.
    Rejected(u16),
    /// The handler's answer could not be sent as it was asked for; the client got a 500.
    Answer(AnswerError),
    /// The server has answered with another status than 101.
    Refused(u16),
    /// The server's answer is not one to a WebSocket handshake.
    Response(ResponseError),
    /// The opening handshake has taken too long.
    TimedOut,
    /// The socket failed, or ended, before the handshake was done.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Rejected(status) => write!(f, "the request was refused with status {status}"),
            Self::Answer(error) => write!(f, "the request could not be answered: {error}"),
            Self::Refused(status) => write!(f, "the server refused with status {status}"),
            Self::Response(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the opening handshake has taken too long"),
            Self::Io(error) => write!(f, "the opening handshake broke off: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

const _: () = assert!(size_of::<Option<Event<'_>>>() <= 56, "an event is moved once or twice for each message");
