//! What can be wrong with a handshake: with the peer's part of it, and with what the caller asks for.

use core::fmt;

use super::NoRoom;
use super::head::{BadHeader, HeadError, Repeated};
use crate::error::{write_limit, write_with_section};

/// Builds [`RequestError`] and its methods from one table.
macro_rules! request_errors {
    ($($(#[doc = $doc:literal])+ $name:ident => $status:literal, $section:literal, $text:literal;)+) => {
        /// What is wrong with a request. Sections are RFC 6455's unless the text names another.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RequestError {
            $($(#[doc = $doc])+ $name,)+
        }

        impl RequestError {
            /// Every one of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The HTTP status that answers it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The section of RFC 6455 that demands or allows the refusal.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)+ }
            }

            /// The fault in one sentence. It is also the body of the answer.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

request_errors! {
    /// The transport ended inside the head.
    Incomplete => 400, "4.2.1", "the request ends inside its head";
    /// The head is not HTTP.
    Malformed => 400, "4.2.1", "the request is not well-formed HTTP/1.1";
    /// The head has more bytes than [`HeadLimits::bytes`](super::HeadLimits::bytes).
    HeadTooLarge => 431, "10.4", "the request's head is too large";
    /// The head has more lines than [`HeadLimits::headers`](super::HeadLimits::headers).
    TooManyHeaders => 431, "10.4", "the request has too many headers";
    /// A version of HTTP other than 1.1.
    HttpVersion => 505, "4.2.1", "the request's version is not HTTP/1.1";
    /// A method other than GET.
    MethodNotAllowed => 405, "4.2.1", "the request's method is not GET";
    /// A target that is neither a path nor an absolute HTTP URI.
    InvalidTarget => 400, "4.2.1", "the request's target is neither a path nor an absolute URI";
    /// `Host` is missing, repeated or malformed.
    InvalidHost => 400, "4.2.1", "the Host header is missing, repeated or malformed";
    /// An extended CONNECT for another protocol than `websocket` (RFC 8441, section 4; RFC 9220, section 3).
    UnsupportedProtocol => 501, "4.2.1", "the :protocol is not websocket";
    /// A header of HTTP/1.1's connections in a request of another version (RFC 9113, section 8.2.2).
    ConnectionHeader => 400, "4.2.1", "the request has a header that only HTTP/1.1 knows";
    /// A request with a body.
    BodyNotAllowed => 400, "4.2.1", "the request announces a body";
    /// A header that may occur once occurs more often.
    RepeatedHeader => 400, "4.2.1", "a header that may occur once is repeated";
    /// `Upgrade` is missing or lacks `websocket`: an ordinary HTTP request.
    NotAnUpgrade => 426, "4.2.1", "this is a WebSocket server: the request lacks Upgrade: websocket";
    /// `Connection` is missing or lacks `Upgrade`.
    ConnectionNotUpgrade => 400, "4.2.1", "the Connection header lacks the token Upgrade";
    /// `Sec-WebSocket-Version` is missing.
    MissingVersion => 400, "4.2.1", "the Sec-WebSocket-Version header is missing";
    /// `Sec-WebSocket-Version` is not 13.
    UnsupportedVersion => 426, "4.4", "the Sec-WebSocket-Version is not 13";
    /// `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in base64.
    InvalidKey => 400, "4.2.1", "the Sec-WebSocket-Key is missing, repeated or not 16 bytes in base64";
    /// `Sec-WebSocket-Protocol` holds something else than up to 100 unique tokens.
    InvalidProtocols => 400, "4.1", "the Sec-WebSocket-Protocol is not a list of up to 100 unique tokens";
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    InvalidExtensions => 400, "9.1", "the Sec-WebSocket-Extensions header is malformed";
    /// The origin is not let in by the [`OriginPolicy`](super::OriginPolicy).
    OriginNotAllowed => 403, "10.2", "the origin is not allowed";
    /// The request took too long. Raised by the layers above.
    TimedOut => 408, "10.4", "the request took too long";
}

impl RequestError {
    /// The headers that its answer must have besides, names and values.
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // RFC 9110, 15.5.6.
            Self::MethodNotAllowed => &[("Allow", "GET")],
            // 4.4: the versions that this server speaks; RFC 9110, 15.5.22: the protocol to upgrade to, and 7.8: announced in
            // `Connection`.
            Self::UnsupportedVersion | Self::NotAnUpgrade => {
                &[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", super::VERSION)]
            }
            _ => &[],
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (status {})", self.text(), self.status())?;
        let limit = match self {
            Self::HeadTooLarge => Some("HeadLimits::bytes"),
            Self::TooManyHeaders => Some("HeadLimits::headers"),
            _ => None,
        };
        write_limit(f, limit)
    }
}

impl core::error::Error for RequestError {}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::HeadTooLarge,
            HeadError::TooManyHeaders => Self::TooManyHeaders,
            HeadError::Version => Self::HttpVersion,
        }
    }
}

impl From<Repeated> for RequestError {
    fn from(Repeated: Repeated) -> Self {
        Self::RepeatedHeader
    }
}

/// Why a response is not one to this request (RFC 6455, section 4.1). The connection has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The transport ended inside the head.
    Incomplete,
    /// The head is not HTTP.
    Malformed,
    /// The heads have more bytes than [`HeadLimits::bytes`](super::HeadLimits::bytes).
    HeadTooLarge,
    /// A head has more lines than [`HeadLimits::headers`](super::HeadLimits::headers).
    TooManyHeaders,
    /// A version of HTTP other than 1.1.
    HttpVersion,
    /// Another status than 101; for an extended CONNECT, than 200 to 299.
    Status,
    /// `Upgrade` is missing or is not `websocket`.
    Upgrade,
    /// `Connection` is missing or lacks `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated or wrong: the server has not read the request.
    Accept,
    /// The server has chosen an extension that was not asked for.
    Extension,
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    MalformedExtensions,
    /// The server's answer to the offers of permessage-deflate is invalid, or does not fit any of them (RFC 7692, section 7).
    Compression,
    /// The server has chosen a subprotocol that was not asked for, or more than one.
    Protocol,
}

impl ResponseError {
    /// The section of RFC 6455, or of the RFC that it names, that makes the connection fail.
    pub const fn section(self) -> &'static str {
        match self {
            Self::MalformedExtensions => "9.1",
            Self::HeadTooLarge | Self::TooManyHeaders => "10.4",
            Self::Compression => "7 of RFC 7692",
            _ => "4.1",
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Incomplete => "the response ends inside its head",
            Self::Malformed => "the response is not well-formed HTTP/1.1",
            Self::HeadTooLarge => "the response's head is too large",
            Self::TooManyHeaders => "the response has too many headers",
            Self::HttpVersion => "the response's version is not HTTP/1.1",
            Self::Status => "the response's status does not accept the request",
            Self::Upgrade => "the response's Upgrade header is missing or not websocket",
            Self::Connection => "the response's Connection header lacks the token Upgrade",
            Self::Accept => "the response's Sec-WebSocket-Accept is missing or wrong",
            Self::Extension => "the server chose an extension that was not asked for",
            Self::MalformedExtensions => "the response's Sec-WebSocket-Extensions header is malformed",
            Self::Compression => "the response's permessage-deflate is invalid or answers no offer",
            Self::Protocol => "the server chose a subprotocol that was not asked for",
        };
        write_with_section(f, text, self.section())?;
        let limit = match self {
            Self::HeadTooLarge => Some("HeadLimits::bytes"),
            Self::TooManyHeaders => Some("HeadLimits::headers"),
            _ => None,
        };
        write_limit(f, limit)
    }
}

impl core::error::Error for ResponseError {}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::HeadTooLarge,
            HeadError::TooManyHeaders => Self::TooManyHeaders,
            HeadError::Version => Self::HttpVersion,
        }
    }
}

/// An answer that cannot be given. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The chosen subprotocol is not among those that the client offers (RFC 6455, section 4.2.2).
    ProtocolNotOffered,
    /// A header's name is not a token, or its value holds control characters or outer white space.
    InvalidHeader,
    /// A header that the handshake writes by itself.
    ReservedHeader,
    /// A rejection whose status is not 300 to 599.
    InvalidStatus,
    /// The output has less room than the answer needs.
    NoRoom,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProtocolNotOffered => "the chosen subprotocol is not among those that the client offers",
            Self::InvalidHeader => "a header's name or value holds characters that it must not hold",
            Self::ReservedHeader => "a header is one that the handshake writes by itself",
            Self::InvalidStatus => "a rejection has a status of 300 to 599",
            Self::NoRoom => "the output has no room for the answer",
        })
    }
}

impl core::error::Error for AnswerError {}

impl From<BadHeader> for AnswerError {
    fn from(bad: BadHeader) -> Self {
        match bad {
            BadHeader::Invalid => Self::InvalidHeader,
            BadHeader::Reserved => Self::ReservedHeader,
        }
    }
}

impl From<NoRoom> for AnswerError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// A request that cannot be sent. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientRequestError {
    /// A subprotocol is not a token, or is there twice (RFC 6455, section 4.1).
    InvalidProtocol,
    /// The origin is neither `null` nor a scheme and a host.
    InvalidOrigin,
    /// A header's name is not a token, or its value holds control characters or outer white space.
    InvalidHeader,
    /// A header that the handshake writes by itself, or that [`ClientRequest`](super::ClientRequest) has a method for.
    ReservedHeader,
    /// The output has less room than the request needs.
    NoRoom,
}

impl fmt::Display for ClientRequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidProtocol => "the subprotocols are not unique tokens",
            Self::InvalidOrigin => "the origin is neither null nor a scheme and a host",
            Self::InvalidHeader => "a header's name or value holds characters that it must not hold",
            Self::ReservedHeader => "a header is one that the handshake writes by itself",
            Self::NoRoom => "the output has no room for the request",
        })
    }
}

impl core::error::Error for ClientRequestError {}

impl From<BadHeader> for ClientRequestError {
    fn from(bad: BadHeader) -> Self {
        match bad {
            BadHeader::Invalid => Self::InvalidHeader,
            BadHeader::Reserved => Self::ReservedHeader,
        }
    }
}

impl From<NoRoom> for ClientRequestError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}
