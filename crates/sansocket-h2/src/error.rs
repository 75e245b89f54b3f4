//! Why there is no connection.

use std::fmt;

use h2::RecvStream;
use http::Response;
use sansocket_tokio::sansocket::handshake::{AnswerError, ClientRequestError, RequestError, ResponseError, UriError};

/// Why a connection could not be accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request is no good, and has been answered with this error's status.
    Refused(RequestError),
    /// The request cannot be answered as asked for.
    Answer(AnswerError),
    /// The answer cannot be sent: the client is gone, say.
    H2(h2::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the request was refused: {error}"),
            Self::Answer(error) => error.fmt(f),
            Self::H2(error) => write!(f, "the opening handshake broke off: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<AnswerError> for AcceptError {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<h2::Error> for AcceptError {
    fn from(error: h2::Error) -> Self {
        Self::H2(error)
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is not one.
    Uri(UriError),
    /// The URI is not one by the rules of the crate http, which are narrower in parts.
    Http(http::Error),
    /// The request cannot be sent as asked for.
    Request(ClientRequestError),
    /// The server takes no WebSockets over HTTP/2, or has not said yet that it does.
    Unsupported,
    /// HTTP/2 failed.
    H2(h2::Error),
    /// The server did not answer in [`Timeouts::open`](sansocket_tokio::Timeouts::open).
    TimedOut,
    /// The server has answered with another status than 200 to 299: a redirection, say, or a demand for credentials.
    Refused(Box<Response<RecvStream>>),
    /// The server's answer is not one to a WebSocket handshake.
    Response(ResponseError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Unsupported => f.write_str("the server has not enabled the extended CONNECT of HTTP/2"),
            Self::H2(error) => write!(f, "the opening handshake broke off: {error}"),
            Self::TimedOut => f.write_str("the opening handshake took too long"),
            Self::Refused(response) => write!(f, "the server refused: {}", response.status()),
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<UriError> for ConnectError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl From<http::Error> for ConnectError {
    fn from(error: http::Error) -> Self {
        Self::Http(error)
    }
}

impl From<ClientRequestError> for ConnectError {
    fn from(error: ClientRequestError) -> Self {
        Self::Request(error)
    }
}

impl From<h2::Error> for ConnectError {
    fn from(error: h2::Error) -> Self {
        Self::H2(error)
    }
}
